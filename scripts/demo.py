"""The main job, end to end, on real pictures: what ``make demo`` runs. Every step is a command that works as typed.

A step whose result is there already is not run again, so an interrupted demo continues. A second process fits, names
and edits pictures meanwhile, since the small networks of this demo keep few cores busy; what it prints comes last.
"""

import argparse
import csv
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

MNFN = Path(sys.executable).with_name("mnfn")
PRETRAINED = "generalization/digits-relu-hybrid"
FUNCTIONALS = {"run": "Monomial-NFN", "hybrid": "hybrid"}


def run(output: Path, *arguments: str) -> None:
    """Print a command and run it, unless its output is there."""
    command = shlex.join(["mnfn", *arguments])
    if output.exists() and "--resume" not in arguments:
        print(f"# {output} is there already\n", flush=True)
        return
    print(f"$ {command}", flush=True)
    done = subprocess.run([MNFN, *arguments], check=False)
    if done.returncode:
        raise SystemExit(done.returncode)
    print(flush=True)


def train(recipe: str, zoo: Path, output: Path, *overrides: str) -> None:
    """Train, or continue a run that was interrupted."""
    state = output / "run.json"
    if state.exists() and json.loads(state.read_text())["state"] == "running":
        run(output, "train", "--resume", str(output))
    else:
        run(output, "train", "--recipe", recipe, "--zoo", str(zoo), "-o", str(output), *overrides)


def generalise(folder: Path, networks: int, epochs: int, hybrid: Sequence[str]) -> None:
    """Predict accuracies from weights, and by running the networks, of original and of rescaled networks."""
    zoo, scaled = folder / "zoo", folder / "zoo-scaled"
    build = ["--images", "digits", "--activation", "relu", "--count", str(networks), "--seed", "7"]
    run(zoo, "zoo", "build", "cnn", *build, "-o", str(zoo))
    run(scaled, "augment", str(zoo), "-o", str(scaled), "--scale", "1", "1e4")
    train("generalization/relu-monomial", zoo, folder / "run", f"training.epochs={epochs}")
    train("generalization/relu-hybrid", zoo, folder / "hybrid", *hybrid)
    robustness, runs = folder / "robustness", [str(folder / name) for name in ("run", "hybrid")]
    run(robustness, "evaluate", *runs, "--scales", "10,1e4", "-o", str(robustness))
    checkpoints = folder / "checkpoints"
    run(checkpoints, "zoo", "export", str(zoo), "-o", str(checkpoints), "--split", "test", "--limit", "20")
    for source, output in ((checkpoints, folder / "predictions.csv"), (scaled, folder / "rescaled.csv")):
        split = ["--split", "test"] if source == scaled else []
        run(output, "predict", str(folder / "run"), str(source), *split, "-o", str(output))
    output = folder / "pretrained.csv"
    run(output, "predict", PRETRAINED, str(zoo), "-o", str(output))
    picture, network = folder / "explained.png", min(checkpoints.glob("*.safetensors"))
    run(picture, "explain", str(folder / "hybrid"), str(network), "-o", str(picture))
    from mnfn_cli.report.figures import draw_figure
    from mnfn_cli.tasks.generalization import predicted_against_true

    draw_figure(predicted_against_true(folder / "rescaled.csv"), folder / "rescaled-vs-true.png")


def read_and_edit_pictures(folder: Path, epochs: int, steps: int) -> None:
    """Fit digits with SIRENs, name the digits and dilate them, from their weights alone."""
    zoo, moved = folder / "inr", folder / "inr-moved"
    run(zoo, "zoo", "build", "siren", "--images", "digits", "--init", "shared", "-o", str(zoo))
    run(folder / "inr.png", "zoo", "render", str(zoo), "-o", str(folder / "inr.png"), "--split", "test")
    run(moved, "augment", str(zoo), "-o", str(moved))
    train("classification/digits-monomial", zoo, folder / "classifier", f"training.epochs={epochs}")
    for source, output in ((zoo, folder / "classes.csv"), (moved, folder / "classes-moved.csv")):
        run(output, "classify", str(folder / "classifier"), str(source), "--split", "test", "-o", str(output))
    train("editing/digits-dilate-graded", zoo, folder / "editor", f"training.steps={steps}")
    edited, picture = folder / "edited", folder / "before-after.png"
    edit = ["edit", str(folder / "editor"), str(zoo), "--split", "test", "-o", str(edited), "--picture", str(picture)]
    run(edited, *edit)


