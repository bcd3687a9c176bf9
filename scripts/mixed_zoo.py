"""Train on one zoo of ReLU and tanh networks of three widths, and on each of its parts; write docs/mixed-results.md.

python scripts/mixed_zoo.py FOLDER    builds the zoos, trains and evaluates in FOLDER, and keeps what the page needs
python scripts/mixed_zoo.py           writes the page again from what is kept in docs/results/mixed

What is there already in FOLDER is not made again, so an interrupted call continues.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from mnfn_cli import open_zoo
from mnfn_cli.tasks.metrics import kendall_tau
from run_once import run_once
from tables import show, table

DOCS = Path(__file__).resolve().parents[1] / "docs"
RESULTS = DOCS / "results" / "mixed"
MNFN = Path(sys.executable).with_name("mnfn")
PARTS = [(activation, width) for activation in ("relu", "tanh") for width in (8, 16, 24)]
NAMES = [f"{activation}-{width}" for activation, width in PARTS]
MODELS = {"monomial": "monomial", "gnn": "GNN"}
RECIPES = [word for model in MODELS for word in ("--recipe", f"generalization/mixed-{model}")]
SEEDS = (0, 1, 2)
LABELS = {"relu": "ReLU", "tanh": "tanh"}

INTRODUCTION = f"""\
Six zoos of CNNs trained on scikit-learn's digits (16x16; three convolutions of one width with stride 2, a dense layer
to 10 classes), merged into one zoo of six weight spaces. `generalization/mixed-monomial` has one set of parameters for
the ReLU networks of all widths and one for the tanh networks; `generalization/mixed-gnn` has one set for all. Both were
trained on the whole zoo (*together*) and on each part (*alone*), with the same settings and the same number of epochs;
so a model that is trained together takes as many steps as the six that are trained alone take in all. Figures are
Kendall's tau of predicted and true test accuracy, on test networks that nothing was chosen on: means over {len(SEEDS)}
seeds with the standard deviation over seeds."""
OVER_ALL = """\
Tau over all test networks also ranks networks of one weight space against those of another. It is high for a functional
that knows which weight spaces have the better networks, so it should be read beside the table above. *Alone*: the
predictions of the six models, each on the test networks of its part."""

Rows = Sequence[Mapping[str, Any]]


def make(folder: Path) -> None:
    """Build the zoos, join them, train on the whole and on each part, and evaluate two runs on the whole."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (name, (activation, width)) in enumerate(zip(NAMES, PARTS, strict=True), 1):
        options = ["--activation", activation, "--channels", f"{width},{width},{width}", "--seed", str(seed)]
        run_once(folder, name, ["zoo", "build", "cnn", "--images", "digits", *options, "--count", "250"])
    run_once(folder, "mixed", ["zoo", "merge", *NAMES])
    for zoo in ("mixed", *NAMES):
        seeds = ["--seeds", ",".join(map(str, SEEDS))]
        run_once(folder, f"sweep-{zoo}", ["sweep", *RECIPES, *seeds, "--zoo", zoo, "training.epochs=30"])
    for zoo in NAMES:
        longer = ["--zoo", zoo, "training.epochs=180", "training.validate_every=66"]
        run_once(folder, f"steps-{zoo}", ["sweep", "--recipe", "generalization/mixed-gnn", "--seeds", "0", *longer])
    runs = [f"sweep-mixed/generalization-mixed-{model}-seed0" for model in MODELS]
    run_once(folder, "evaluation", ["evaluate", *runs, "--scales", "1,1e4"])


