"""Draw the map of the code from its imports, and write docs/inside/code-map.md.

``python scripts/code_map.py`` reads the layers from the import contract of pyproject.toml and the imports from the
source (grimp). A test compares the page with both.
"""

import tomllib
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import grimp

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "inside" / "code-map.md"
PICTURE = ROOT / "docs" / "pictures" / "code-map.png"
PACKAGE = "mnfn_cli"
LEFT, RIGHT = 0.4, 8.6
ASIDE = {"nn": -1.4, "models": -0.3, "testing": 0.5}
"""Boxes that stand out of the middle of their row, so that no arrow goes through one."""
WAY_PAGE = PAGE.with_name("batch.md")
WAY_RECIPE = "generalization/relu-monomial"
FILL, EDGE, LINE = "#e8f1f4", "#1f6f8b", "#c8553d"


@dataclass(frozen=True)
class Step:
    """A function on the way of a batch, in the order in which ``mnfn train`` first calls them.

    Attributes:
        place: the file, below ``src/mnfn_cli``.
        function: the function's qualified name.
        says: what it does there.
    """

    place: str
    function: str
    says: str


WAY = [
    Step("cli/train.py", "train", "reads the options; torch is imported here at the earliest."),
    Step("recipe/loading.py", "load_recipe", "makes one checked object of the YAML file and the overrides."),
    Step("tasks/training.py", "train_run", "does the same for every task: opens zoos, trains, measures, writes."),
    Step(
        "zoo/store.py", "open_zoo", "reads zoo.json and table.csv, and checks sizes and shapes; no weight is read yet."
    ),
    Step("tasks/functional.py", "build_functional", "builds the module that the recipe's section `model` declares."),
    Step(
        "training/run_folder.py", "create_run", "makes the run's folder, in state `running`, with its resolved recipe."
    ),
    Step("tasks/data.py", "load_split", "chooses the rows of a split, and reads the targets from the table."),
    Step(
        "storage/tensors.py", "map_tensors", "maps the shards into memory: a safetensors file is read where it is used."
    ),
    Step("weightspace/lazy.py", "read_pieces", "copies the rows out of the map, for zoos that fit in memory."),
    Step("training/loop.py", "run_job", "is the loop: steps, validations, states to resume from."),
    Step("training/loop.py", "_step", "one step: zero the gradients, loss, backward, optimizer."),
    Step("tasks/batch_loss.py", "BatchLoss.__call__", "derives the batch from the number of the step and the seed."),
    Step(
        "weightspace/mixed.py",
        "act_at_random",
        "acts on each network with an element of its own, if the recipe augments.",
    ),
    Step(
        "weightspace/group.py",
        "MonomialElement.act",
        "permutes, scales or flips the neurons of the whole batch at once.",
    ),
    Step(
        "tasks/generalization.py",
        "Generalization.loss",
        "asks the functional and compares its answers with the targets.",
    ),
    Step("models/accuracy.py", "AccuracyPredictor.forward", "features, an MLP, a number for each network."),
    Step(
        "nn/blockwise.py",
        "BlockwiseInvariant.forward",
        "all monomial layers on one block after another, as it lies in memory.",
    ),
    Step("nn/blocks.py", "arrange", "puts the entries that a layer may combine beside each other."),
    Step(
        "nn/monomial.py", "MonomialLinear.maps", "gives the matrix of each block: the theorem of the paper in numbers."
    ),
    Step("nn/invariant.py", "MeanPool.join", "has what no element changes: scales divided out, means over neurons."),
    Step("tasks/target.py", "Target.loss", "cross-entropy between bounds, Huber's loss without."),
    Step(
        "training/step_log.py",
        "StepLog.add",
        "adds up gradients over processes, and looks for losses that are not finite.",
    ),
    Step(
        "training/loop.py",
        "_validate",
        "after each epoch: figures on the validation networks; the best weights are kept.",
    ),
    Step("training/metrics_file.py", "append_metrics", "adds a line to metrics.jsonl."),
    Step("training/state.py", "save_state", "writes all that resuming needs, in one file that appears whole."),
    Step("tasks/training.py", "_conclude", "loads the test networks, now and once, and the best weights."),
    Step(
        "tasks/generalization.py", "Generalization.conclude", "writes predictions.csv; returns tau with its interval."
    ),
    Step("tasks/invariance.py", "measure_invariance", "acts on the test networks and notes by how much answers move."),
    Step(
        "report/card.py", "present_run", "draws the pictures and writes the card, from result.json and run.json alone."
    ),
    Step(
        "training/run_folder.py", "RunFolder.finish", "sets the state to `done`; before that no command reads the run."
    ),
]

WAY_TEXT = """# The way of a batch

<!-- written by scripts/code_map.py; change nothing here by hand -->

From a zoo's shard to `result.json`: what `mnfn train --recipe {recipe}` calls, in the order of
the first calls. Files are in `src/mnfn_cli`. A test runs the command, watches its calls, and compares them with
this list.

{steps}

The numbers stand beside the packages on [the map](code-map.md).

What to know before changing something on this way:

* A step depends on its number and the seed alone, so a resumed run computes the same bits. Random draws come from
  `runtime/seeds.py`, a generator for each purpose.
* Nothing prints but `cli/`; the engine is handed a `Context` (`runtime/context.py`) with device, progress and
  interruption.
* Every file appears whole under its name, or not at all (`storage/atomic.py`).
* A functional sees raw weights as `WeightSpaceFeatures` (`weightspace/features.py`): `(batch, 1, out, in, *kernel)` and
  `(batch, 1, out)` for each layer.
"""

