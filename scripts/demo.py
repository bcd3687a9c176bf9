"""The main job, end to end, on real pictures: what ``make demo`` runs. Every step is a command that works as typed.

A step whose result is there already is not run again, so an interrupted demo continues.
"""

import argparse
import csv
import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

MNFN = Path(sys.executable).with_name("mnfn")


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


def generalise(folder: Path, networks: int, epochs: int) -> None:
    """Predict accuracies from weights, on original and on rescaled networks."""
    zoo, scaled = folder / "zoo", folder / "zoo-scaled"
    build = ["--images", "digits", "--activation", "relu", "--count", str(networks)]
    run(zoo, "zoo", "build", "cnn", *build, "-o", str(zoo))
    run(scaled, "augment", str(zoo), "-o", str(scaled), "--scale", "1", "1e4")
    train("generalization/relu-monomial", zoo, folder / "run", f"training.epochs={epochs}")
    robustness = folder / "robustness"
    run(robustness, "evaluate", str(folder / "run"), "--scales", "1,10,1e2,1e3,1e4", "-o", str(robustness))
    checkpoints = folder / "checkpoints"
    run(checkpoints, "zoo", "export", str(zoo), "-o", str(checkpoints), "--split", "test", "--limit", "20")
    for source, output in ((checkpoints, folder / "predictions.csv"), (scaled, folder / "rescaled.csv")):
        split = ["--split", "test"] if source == scaled else []
        run(output, "predict", str(folder / "run"), str(source), *split, "-o", str(output))
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
    train("editing/digits-dilate-monomial-strict", zoo, folder / "editor", f"training.steps={steps}")
    edited, picture = folder / "edited", folder / "before-after.png"
    edit = ["edit", str(folder / "editor"), str(zoo), "--split", "test", "-o", str(edited), "--picture", str(picture)]
    run(edited, *edit)


def summarise(folder: Path, networks: int) -> str:
    """Write summary.md from the result files, and return it."""
    evaluation = json.loads((folder / "robustness" / "evaluation.json").read_text())
    result = json.loads((folder / "run" / "result.json").read_text())
    with (folder / "zoo-scaled" / "table.csv").open() as file:
        errors = [float(row["relative_error"]) for row in csv.DictReader(file)]
    with (folder / "predictions.csv").open() as file:
        exported = list(csv.DictReader(file))
    lines = [
        "# What happened here",
        "",
        f"{networks} small convolutional networks were trained on scikit-learn's handwritten digits, each with",
        "hyperparameters of its own. From the weights of",
        f"{result['data']['networks']['train']} of them, a Monomial-NFN with {result['parameters']:,} parameters",
        "learned to predict how well a network classifies. On",
        f"{evaluation['count']} networks that it had never seen, its ranking agrees with the truth (Kendall's tau)",
        "like this, also when every hidden neuron is rescaled by a random factor and the neurons are shuffled:",
        "",
        "| test networks | tau | 95 % interval | largest change of a prediction |",
        "|---|---|---|---|",
    ]
    for row in evaluation["rows"]:
        interval = f"{row['low']:.3f} to {row['high']:.3f}"
        lines.append(f"| {row['networks']} | {row['tau']:.3f} | {interval} | {row['largest_change']:.1e} |")
    lines += [
        "",
        f"The {len(errors)} rescaled networks in `zoo-scaled` were run beside their sources: the outputs differ by at",
        f"most {max(errors):.1e} of their size. {len(exported)} test networks were exported as single files to",
        "`checkpoints` and predicted from there: `predictions.csv`.",
        "",
        "Pictures: `run/predicted-vs-true.png` and `rescaled-vs-true.png`, `robustness/robustness.png`,",
        "`run/training.png`.",
        "",
        *summarise_pictures(folder),
    ]
    text = "\n".join(lines) + "\n"
    (folder / "summary.md").write_text(text)
    return text


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
        f"right, and says the same of {same} of them when their neurons are shuffled and flipped. The strict monomial",
        "editor changes the weights so that the picture is dilated: mean squared error to the target",
        f"{errors['mse']['value']:.3f}, where doing nothing has {errors['do_nothing']['value']:.3f} and the mean",
        f"target {errors['mean_target']['value']:.3f}. It commutes with shuffling and flipping to",
        f"{editor['equivariance']['float64']:.1e}. Before, after and target: `before-after.png`.",
    ]


def _column(file: Path, name: str) -> list[str]:
    with file.open() as opened:
        return [row[name] for row in csv.DictReader(opened)]


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("demo"))
    parser.add_argument("--networks", type=int, default=500)
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--classifier-epochs", type=int, default=20)
    parser.add_argument("--editor-steps", type=int, default=800)
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    generalise(folder, arguments.networks, arguments.epochs)
    read_and_edit_pictures(folder, arguments.classifier_epochs, arguments.editor_steps)
    print(summarise(folder, arguments.networks))
    print(f"{time.monotonic() - started:.0f} seconds; look into {folder}/")


if __name__ == "__main__":
    main()
