"""The part of docs/results.md on functionals that lead, from the result files that ``scripts/leading.py`` kept."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tables import commands, number, show, table, taus

DOCS = Path(__file__).resolve().parents[1] / "docs"
RESULTS = DOCS / "results" / "leading"
GROWTH = DOCS / "pictures" / "growth.png"
LABELS = {
    "monomial": "monomial",
    "statnn": "STATNN",
    "np": "NP",
    "hnp": "HNP",
    "gnn": "GNN",
    "canonical-statistics": "MLP on canonical statistics",
    "monomial-canonical": "monomial, canonical, with statistics",
    "gnn-canonical": "GNN, canonical, with statistics",
    "trees": "trees on S and P",
    "learned-test-set": "learned test set",
    "hybrid": "hybrid, trees on Y, S and P",
}
NETWORKS = {"relu-1400": "ReLU, 16x16, 1,400 training networks", "tanh": "tanh, 16x16", "relu-8x8": "ReLU, 8x8"}
TRANSFER = {
    "relu-short": "trained for 3 epochs instead of 10",
    "relu-negative": "of pictures with black and white exchanged",
}
SIZES = (250, 700, 1400, 5000)

Rows = Sequence[Mapping[str, Any]]


def load(name: str) -> Any:
    """Return a kept file."""
    return json.loads((RESULTS / f"{name}.json").read_text())


def trained_on(zoo: str) -> Rows:
    """Return the results of all sweeps on a zoo."""
    return [row for file in sorted(RESULTS.glob(f"sweep-{zoo}-*.json")) for row in json.loads(file.read_text())]


def by_model(rows: Rows) -> dict[str, list[Mapping[str, Any]]]:
    """Group results by model, those that read weights alone first, in the page's order; seeds ascend."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: row["seed"]):
        groups.setdefault(row["recipe"].partition("/")[2].partition("-")[2], []).append(row)
    return {name: groups[name] for name in LABELS if name in groups}


def accuracy(zoo: str) -> list[str]:
    """Return the table of tau, of intervals and of the flag, of all models that were trained on a zoo."""
    results = trained_on(zoo)
    rows = []
    for name, group in by_model(results).items():
        low, high = group[0]["test"]["tau"]["interval"]
        intervals = [row["intervals"] for row in group if row.get("intervals")]
        alarms = [row["unlike"]["false_alarms"] for row in group if row.get("unlike")]
        rows.append(
            [
                LABELS[name],
                group[0]["reads"],
                f"{group[0]['parameters']:,}",
                show(taus(group)),
                f"{low:.3f} to {high:.3f}",
                show([figures["coverage"] for figures in intervals]) if intervals else "",
                show([figures["median_width"] for figures in intervals]) if intervals else "",
                show(alarms) if alarms else "",
                f"{np.mean([row['seconds']['in_all'] for row in group]):.0f}",
            ]
        )
    heading = ["functional", "reads", "numbers learned", "tau, mean ± sd over seeds", "95 % interval, seed 0"]
    heading += ["90 % intervals hold", "their median width", "flagged (5 % promised)", "seconds a run"]
    sceptic = load(f"just-test-{zoo.partition('-')[0] if zoo != 'relu-8x8' else zoo}")
    return [*table(heading, rows), "", *_coverage(results), *_sceptic(sceptic), *commands(results)]


def _coverage(results: Rows) -> list[str]:
    """Say how many runs have intervals that hold less or more of the test networks than chance explains."""
    found = [row["intervals"] for row in results if row.get("intervals")]
    far = sum(abs(figures["coverage"] - figures["level"]) > figures["two_standard_errors"] for figures in found)
    bound = max(figures["two_standard_errors"] for figures in found)
    return [
        f"Of {len(found)} runs, whose intervals were calibrated on halves of the same validation networks, those of",
        f"{far} hold a share further than two standard errors ({bound:.3f}) from the promised 0.9.",
        "",
    ]


def _sceptic(found: Mapping[str, Any]) -> list[str]:
    just = ", ".join(f"{each['tau']:.3f} on {count}" for count, each in found["just_test"].items())
    ceilings = " and ".join(f"{value:.3f} ({name})" for name, value in found["ceiling"].items())
    return [
        f"*Just test it*: tau of the accuracy on labelled training pictures is {just}. The labels are accuracies on",
        f"{found['held_out_pictures']} pictures; their noise would let the truth itself reach {ceilings}.",
    ]