def collect(folder: Path) -> None:
    """Keep what the page needs: descriptions of the zoos, the results of the sweeps, and the evaluation."""
    zoos = []
    for name in NAMES:
        zoo = open_zoo(folder / name)
        splits = {split: len(zoo.rows(split)) for split in ("train", "val", "test")}
        quartiles = [zoo.table["test_accuracy"].quantile(q) for q in (0.25, 0.5, 0.75)]
        zoos.append({"numbers": zoo.spec.num_parameters, **splits, "quartiles": quartiles})
    keep("zoos", zoos)
    alone: dict[str, list[float]] = {}
    for model in MODELS:
        for seed in SEEDS:
            run = f"generalization-mixed-{model}-seed{seed}"
            files = [folder / f"sweep-{name}" / run / "predictions.csv" for name in NAMES]
            answers = pl.concat([pl.read_csv(file).select("predicted_accuracy", "true_accuracy") for file in files])
            alone.setdefault(model, []).append(kendall_tau(*answers.to_numpy().T))
    keep("alone-on-all", alone)
    for name in ("mixed", *NAMES):
        keep(f"sweep-{name}", json.loads((folder / f"sweep-{name}" / "results.json").read_text()))
    for name in NAMES:
        keep(f"steps-{name}", json.loads((folder / f"steps-{name}" / "results.json").read_text()))
    keep("evaluation", json.loads((folder / "evaluation" / "evaluation.json").read_text()))


