"""Write docs/inr-results.md from result files: no figure on it is typed.

python scripts/inr_results.py RUN...      takes what the page needs out of finished runs into docs/results/inr
python scripts/inr_results.py             writes the page again from what is there
"""

import argparse
import csv
import json
import shlex
import shutil
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mnfn_cli.tasks.metrics import mean_difference, with_interval

DOCS = Path(__file__).resolve().parents[1] / "docs"
RESULTS = DOCS / "results" / "inr"
PICTURES = DOCS / "pictures"
ORDER = ("graded", "monomial-strict", "monomial", "absolute", "np", "hnp", "mlp")
LABELS = {
    "graded": "graded (ours)",
    "monomial-strict": "monomial, strict (ours)",
    "monomial": "monomial",
    "absolute": "absolute value, then HNP",
    "np": "NP",
    "hnp": "HNP",
    "mlp": "MLP",
}

Result = Mapping[str, Any]


def collect(run: Path) -> None:
    """Keep what the page needs of a run: a small JSON file, and the picture of an edit."""
    description = json.loads((run / "run.json").read_text())
    result = json.loads((run / "result.json").read_text())
    if description["state"] != "done":
        raise SystemExit(f"{run}: not done")
    command = shlex.split(description["command"])
    recipe = command[command.index("--recipe") + 1]
    overrides = sorted(word for word in command if "=" in word and not word.startswith("-"))
    kept = {
        "recipe": recipe,
        "overrides": overrides,
        "init": description["inr"]["init"],
        "networks": result["data"]["networks"],
        "versions": result["versions"],
        **{name: result[name] for name in ("task", "model", "parameters", "seed", "steps", "test", "validation")},
        **{name: result[name] for name in ("largest_change_of_a_probability", "equivariance") if name in result},
    }
    if result["task"] == "editing":
        with (run / "errors.csv").open() as file:
            kept["mse_of_each_picture"] = {row["network"]: round(float(row["mse"]), 7) for row in csv.DictReader(file)}
    name = "+".join([f"{recipe.replace('/', '-')}-{kept['init']}-{result['seed']}", *overrides])
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(kept, indent=1) + "\n")
    if result["model"] in ORDER[:2] and result["seed"] == 0 and not overrides:
        PICTURES.mkdir(exist_ok=True)
        shutil.copyfile(run / "edits.png", PICTURES / f"{recipe.split('/')[1]}.png")


def load() -> list[Result]:
    """Return every kept result."""
    return [json.loads(path.read_text()) for path in sorted(RESULTS.glob("*-[0-9]*.json"))]


def by_model(results: Iterable[Result]) -> dict[str, list[Result]]:
    """Group by model, in the page's order; seeds ascend."""
    groups: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        groups[result["model"]].append(result)
    return {name: sorted(groups[name], key=lambda r: r["seed"]) for name in ORDER if name in groups}


def mean(results: Iterable[Result], figure: str) -> float:
    """Return the mean of a test figure over seeds."""
    return float(np.mean([result["test"][figure]["value"] for result in results]))


def interval(result: Result, figure: str) -> str:
    """Return the bootstrap interval of a test figure, as text."""
    low, high = result["test"][figure]["interval"]
    return f"{low:.3f} to {high:.3f}"


def seeds(results: Iterable[Result], figure: str, digits: int) -> str:
    """Return a test figure of every seed, as text."""
    return " ".join(f"{result['test'][figure]['value']:.{digits}f}" for result in results)


def step_time(recipe: str) -> str:
    """Return the measured time of a step, as text."""
    file = RESULTS / "step-times.json"
    measured = json.loads(file.read_text())["seconds_per_step"] if file.exists() else {}
    return f"{1e3 * measured[recipe]:.0f} ms" if recipe in measured else "-"