def summarise(folder: Path, networks: int) -> str:
    """Write summary.md from the result files, and return it."""
    evaluation = json.loads((folder / "robustness" / "evaluation.json").read_text())
    results = {name: json.loads((folder / name / "result.json").read_text()) for name in FUNCTIONALS}
    with (folder / "zoo-scaled" / "table.csv").open() as file:
        errors = [float(row["relative_error"]) for row in csv.DictReader(file)]
    exported = _column(folder / "predictions.csv", "network")
    lines = [
        "# What happened here",
        "",
        f"{networks} small convolutional networks were trained on scikit-learn's handwritten digits, each with",
        "hyperparameters of its own. Two functionals learned to predict how well a network classifies, from",
        f"{results['run']['data']['networks']['train']} of them: the paper's Monomial-NFN, which reads weights",
        "alone, and the hybrid, which also runs the network on inputs that it has learned. On",
        f"{evaluation['count']} networks that they had never seen, their ranking agrees with the truth (Kendall's",
        "tau) like this, also when every hidden neuron is rescaled by a random factor and neurons are shuffled:",
        "",
        "| functional | reads | test networks | tau | 95 % interval | largest change of a prediction |",
        "|---|---|---|---|---|---|",
        *map(_row, evaluation["rows"]),
        "",
        *(_interval(FUNCTIONALS[name], result) for name, result in results.items()),
        "",
        f"`{PRETRAINED}`, which comes with mnfn and was trained on networks of other seeds, ranks all {networks}",
        f"with tau {_pretrained_tau(folder):.3f} (`pretrained.csv`).",
        "",
        f"The {len(errors)} rescaled networks in `zoo-scaled` were run beside their sources: the outputs differ by at",
        f"most {max(errors):.1e} of their size. {len(exported)} test networks were exported as single files to",
        "`checkpoints` and predicted from there: `predictions.csv`.",
        "",
        "Pictures: what carried one prediction, with the inputs that the hybrid has learned, in `explained.png`;",
        "`run/predicted-vs-true.png`, `hybrid/predicted-vs-true.png` and `rescaled-vs-true.png`,",
        "`robustness/robustness.png`, `run/training.png`. Each run has a card, `run/README.md`.",
        "",
        *summarise_pictures(folder),
    ]
    text = "\n".join(lines) + "\n"
    (folder / "summary.md").write_text(text)
    return text


def _row(row: Mapping[str, Any]) -> str:
    interval = f"{row['low']:.3f} to {row['high']:.3f}"
    cells = [FUNCTIONALS[Path(row["run"]).name], row["reads"], row["networks"], f"{row['tau']:.3f}", interval]
    return f"| {' | '.join([*cells, format(row['largest_change'], '.1e')])} |"


def _interval(label: str, result: Mapping[str, Any]) -> str:
    found = result["intervals"]
    return (
        f"The {label}'s {found['level']:.0%} intervals hold the truth for {found['coverage']:.0%} of test networks; "
        f"their median width is {found['median_width']:.2f}."
    )


def _pretrained_tau(folder: Path) -> float:
    from mnfn_cli.tasks.metrics import kendall_tau

    predicted, true = (
        [float(value) for value in _column(folder / "pretrained.csv", f"{kind}_accuracy")]
        for kind in ("predicted", "true")
    )
    return kendall_tau(predicted, true)


def summarise_pictures(folder: Path) -> list[str]:
    """Return the lines about INRs."""
    classifier, editor = (json.loads((folder / name / "result.json").read_text()) for name in ("classifier", "editor"))
    before, after = (_column(folder / name, "predicted_class") for name in ("classes.csv", "classes-moved.csv"))
    same = sum(a == b for a, b in zip(before, after, strict=True))
    accuracy, errors = classifier["test"]["accuracy"], editor["test"]
    low, high = accuracy["interval"]
    return [
        "Small networks (SIRENs) were fitted to the digits, one to each picture: `inr.png`. From their weights alone a",
        f"monomial classifier names {accuracy['value']:.1%} [{low:.1%}, {high:.1%}] of {len(before)} held-out digits",
        f"right, and says the same of {same} of them when their neurons are shuffled and flipped. The graded editor",
        "changes the weights so that the picture is dilated: mean squared error to the target",
        f"{errors['mse']['value']:.3f}, where doing nothing has {errors['do_nothing']['value']:.3f} and the mean",
        f"target {errors['mean_target']['value']:.3f}. It commutes with shuffling, flipping and shifting neurons to",
        f"{editor['equivariance']['float64_with_shifts']:.1e}. Before, after and target: `before-after.png`.",
    ]


def _column(file: Path, name: str) -> list[str]:
    with file.open() as opened:
        return [row[name] for row in csv.DictReader(opened)]


def beside(arguments: Sequence[str], log: Path) -> "subprocess.Popen[bytes]":
    """Start the part about pictures as a process of its own, which prints into a file."""
    with log.open("wb") as file:
        return subprocess.Popen(
            [sys.executable, __file__, *arguments, "--pictures"], stdout=file, stderr=subprocess.STDOUT
        )


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("demo"))
    parser.add_argument("--networks", type=int, default=500)
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--hybrid", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--classifier-epochs", type=int, default=20)
    parser.add_argument("--editor-steps", type=int, default=800)
    parser.add_argument("--pictures", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    if arguments.pictures:
        read_and_edit_pictures(folder, arguments.classifier_epochs, arguments.editor_steps)
        return
    folder.mkdir(parents=True, exist_ok=True)
    started, log = time.monotonic(), folder / "pictures.log"
    os.environ.setdefault("OMP_NUM_THREADS", str(max((os.cpu_count() or 2) // 2, 1)))
    print(f"# Meanwhile another process fits, names and edits pictures; it prints into {log}.\n", flush=True)
    pictures = beside(sys.argv[1:], log)
    try:
        generalise(folder, arguments.networks, arguments.epochs, arguments.hybrid)
        failed = pictures.wait()
    finally:
        pictures.terminate()
    print(log.read_text(errors="replace"), flush=True)
    if failed:
        raise SystemExit(failed)
    print(summarise(folder, arguments.networks))
    page = folder / "report.html"
    run(page, "report", str(folder), "-o", str(page))
    print(f"{time.monotonic() - started:.0f} seconds; open {page} in a browser: all of it on one page")


if __name__ == "__main__":
    main()