def keep(name: str, document: Any) -> None:
    """Write a file that ``load`` reads."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")


def load(name: str) -> Any:
    """Return a kept file."""
    return json.loads((RESULTS / f"{name}.json").read_text())


def of_model(rows: Rows, model: str) -> Rows:
    """Return the results of a sweep with this model; seeds ascend."""
    return sorted((row for row in rows if row["model"] == model), key=lambda row: row["seed"])


def zoos() -> list[str]:
    """Return the table of the parts."""
    rows = []
    for (activation, width), zoo in zip(PARTS, load("zoos"), strict=True):
        quartiles = " ".join(f"{value:.2f}" for value in zoo["quartiles"])
        splits = " ".join(str(zoo[split]) for split in ("train", "val", "test"))
        rows.append([LABELS[activation], str(width), f"{zoo['numbers']:,}", splits, quartiles])
    return table(["activation", "width", "numbers a network", "train, validate, test", "accuracy, quartiles"], rows)


def within() -> list[str]:
    """Return the table of tau within each part, of the models that were trained on it alone and on the whole."""
    whole = load("sweep-mixed")
    taus: dict[tuple[str, str], list[list[float]]] = {}
    rows = []
    for name, (activation, width) in zip(NAMES, PARTS, strict=True):
        cells = [LABELS[activation], str(width)]
        for model in MODELS:
            alone = [row["test"]["tau"]["value"] for row in of_model(load(f"sweep-{name}"), model)]
            together = [_tau_within(row, activation, width) for row in of_model(whole, model)]
            taus.setdefault((model, "alone"), []).append(alone)
            taus.setdefault((model, "together"), []).append(together)
            cells += [show(alone), show(together), f"{np.mean(together) - np.mean(alone):+.3f}"]
        rows.append(cells)
    cells = ["mean of the parts", ""]
    for model in MODELS:
        # Over the parts first, for each seed; the standard deviation is then over seeds.
        alone, together = (list(np.mean(taus[model, how], axis=0)) for how in ("alone", "together"))
        cells += [show(alone), show(together), f"{np.mean(together) - np.mean(alone):+.3f}"]
    heading = ["activation", "width"]
    for label in MODELS.values():
        heading += [f"{label}, alone", f"{label}, together", "difference"]
    return table(heading, [*rows, cells])


def _tau_within(row: Mapping[str, Any], activation: str, width: int) -> float:
    figures = next(
        entry
        for entry in row["by_weight_space"]
        if entry["spec"]["activation"] == activation and entry["spec"]["widths"][1] == width
    )
    return float(figures["test"]["tau"]["value"])


def over_all() -> list[str]:
    """Return the table of sizes, steps, and tau over the test networks of all parts."""
    rows = []
    for model, label in MODELS.items():
        whole = of_model(load("sweep-mixed"), model)
        parts = [of_model(load(f"sweep-{name}"), model) for name in NAMES]
        for how, parameters, steps, taus in (
            (
                "alone, six models",
                sum(part[0]["parameters"] for part in parts),
                sum(part[0]["steps"] for part in parts),
                load("alone-on-all")[model],
            ),
            (
                "together",
                whole[0]["parameters"],
                whole[0]["steps"],
                [row["test"]["tau"]["value"] for row in whole],
            ),
        ):
            rows.append([label, how, f"{parameters:,}", f"{steps:,}", show(taus)])
    return table(["model", "trained", "parameters", "steps", "tau over all test networks"], rows)


def longer() -> list[str]:
    """Return the table of the graph networks of seed 0 that were trained alone for as many steps as together.

    A sentence under it says how much of the gain is due to the steps.
    """
    whole = of_model(load("sweep-mixed"), "gnn")[0]
    rows, taus = [], []
    for name, (activation, width) in zip(NAMES, PARTS, strict=True):
        few, many = of_model(load(f"sweep-{name}"), "gnn")[0], load(f"steps-{name}")[0]
        alone = [run["test"]["tau"]["value"] for run in (few, many)]
        taus.append([*alone, _tau_within(whole, activation, width)])
        rows.append([LABELS[activation], str(width), *(f"{tau:.3f}" for tau in taus[-1])])
    means = np.mean(taus, axis=0)
    rows.append(["mean of the parts", "", *(f"{tau:.3f}" for tau in means)])
    share = f"Of what the mean gains together, {(means[1] - means[0]) / (means[2] - means[0]):.0%} is gained alone too."
    hows = [f"alone, {few['steps']:,} steps", f"alone, {many['steps']:,} steps", f"together, {whole['steps']:,} steps"]
    return [*table(["activation", "width", *hows], rows), "", share]


def acted_on() -> list[str]:
    """Return the table of the evaluation."""
    rows = []
    for row in load("evaluation")["rows"]:
        inside = np.mean([entry["test"]["tau"]["value"] for entry in row["by_weight_space"]])
        change = f"{row['largest_change']:.1e}"
        rows.append([MODELS[row["model"]], row["networks"], f"{row['tau']:.3f}", f"{inside:.3f}", change])
    heading = ["model, seed 0", "test networks", "tau over all", "mean of tau within the parts"]
    return table([*heading, "largest change of a prediction"], rows)


def commands() -> list[str]:
    """Return the commands that made the results, each once, as a block of code."""
    found = [row["command"] for name in ("mixed", *NAMES) for row in load(f"sweep-{name}")]
    found += [row["command"] for name in NAMES for row in load(f"steps-{name}")]
    found.append(load("evaluation")["command"])
    return ["    python scripts/mixed_zoo.py FOLDER", "", *(f"    {command}" for command in dict.fromkeys(found))]


def page() -> str:
    """Return the whole page."""
    parts = [
        "# Results: one zoo of several weight spaces",
        "",
        "<!-- written by scripts/mixed_zoo.py from docs/results/mixed; change nothing here by hand -->",
        "<!-- none run: they made the figures, in minutes to days -->",
        "",
        INTRODUCTION,
        "",
        *zoos(),
        "",
        "## Within each weight space",
        "",
        "With so few test networks in a part, the standard error of one tau is as large as many of the differences.",
        "",
        *within(),
        "",
        "Is it the number of steps? The GNN of seed 0, also trained alone for as many steps as together, with as many",
        "validations:",
        "",
        *longer(),
        "",
        "## Over all weight spaces",
        "",
        OVER_ALL,
        "",
        *over_all(),
        "",
        "## Tested on weights that were acted on",
        "",
        "Each network was acted on by a random element of its own group: neurons of ReLU networks were rescaled, those",
        "of tanh networks flipped, and all were permuted.",
        "",
        *acted_on(),
        "",
        "## Commands",
        "",
        *commands(),
    ]
    return "\n".join(parts).rstrip("\n") + "\n"


def main() -> None:
    """Make, collect and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    if (folder := parser.parse_args().folder) is not None:
        make(folder)
        collect(folder)
    (DOCS / "mixed-results.md").write_text(page())


if __name__ == "__main__":
    main()