def classification(results: list[Result], init: str) -> list[str]:
    """Return the table of the classifiers on zoos with one kind of start."""
    chosen = [r for r in results if r["task"] == "classification" and r["init"] == init and not r["overrides"]]
    lines = [
        "| model | parameters | accuracy, mean | each seed | 95 % interval, seed 0 | permuted and flipped, mean "
        "| largest change of a probability, float32, float64 | time of a step |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, group in by_model(chosen).items():
        change = [max(r["largest_change_of_a_probability"][p] for r in group) for p in ("float32", "float64")]
        lines.append(
            f"| {LABELS[name]} | {group[0]['parameters']:,} | {mean(group, 'accuracy'):.3f} "
            f"| {seeds(group, 'accuracy', 3)} | {interval(group[0], 'accuracy')} "
            f"| {mean(group, 'accuracy_permuted_and_flipped'):.3f} | {change[0]:.1e}, {change[1]:.1e} "
            f"| {step_time(group[0]['recipe'])} |"
        )
    return lines


def editing(results: list[Result], edit: str) -> list[str]:
    """Return the tables of the editors for one edit: errors, and paired differences."""
    chosen = [r for r in results if f"/{edit}-" in r["recipe"] and not r["overrides"]]
    groups = by_model(chosen)
    one = chosen[0]
    lines = [
        "| editor | parameters | test MSE, mean | each seed | 95 % interval, seed 0 | permuted and flipped, mean "
        "| max abs(delta(g x) - g delta(x)) / max abs(delta(x)) | the same with shifts | time of a step |",
        "|---|---|---|---|---|---|---|---|---|",
        *(
            f"| {label} | 0 | {one['test'][figure]['value']:.4f} | | {interval(one, figure)} | | | | |"
            for label, figure in (("do nothing", "do_nothing"), ("the mean target for all", "mean_target"))
        ),
    ]
    for name, group in groups.items():
        label = "monomial, as published" if name == "monomial" else LABELS[name]
        commutes, shifted = (
            max(result["equivariance"].get(name, 0.0) for result in group)
            for name in ("float64", "float64_with_shifts")
        )
        with_shifts = f"{shifted:.1e}" if shifted else "-"
        lines.append(
            f"| {label} | {group[0]['parameters']:,} | {mean(group, 'mse'):.4f} | {seeds(group, 'mse', 4)} "
            f"| {interval(group[0], 'mse')} | {mean(group, 'mse_permuted_and_flipped'):.4f} | {commutes:.1e} "
            f"| {with_shifts} | {step_time(group[0]['recipe'])} |"
        )
    leader = next(iter(groups))
    lines += [
        "",
        f"Paired difference of the test MSE, {LABELS[leader]} minus the other, each picture's error averaged over the",
        "seeds; 95 % bootstrap interval over pictures:",
        "",
        f"| {LABELS[leader]} minus | seeds | difference | 95 % interval |",
        "|---|---|---|---|",
    ]
    for rival in ("monomial-strict", "monomial", "np"):
        if rival == leader:
            continue
        first, second = groups[leader], groups[rival]
        pictures = sorted(first[0]["mse_of_each_picture"])
        ours, theirs = (
            np.mean([[result["mse_of_each_picture"][p] for p in pictures] for result in group], axis=0)
            for group in (first, second)
        )
        difference = with_interval(mean_difference, ours, theirs)
        low, high = difference.interval
        label = "monomial, as published" if rival == "monomial" else LABELS[rival]
        number = f"{len(first)} and {len(second)}"
        lines.append(f"| {label} | {number} | {difference.value:+.4f} | {low:+.4f} to {high:+.4f} |")
    return lines


def designs(results: list[Result], recipe: str, figure: str) -> list[str]:
    """Return the table of a recipe's designs that were tried, with seed 0."""
    tried = [r for r in results if r["recipe"] == recipe and r["seed"] == 0]
    like = [r for r in tried if r["init"] == next(t for t in tried if t["overrides"])["init"]]
    lines = [
        f"| what differs from the recipe | parameters | validation {figure} | test {figure} |",
        "|---|---|---|---|",
    ]
    for result in sorted(like, key=lambda r: len(r["overrides"])):
        differs = ", ".join(f"`{override}`" for override in result["overrides"]) or "nothing"
        lines.append(
            f"| {differs} | {result['parameters']:,} | {result['validation'][figure]:.4f} "
            f"| {result['test'][figure]['value']:.4f} |"
        )
    return lines


def page() -> str:
    """Return the whole page."""
    results = load()
    one = next(r for r in results if r["task"] == "classification")
    editor = next(iter(by_model(r for r in results if r["task"] == "editing")))
    times = RESULTS / "step-times.json"
    threads = json.loads(times.read_text())["threads"] if times.exists() else 1
    parts = [
        "# Results on implicit neural representations",
        "",
        "<!-- written by scripts/inr_results.py from docs/results/inr; change nothing here by hand -->",
        "",
        "SIRENs of scikit-learn's digits (16x16, 2 -> 16 -> 16 -> 1, omega 15) and of 32x32 patches of its two",
        "photographs (2 -> 32 -> 32 -> 3, omega 30), split by picture; of the digits",
        f"{one['networks']['train']} train, {one['networks']['val']} validate, {one['networks']['test']} test.",
        "The model of the best validation figure, on test pictures that nothing was chosen on. *Permuted and flipped*:",
        "the same networks after random permutations and sign flips of hidden neurons, which change no picture.",
        "Intervals: bootstrap over pictures.",
        f"Time of a step: batch 32, {threads} thread{'s' * (threads > 1)}, all models of a table measured in turns.",
        "",
        "    mnfn zoo build siren --images digits --init shared -o shared",
        "    mnfn zoo build siren --images digits -o random",
        "    mnfn zoo build siren --images photos -o photos",
        "    mnfn train --recipe classification/digits-MODEL --zoo shared -o RUN --seed S      # and --zoo random",
        "    mnfn train --recipe editing/digits-dilate-MODEL --zoo random -o RUN --seed S",
        "    mnfn train --recipe editing/photos-contrast-MODEL --zoo photos -o RUN --seed S",
        "    python benchmarks/inr_step.py -o docs/results/inr/step-times.json",
        "    python scripts/inr_results.py RUN...",
        "",
        "## Which digit is it?",
        "",
        "All networks fitted from one shared start:",
        "",
        *classification(results, "shared"),
        "",
        "Each network fitted from a start of its own:",
        "",
        *classification(results, "random"),
        "",
        "## Dilate a digit",
        "",
        *editing(results, "digits-dilate"),
        "",
        "Before, after the first of these editors (seed 0), target; twelve test pictures:",
        "",
        f"![dilated digits](pictures/digits-dilate-{editor}.png)",
        "",
        "## Raise the contrast of a photograph",
        "",
        *editing(results, "photos-contrast"),
        "",
        f"![photographs of more contrast](pictures/photos-contrast-{editor}.png)",
        "",
        "## Designs that were tried",
        "",
        "Of the strict editor, on digits, dilation, seed 0:",
        "",
        *designs(results, "editing/digits-dilate-monomial-strict", "mse"),
        "",
        "Of the monomial classifier, on digits from one shared start, seed 0:",
        "",
        *designs(results, "classification/digits-monomial", "accuracy"),
    ]
    return "\n".join(parts) + "\n"


def main() -> None:
    """Collect and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="*")
    for run in parser.parse_args().runs:
        collect(run)
    (DOCS / "inr-results.md").write_text(page())


if __name__ == "__main__":
    main()
