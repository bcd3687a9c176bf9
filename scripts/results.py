"""Write docs/results.md, on predicting generalisation, from result files: no figure on it is typed.

python scripts/results.py FOLDER...   takes what the page needs out of zoos, sweeps and evaluations
python scripts/results.py             writes the page again from what is there

What is kept lies in docs/results/generalization. The benchmarks write their files there themselves.
"""

import argparse
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from leading_page import draw_growth, section
from mnfn_cli import open_zoo
from mnfn_cli.report.published import ABLATION, DATA_SET, published_tau
from mnfn_cli.tasks.condition import Condition, Range
from tables import LABELS, commands, number, show, table, taus

DOCS = Path(__file__).resolve().parents[1] / "docs"
RESULTS = DOCS / "results" / "generalization"
PICTURES = DOCS / "pictures"
ACTIVATIONS = {"relu": "ReLU", "tanh": "tanh"}
RANGES = (10, 100, 1000, 10000)
PICTURED = "relu-one-seed"

INTRODUCTION = f"""\
Networks of the Small CNN Zoo's architecture (1 -> 16 -> 16 -> 16 channels, 3x3 kernels, stride 2, no padding, dense
16 -> 10) trained on scikit-learn's digits at 16x16. Figures are Kendall's tau between predicted and true test
accuracy, on test networks that nothing was chosen on, of the model with the best validation tau. Batches of 8, Adam,
learning rate 0.001. A mean over seeds comes with the standard deviation over seeds; the interval of one seed is a 95
% bootstrap interval over test networks. What the paper published was measured on another data set ({DATA_SET}) and
stands apart. Under every table stand the commands that made it; `CLONE` in them is a clone of
MathematicalAI-NUS/Monomial-NFN."""

Rows = Sequence[Mapping[str, Any]]


def collect(folder: Path) -> None:
    """Keep what the page needs of a zoo, a sweep or an evaluation."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    PICTURES.mkdir(exist_ok=True)
    if (folder / "zoo.json").exists():
        zoo = open_zoo(folder)
        tenths, _ = np.histogram(zoo.table["test_accuracy"].to_numpy(), bins=10, range=(0, 1))
        splits = {split: len(zoo.rows(split)) for split in ("train", "val", "test")}
        command = json.loads((folder / "zoo.json").read_text())["made"]["command"]
        _write(f"zoo-{folder.name}", {"command": command, **splits, "tenths": tenths.tolist()})
    elif (folder / "results.json").exists():
        _write(f"sweep-{folder.name}", json.loads((folder / "results.json").read_text()))
    elif (folder / "evaluation.json").exists():
        _write(f"evaluation-{folder.name}", json.loads((folder / "evaluation.json").read_text()))
        if folder.name == PICTURED:
            shutil.copyfile(folder / "robustness.png", PICTURES / f"robustness-{folder.name}.png")
    else:
        raise SystemExit(f"{folder}: no zoo, no sweep that has ended a run, and no evaluation")


def _write(name: str, document: Any) -> None:
    (RESULTS / f"{name}.json").write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")


def load(name: str) -> Any:
    """Return a kept file."""
    return json.loads((RESULTS / f"{name}.json").read_text())


def key(recipe: str) -> str:
    """Return the model part of a recipe's name, ``hnp`` of ``generalization/relu-hnp``."""
    return recipe.removeprefix("generalization").lstrip("/-").partition("-")[2]


def model_of(row: Mapping[str, Any]) -> str:
    """Return the model part of the recipe of an evaluated run of a sweep."""
    return key(Path(row["run"]).name.rpartition("-seed")[0])