def moved(zoo: str) -> list[str]:
    """Return the table of tau under group elements, and of the largest change of a prediction."""
    evaluation = load(f"moved-{zoo}")
    groups: dict[str, dict[str, list[Mapping[str, Any]]]] = {}
    reads = {}
    for row in evaluation["rows"]:
        recipe = Path(row["run"]).name.rpartition("-seed")[0].removeprefix("generalization-")
        name = recipe.partition("-")[2]
        reads[name] = row["reads"]
        groups.setdefault(name, {}).setdefault(row["networks"], []).append(row)
    heading: list[str] = []
    rows = []
    for name in (name for name in LABELS if name in groups):
        versions = groups[name]
        heading = ["functional", "reads", *versions, "largest change of tau", "of a prediction"]
        heading += ["most pairs reordered", "at most so far apart"]
        cells = [[float("nan") if row["tau"] is None else row["tau"] for row in found] for found in versions.values()]
        change = np.abs(np.array(cells[1:]) - np.array(cells[0])).max()
        largest = max(row["largest_change"] for found in versions.values() for row in found)
        shown = [show(values).partition(" ")[0] for values in cells]
        moved_by = [f"{change:.4f}" if change == change else "undefined", f"{largest:.1e}"]
        pairs, apart = (
            max(row[figure] for found in versions.values() for row in found)
            for figure in ("reordered_pairs", "reordered_apart")
        )
        rows.append([LABELS[name], reads[name], *shown, *moved_by, str(pairs), f"{apart:.1e}"])
    return [*table(heading, rows), "", f"    {evaluation['command'].replace(' -q', '')}", ""]


def _grown() -> tuple[dict[str, list[list[float]]], dict[str, str]]:
    """Return tau of each functional for every number of training networks, and what it reads."""
    found = {size: by_model(trained_on(f"relu-{size}")) for size in SIZES}
    curves = {name: [taus(found[size][name]) for size in SIZES] for name in found[SIZES[0]]}
    return curves, {name: found[SIZES[0]][name][0]["reads"] for name in curves}


def growth() -> list[str]:
    """Return the figure of tau against the number of training networks, and the table of it."""
    curves, reads = _grown()
    rows = [[LABELS[name], reads[name], *map(show, values)] for name, values in curves.items()]
    heading = ["functional", "reads", *(f"{size:,} networks" for size in SIZES)]
    return [f"![tau against the number of training networks](pictures/{GROWTH.name})", "", *table(heading, rows), ""]


def draw_growth() -> None:
    """Draw tau against the number of training networks, beside tests on labelled pictures and the labels' noise."""
    curves, reads = _grown()
    sceptic = load("just-test-relu")
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9.6, 5.2), layout="constrained")
    axes.set_prop_cycle(color=[*pyplot.rcParamsDefault["axes.prop_cycle"].by_key()["color"], "black"])
    for name, values in curves.items():
        style = "-" if reads[name] == "runs the network" else "--"
        axes.plot(SIZES, list(map(np.mean, values)), style, marker="o", markersize=3, label=LABELS[name])
    for count, each in sceptic["just_test"].items():
        axes.axhline(each["tau"], color="0.75", linewidth=0.8)
        axes.text(
            SIZES[-1], each["tau"], f"tested on {count} pictures", fontsize=7, color="0.45", ha="right", va="bottom"
        )
    low, high = sorted(sceptic["ceiling"].values())
    axes.axhspan(low, high, color="0.9")
    axes.text(SIZES[0], high, "what the labels' noise allows", fontsize=7, color="0.45", va="bottom")
    axes.set(xscale="log", xlabel="training networks", ylabel="test tau")
    axes.set_xticks(SIZES, [f"{size:,}" for size in SIZES], minor=False)
    axes.minorticks_off()
    title = "solid: runs the network\ndashed: weights alone"
    figure.legend(fontsize=7, title=title, title_fontsize=7, loc="outside right upper")
    figure.savefig(GROWTH, dpi=110, metadata={"Software": None})
    pyplot.close(figure)


def transfer() -> list[str]:
    """Return the table of functionals on zoos that they were not trained on."""
    rows = []
    for name, group in by_model(trained_on("relu-1400")).items():
        cells: list[str] = []
        for zoo in TRANSFER:
            found = [load(f"transfer-{zoo}-generalization-relu-{name}-seed{row['seed']}") for row in group]
            cells += [
                show([number(each["tau"]) for each in found]),
                show([each["coverage"] for each in found]),
                show([each["flagged"] for each in found]),
            ]
        rows.append([LABELS[name], group[0]["reads"], *cells])
    heading = ["functional", "reads"]
    for words in TRANSFER.values():
        heading += [f"{words}: tau", "90 % intervals hold", "flagged"]
    return [*table(heading, rows), ""]


def section() -> list[str]:
    """Return the lines of the page."""
    lines = [
        "## Functionals that lead",
        "",
        "Zoos of new seeds, built after code and recipes were fixed (commit `a6dd2f9`). *Weights alone*: no network is",
        "run. *Runs the network*: on inputs that it learned or drew; nothing but the checkpoint is needed.",
        "[What they are](functionals.md). Functionals take the epochs of their recipes, but at most the steps of",
        "these on 1,400 networks; monomial, STATNN, NP, HNP and GNN, as published, at most those of 50 epochs on 700.",
        "",
    ]
    for zoo, words in NETWORKS.items():
        lines += [f"{words}:", "", *accuracy(zoo)]
    lines += ["Under the networks' symmetries, neurons permuted too:", ""]
    for zoo in ("relu-1400", "tanh"):
        lines += moved(zoo)
    lines += ["With more and fewer training networks (ReLU, the same validation and test networks):", "", *growth()]
    lines += ["Read on zoos that they were not trained on, 600 networks each:", "", *transfer()]
    return lines
