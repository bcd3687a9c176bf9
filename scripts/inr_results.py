"""Write docs/inr-results.md from result files: no figure on it is typed.

python scripts/inr_results.py RUN...      takes what the page needs out of finished runs into docs/results/inr, and
                                          out of evaluations of such runs (mnfn evaluate RUN... --shifts 1,3)
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

from mnfn_cli.recipe import load_recipe
from mnfn_cli.tasks.metrics import mean_difference, with_interval

DOCS = Path(__file__).resolve().parents[1] / "docs"
RESULTS = DOCS / "results" / "inr"
SHIFTS = RESULTS / "shifts"
NEW_SEEDS = RESULTS / "new-seeds"
PICTURES = DOCS / "pictures"
ORDER = ("probe", "graded", "monomial-strict", "monomial", "absolute", "np", "hnp", "mlp")
LABELS = {
    "probe": "learned points",
    "graded": "graded (ours)",
    "monomial-strict": "monomial, strict (ours)",
    "monomial": "monomial",
    "absolute": "absolute value, then HNP",
    "np": "NP",
    "hnp": "HNP",
    "mlp": "MLP",
}

Result = Mapping[str, Any]


def describe(run: Path) -> dict[str, Any]:
    """Return the recipe of a finished run, the overrides beside it, the start of its INRs, and its file name here."""
    description = json.loads((run / "run.json").read_text())
    if description["state"] != "done":
        raise SystemExit(f"{run}: not done")
    result = json.loads((run / "result.json").read_text())
    command = shlex.split(description["command"])
    recipe, init = command[command.index("--recipe") + 1], description["inr"]["init"]
    overrides = sorted(word for word in command if "=" in word and not word.startswith("-"))
    name = "+".join([f"{recipe.replace('/', '-')}-{init}-{result['seed']}", *overrides])
    return {"name": name, "recipe": recipe, "overrides": overrides, "init": init, "seed": result["seed"]}


def collect_shifts(evaluation: Path) -> None:
    """Keep the figures of each run of an evaluation under shifts."""
    document = json.loads((evaluation / "evaluation.json").read_text())
    figure = "mse" if document["task"] == "editing" else "accuracy"
    SHIFTS.mkdir(parents=True, exist_ok=True)
    for run in document["augmented"]:
        about = describe(Path(run))
        rows = [row for row in document["rows"] if row["run"] == run]
        kept = about | {
            "task": document["task"],
            "model": rows[0]["model"],
            "networks": document["count"],
            "rows": [
                {
                    "networks": row["networks"],
                    "shifts": row.get("shifts", 0),
                    "value": row[figure],
                    "largest_change": row["largest_change"],
                }
                for row in rows
            ],
        }
        (SHIFTS / f"{kept.pop('name')}.json").write_text(json.dumps(kept, indent=1, allow_nan=False) + "\n")


def collect(run: Path, folder: Path = RESULTS) -> None:
    """Keep what the page needs of a run in a folder: a small JSON file, and the picture of an edit."""
    about = describe(run)
    name, recipe, overrides = about["name"], about["recipe"], about["overrides"]
    result = json.loads((run / "result.json").read_text())
    kept = {
        "recipe": recipe,
        "overrides": overrides,
        "init": about["init"],
        "networks": result["data"]["networks"],
        "versions": result["versions"],
        **{name: result[name] for name in ("task", "model", "parameters", "seed", "steps", "test", "validation")},
        **{name: result[name] for name in ("largest_change_of_a_probability", "equivariance") if name in result},
    }
    if result["task"] == "editing":
        with (run / "errors.csv").open() as file:
            kept["mse_of_each_picture"] = {row["network"]: round(float(row["mse"]), 7) for row in csv.DictReader(file)}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(kept, indent=1, allow_nan=False) + "\n")
    drawn = folder == RESULTS and result["model"] in ("graded", "monomial-strict")
    if drawn and result["seed"] == 0 and not overrides:
        PICTURES.mkdir(exist_ok=True)
        shutil.copyfile(run / "edits.png", PICTURES / f"{recipe.split('/')[1]}.png")


def load(folder: Path = RESULTS) -> list[Result]:
    """Return every kept result of a folder."""
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*-[0-9]*.json"))]


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
    times = json.loads(file.read_text())["seconds_per_step"] if file.exists() else {}
    return f"{1e3 * times[recipe]:.0f} ms" if recipe in times else "-"


def shifts(task: str, init: str) -> list[str]:
    """Return the table of how far true shifts move the answers of each model, from the kept evaluations.

    Runs with overrides stand for a model of which no other is kept.
    """
    found = [json.loads(path.read_text()) for path in sorted(SHIFTS.glob("*.json"))]
    found = [entry for entry in found if (entry["task"], entry["init"]) == (task, init)]
    plain = {entry["model"] for entry in found if not entry["overrides"]}
    groups = by_model(entry for entry in found if not (entry["overrides"] and entry["model"] in plain))
    conditions = [(row["networks"], row["shifts"]) for row in next(iter(groups.values()))[0]["rows"]]
    digits = 4 if task == "editing" else 3
    names = [f"shifts up to {most}" if most else label for label, most in conditions]
    answer = "pixel" if task == "editing" else "probability"
    lines = [
        f"| model | reads | seeds | {' | '.join(names)} | largest change of a {answer}, flips; flips and shifts |",
        "|---|---|---|" + "---|" * (len(names) + 1),
    ]
    for name, group in groups.items():
        means = [np.mean([entry["rows"][n]["value"] for entry in group]) for n in range(len(conditions))]
        changes = [
            max(
                row["largest_change"]
                for entry in group
                for row, (label, most) in zip(entry["rows"], conditions, strict=True)
                if label != "original" and bool(most) == shifted
            )
            for shifted in (False, True)
        ]
        figures = " | ".join(f"{value:.{digits}f}" for value in means)
        reads = load_recipe(group[0]["recipe"]).model.reads
        label = LABELS[name] + "".join(f", `{override}`" for override in group[0]["overrides"])
        lines.append(f"| {label} | {reads} | {len(group)} | {figures} | {changes[0]:.1e}; {changes[1]:.1e} |")
    return lines


def classification(results: list[Result], init: str) -> list[str]:
    """Return the table of the classifiers on zoos with one kind of start."""
    chosen = [r for r in results if r["task"] == "classification" and r["init"] == init and not r["overrides"]]
    lines = [
        "| model | reads | parameters | accuracy, mean | each seed | 95 % interval, seed 0 "
        "| permuted and flipped, mean | largest change of a probability, float32, float64 | time of a step |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, group in by_model(chosen).items():
        reads = load_recipe(group[0]["recipe"]).model.reads
        change = [max(r["largest_change_of_a_probability"][p] for r in group) for p in ("float32", "float64")]
        lines.append(
            f"| {LABELS[name]} | {reads} | {group[0]['parameters']:,} | {mean(group, 'accuracy'):.3f} "
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
        if rival == leader or rival not in groups:
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


def new_seeds() -> list[str]:
    """Return the section of the functionals that lead, on zoos that were built after code and recipes were fixed."""
    one, ten, photos = (load(NEW_SEEDS / zoo) for zoo in ("one-start", "ten-starts", "photos"))
    return [
        "## Functionals that lead, on zoos of new seeds",
        "",
        "Built after code and recipes were fixed (commit `a6dd2f9`), split anew by picture; the tables above are of",
        "the zoos that designs were chosen on, by their validation networks.",
        "",
        "    python scripts/leading_inr.py FOLDER",
        "",
        "Which digit, each network fitted from a start of its own, one start a picture:",
        "",
        *classification(one, "random"),
        "",
        "Which digit, ten starts a picture:",
        "",
        *classification(ten, "random"),
        "",
        "Dilate a digit:",
        "",
        *editing(one, "digits-dilate"),
        "",
        "Raise the contrast of a photograph:",
        "",
        *editing(photos, "photos-contrast"),
        "",
    ]


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
        "<!-- none run: they made the figures, in minutes to days -->",
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
        "    mnfn train --recipe classification/digits-MODEL --zoo shared -o RUN --seed 0      # and --zoo random",
        "    mnfn train --recipe editing/digits-dilate-MODEL --zoo random -o RUN --seed 0",
        "    mnfn train --recipe editing/photos-contrast-MODEL --zoo photos -o RUN --seed 0",
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
        *new_seeds(),
        "## Moves under true shifts",
        "",
        "A sine is unchanged too if a bias is shifted by k pi / omega and the outgoing weights take the sign (-1)^k",
        "([the full group](symmetries.md#the-full-group-of-a-sine)). The published layers know the signs and not the",
        "shifts. Here are the same test networks after permutations and flips, and after shifts besides, with k drawn",
        "from the integers in [-K, K]: other weights, the same pictures. Overrides of a recipe stand beside the model.",
        "",
        "    mnfn evaluate RUN... --shifts 1,3 -o EVALUATION",
        "    python scripts/inr_results.py EVALUATION",
        "",
        "Accuracy on digits from one shared start:",
        "",
        *shifts("classification", "shared"),
        "",
        "Mean squared error of dilated digits, each INR from a start of its own:",
        "",
        *shifts("editing", "random"),
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
        (collect_shifts if (run / "evaluation.json").exists() else collect)(run)
    (DOCS / "inr-results.md").write_text(page())


if __name__ == "__main__":
    main()