def by_recipe(rows: Rows) -> dict[str, list[Mapping[str, Any]]]:
    """Group the results of a sweep by model, in the page's order."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(key(row["recipe"]), []).append(row)
    return {name: groups[name] for name in LABELS if name in groups}


def zoos() -> list[str]:
    """Return the table of the zoos."""
    found = {label: load(f"zoo-{name}") for name, label in ACTIVATIONS.items()}
    rows = [
        [label, *(str(zoo[split]) for split in ("train", "val", "test")), " ".join(map(str, zoo["tenths"]))]
        for label, zoo in found.items()
    ]
    heading = ["activation", "train", "validate", "test", "networks in each tenth of the accuracy scale"]
    return [*table(heading, rows), *commands(found.values())]


def original(activation: str) -> list[str]:
    """Return the table of all models trained and tested on original weights."""
    results = [*load(f"sweep-{activation}"), *load(f"sweep-{activation}-others")]
    published = {
        name: json.loads(file.read_text())
        for name in LABELS
        if (file := RESULTS / f"published-{activation}-{name}.json").exists()
    }
    rows = []
    for name, group in by_recipe(results).items():
        values = taus(group)
        low, high = group[0]["test"]["tau"]["interval"]
        theirs = [run["test_tau"] for run in published.get(name, [])]
        seconds = np.mean([row["seconds"]["in_all"] for row in group])
        rows.append(
            [
                LABELS[name],
                f"{group[0]['parameters']:,}",
                show(values),
                " ".join(f"{value:.3f}" for value in values),
                f"{low:.3f} to {high:.3f}",
                show(theirs) if theirs else "",
                f"{np.mean(values) - np.mean(theirs):+.3f}" if theirs else "",
                f"{seconds:.0f}",
            ]
        )
    heading = ["model", "parameters", "tau, mean ± sd", "each seed", "95 % interval, seed 0"]
    heading += ["published code, mean ± sd", "ours - published code", "seconds a run"]
    return [*table(heading, rows), *commands(results, *published.values())]


def robustness(*names: str) -> list[str]:
    """Return the table of tau under group elements, and of the largest change of any prediction.

    Args:
        names: evaluations, each with what distinguishes its runs, as ``evaluation: words``.
    """
    rows: list[list[str]] = []
    heading: list[str] = []
    documents = []
    for name, _, words in (text.partition(": ") for text in names):
        evaluation = load(f"evaluation-{name}")
        documents.append(evaluation)
        groups: dict[str, dict[str, list[Mapping[str, Any]]]] = {}
        for row in evaluation["rows"]:
            groups.setdefault(model_of(row), {}).setdefault(row["networks"], []).append(row)
        for model, versions in ((model, groups[model]) for model in LABELS if model in groups):
            heading = ["model", "seeds", *versions, "largest change of tau", "of a prediction"]
            cells = {version: [number(row["tau"]) for row in found] for version, found in versions.items()}
            start, *rest = cells.values()
            moved = np.abs(np.array(rest) - np.array(start)).max()
            changes = [row["largest_change"] for found in versions.values() for row in found]
            rows.append(
                [
                    LABELS[model] + (f", {words}" if words else ""),
                    str(len(start)),
                    *(show(values).partition(" ")[0] for values in cells.values()),
                    f"{moved:.4f}" if np.isfinite(moved) else "undefined",
                    f"{max(changes):.1e}",
                ]
            )
            paper = [_published(evaluation, found[0]) for found in versions.values()]
            if not words and model in ("monomial", "gnn") and np.isfinite(paper).all():
                shown = [f"{value:.3f}" for value in paper]
                rows.append([f"*{LABELS[model]}, published on {DATA_SET}*", "", *shown, "", ""])
    return [*table(heading, rows), *commands(documents)]


def _published(evaluation: Mapping[str, Any], row: Mapping[str, Any]) -> float:
    augmented = evaluation["augmented"][row["run"]]
    return published_tau(row["model"], augmented, _condition(evaluation["group"], row))


def _condition(group: str, row: Mapping[str, Any]) -> Condition:
    """Return the condition of a kept row; rows of the original networks say so."""
    return Condition(group, row["networks"] != "original", row["scale"] and Range(*row["scale"]))


def ablation() -> list[str]:
    """Return the table of the ablation."""
    results = load("sweep-relu-ablation")
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for result in results:
        groups.setdefault(tuple(result["variant"]), []).append(result)
    rows = []
    for variant, group in groups.items():
        layers = variant[0].count(",") + 1
        with_hnp = len(variant) > 1
        rows.append(
            [
                str(layers),
                "one" if with_hnp else "none",
                f"{group[0]['parameters']:,}",
                show(taus(group)),
                " ".join(f"{value:.3f}" for value in taus(group)),
                f"{ABLATION[layers][with_hnp]:.3f}",
            ]
        )
    heading = ["monomial layers", "HNP layers after the normalisation", "parameters", "tau, mean ± sd", "each seed"]
    return [*table([*heading, f"published on {DATA_SET}"], rows), *commands(results)]


def augmented(activation: str, learned: Mapping[str, tuple[str, str]]) -> list[str]:
    """Return the table of training on augmented networks.

    Args:
        activation: of the networks.
        learned: by how the networks were acted on, the zoo of original networks and such copies, and the sweep on it.
    """
    results = {networks: load(f"sweep-{sweep}") for networks, (_, sweep) in learned.items()}
    made = [load(f"zoo-{zoo}") for zoo, _ in learned.values()]
    evaluated = [row for row in load(f"evaluation-{activation}")["rows"] if row["run"].endswith("-seed0")]
    group = {"relu": "scale", "tanh": "sign"}[activation]
    rows = []
    for name in ("monomial", "hnp", "gnn"):
        on_original = {row["networks"]: row for row in evaluated if model_of(row) == name}
        for networks, sweep in results.items():
            moved = on_original[networks]
            published = published_tau(name, True, _condition(group, moved))
            rows.append(
                [
                    LABELS[name],
                    networks,
                    show([number(on_original["original"]["tau"])]),
                    show([number(moved["tau"])]),
                    show(taus(by_recipe(sweep)[name])),
                    f"{published:.3f}" if published == published else "",
                ]
            )
    heading = ["model", "elements", "trained and tested on original", "trained on original, tested on acted on"]
    heading += ["trained and tested on both", f"the same, published on {DATA_SET}"]
    return [*table(heading, rows), *commands(made, *results.values())]


def cost() -> list[str]:
    """Return the table of times and memory."""
    document = load("cost")
    ours = next(row for row in document["rows"] if row["recipe"].endswith("-monomial"))
    rows = []
    for row in sorted(document["rows"], key=lambda row: list(LABELS).index(key(row["recipe"]))):
        step, prediction = row["seconds_per_step"], row["seconds_per_prediction"]
        rows.append(
            [
                LABELS[key(row["recipe"])],
                f"{row['parameters']:,}",
                f"{1e3 * step:.1f} ms",
                f"{step / ours['seconds_per_step']:.2f}",
                f"{1e6 * prediction:.0f} us",
                f"{prediction / ours['seconds_per_prediction']:.2f}",
                f"{row['peak_bytes'] / 2**20:.0f} MiB",
            ]
        )
    heading = ["model", "parameters", f"training step, batch {document['step_batch']}", "ratio to monomial"]
    heading += ["prediction, a network", "ratio to monomial", "peak memory of training"]
    return [*table(heading, rows), *commands([document])]


def page() -> str:
    """Return the whole page."""
    parts = [
        "# Results: predicting accuracy from weights",
        "",
        "<!-- written by scripts/results.py from docs/results/generalization; change nothing here by hand -->",
        "<!-- none run: they made the figures, in minutes to days -->",
        "",
        INTRODUCTION,
        "",
        "## Zoos",
        "",
        *zoos(),
        "## Trained and tested on original weights",
        "",
        "*Published code*: its models, from a clone, on the same zoo, split and schedule.",
        "",
        "ReLU:",
        "",
        *original("relu"),
        "tanh:",
        "",
        *original("tanh"),
        "## Tested on weights that were acted on",
        "",
        "The same test networks and the same group elements for all models: neurons rescaled by factors from `U[1, x]`",
        "(ReLU) or with flipped signs (tanh), and permuted. *Canonical weights*: `model.canonicalize=true`. *Fresh",
        "elements*: every training batch was acted on by new random elements. Where tau is undefined a model says the",
        "same of all networks. Means over seeds where there are several.",
        "",
        "ReLU:",
        "",
        *robustness("relu", "relu-canonical: canonical weights", "relu-fresh: fresh elements"),
        f"![tau against the range of the factors](pictures/robustness-{PICTURED}.png)",
        "",
        "ReLU, scaling alone, without permutations, by the factors of the permuted elements. These runs were trained",
        "and evaluated on another machine than those above, on the networks that the same command built there; so",
        "figures on the original networks differ.",
        "",
        *robustness("relu-scaling", "relu-scaling-canonical: canonical weights"),
        "tanh:",
        "",
        *robustness("tanh", "tanh-canonical: canonical weights", "tanh-fresh: fresh elements"),
        "## Trained on augmented networks",
        "",
        "One seed. *Both*: the original networks and one copy of each that was acted on (`augment --keep-original`),",
        "in training, validation and test alike, as in the paper's tables 12 and 13; training took as many steps as on",
        "the original networks alone. Beside it the models that were trained on original networks, as in tables 14",
        "and 15.",
        "",
        *augmented("relu", {f"U[1, {x}], permuted": (f"relu-{x}", f"relu-augmented-{x}") for x in RANGES}),
        *augmented("tanh", {"sign flips, permuted": ("tanh-flipped", "tanh-augmented")}),
        "## Ablation",
        "",
        "ReLU, original weights: the last monomial layer has 5 channels, those before it 16; an HNP layer between the",
        "normalisation and the mean has 5 channels and a ReLU.",
        "",
        *ablation(),
        *section(),
        "## What the models cost",
        "",
        f"On the ReLU zoo, models in turns, {load('cost')['threads']} thread. Peak memory is of a process of its own,",
        "beyond what it held before: the model, its gradients, Adam's moments, the activations of a batch.",
        "",
        *cost(),
    ]
    return "\n".join(parts).rstrip("\n") + "\n"


def main() -> None:
    """Collect and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="*")
    for folder in parser.parse_args().folders:
        collect(folder)
    draw_growth()
    (DOCS / "results.md").write_text(page())


if __name__ == "__main__":
    main()