TEXT = """# A map of the code

<!-- written by scripts/code_map.py from the imports and from pyproject.toml; change nothing here by hand -->

![packages in layers, and which imports which](../pictures/code-map.png)

A package imports those in rows below its own, and never one above; those of one row may import each other only where
the contract says so. `make lint` checks this (import-linter, `pyproject.toml`). An arrow that follows from others is
not drawn, nor is `errors`, which all import; the table has all. The numbers are [the way of a batch](batch.md).

{table}

Three more rules, checked in the same way:

{rules}

Where to begin reading: `nn/blocks.py` and `nn/monomial.py` hold the theorem of the paper as a table and as a layer;
`tasks/training.py` is a training run from recipe to result. [The way of a batch](batch.md) goes through both, and
[where to add things](adding.md) names the place for a model, a task, a format, an activation.
"""


def contracts() -> list[dict[str, Any]]:
    """Return the contracts of import-linter."""
    found: list[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
    return found


def layers() -> list[list[str]]:
    """Return the packages of each layer, from the highest to the lowest, by their short names."""
    (contract,) = (contract for contract in contracts() if contract["type"] == "layers")
    rows = [row.replace("|", ":").split(":") for row in contract["layers"]]
    return [[name.strip().removeprefix(f"{PACKAGE}.") for name in row] for row in rows]


def imports() -> dict[str, list[str]]:
    """Return by package those that it imports, in the order of the layers; an import inside a function counts too."""
    names = [name for row in layers() for name in row]
    graph = grimp.build_graph(PACKAGE)
    found: dict[str, set[str]] = {name: set() for name in names}
    for module in graph.modules:
        for other in graph.find_modules_directly_imported_by(module):
            one, two = (f"{path}.".split(".")[1] for path in (module, other))
            if one in found and two in found and one != two:
                found[one].add(two)
    return {name: [other for other in names if other in found[name]] for name in names}


def about(name: str) -> str:
    """Return the first sentence of a package's docstring."""
    text = " ".join((import_module(f"{PACKAGE}.{name}").__doc__ or "").split("\n\n")[0].split())
    return text.replace("``", "`")


def page() -> str:
    """Return the page."""
    rows = ["| package | what is in it | imports |", "|---|---|---|"]
    found = imports()
    for row in layers():
        for name in row:
            others = ", ".join(other for other in found[name] if other != "errors")
            rows.append(f"| `{name}` | {about(name)} | {others} |")
    rules = "\n".join(f"* {contract['name']}." for contract in contracts() if contract["type"] != "layers")
    return TEXT.format(table="\n".join(rows), rules=rules)


def needed(found: dict[str, list[str]]) -> list[tuple[str, str]]:
    """Return the imports that do not follow from others: a package imports what its imports import, all the more."""

    def below(name: str) -> set[str]:
        return set(found[name]).union(*map(below, found[name]))

    return [
        (name, other)
        for name in found
        for other in found[name]
        if not any(other in below(third) for third in found[name])
    ]


def draw(picture: Path) -> None:
    """Draw the layers as rows of boxes, an arrow for each import that does not follow, and the steps of the way."""
    from matplotlib.figure import Figure

    rows = layers()[:-1]
    figure = Figure(figsize=(9, 8), layout="constrained")
    axes = figure.subplots()
    frame = {"boxstyle": "round,pad=0.5", "facecolor": FILL, "edgecolor": EDGE}
    boxes, places = {}, {}
    for number, row in enumerate(rows):
        for k, name in enumerate(row):
            apart = min(2.2, (RIGHT - LEFT) / len(row))
            place = (4.5 + (k - (len(row) - 1) / 2) * apart + ASIDE.get(name, 0), float(len(rows) - number))
            steps = [number for number, step in enumerate(WAY, 1) if step.place.startswith(f"{name}/")]
            room = "\u2007" * (2 * len(runs(steps)) // 3)  # as wide as the numbers that stand there
            text = axes.text(
                *place, f"{name}\n{room}" if steps else name, ha="center", va="center", fontsize=11, bbox=frame
            )
            axes.text(
                place[0], place[1] - 0.17, runs(steps), ha="center", va="center", fontsize=8.5, color=LINE, zorder=4
            )
            places[name], boxes[name] = place, text
    figure.canvas.draw()
    drawn = {
        name: [other for other in others if other in places] for name, others in imports().items() if name in places
    }
    for name, other in needed(drawn):
        ends = {"patchA": boxes[name].get_bbox_patch(), "patchB": boxes[other].get_bbox_patch()}
        arrow = {"arrowstyle": "-|>", "color": EDGE, "linewidth": 1.2, "shrinkA": 1, "shrinkB": 1, **ends}
        axes.annotate("", places[other], places[name], arrowprops=arrow, zorder=2)
    axes.set_xlim(LEFT, RIGHT)
    axes.set_ylim(0.5, len(rows) + 0.5)
    axes.set_axis_off()
    figure.savefig(picture, dpi=120)


def runs(numbers: list[int]) -> str:
    """Return numbers in words, neighbours joined.

    >>> runs([1, 2, 3, 7])
    '1-3, 7'
    """
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ", ".join(str(part[0]) if len(part) == 1 else f"{part[0]}-{part[-1]}" for part in parts)


def way() -> str:
    """Return the page on the way of a batch."""
    steps = [f"{number}. `{step.place}` `{step.function}`: {step.says}" for number, step in enumerate(WAY, 1)]
    return WAY_TEXT.format(recipe=WAY_RECIPE, steps="\n".join(steps))


def main() -> None:
    """Draw the map and write both pages."""
    draw(PICTURE)
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page())
    WAY_PAGE.write_text(way())


if __name__ == "__main__":
    main()
