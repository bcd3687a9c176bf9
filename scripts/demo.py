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
RECIPE = "generalization/relu-monomial"


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


def train(zoo: Path, output: Path, epochs: int) -> None:
    """Train, or continue a run that was interrupted."""
    state = output / "run.json"
    if state.exists() and json.loads(state.read_text())["state"] == "running":
        run(output, "train", "--resume", str(output))
    else:
        run(output, "train", "--recipe", RECIPE, "--zoo", str(zoo), "-o", str(output), f"training.epochs={epochs}")


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
    ]
    text = "\n".join(lines) + "\n"
    (folder / "summary.md").write_text(text)
    return text


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("demo"))
    parser.add_argument("--networks", type=int, default=500)
    parser.add_argument("--epochs", type=int, default=25)
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    zoo, scaled = folder / "zoo", folder / "zoo-scaled"
    build = ["--images", "digits", "--activation", "relu", "--count", str(arguments.networks)]
    run(zoo, "zoo", "build", "cnn", *build, "-o", str(zoo))
    run(scaled, "augment", str(zoo), "-o", str(scaled), "--scale", "1", "1e4")
    train(zoo, folder / "run", arguments.epochs)
    robustness = folder / "robustness"
    run(robustness, "evaluate", str(folder / "run"), "--scales", "1,10,1e2,1e3,1e4", "-o", str(robustness))
    checkpoints = folder / "checkpoints"
    run(checkpoints, "zoo", "export", str(zoo), "-o", str(checkpoints), "--split", "test", "--limit", "20")
    for networks, output in ((checkpoints, folder / "predictions.csv"), (scaled, folder / "rescaled.csv")):
        split = ["--split", "test"] if networks == scaled else []
        run(output, "predict", str(folder / "run"), str(networks), *split, "-o", str(output))
    from mnfn_cli.report.figures import draw_predictions

    draw_predictions(folder / "rescaled.csv", folder / "rescaled-vs-true.png")
    print(summarise(folder, arguments.networks))
    print(f"{time.monotonic() - started:.0f} seconds; look into {folder}/")


if __name__ == "__main__":
    main()
