"""Import the Small CNN Zoo of Unterthiner et al. (2020), "Predicting Neural Network Accuracy from Weights".

A folder holds checkpoints of many small CNNs, which were trained on one set of grey pictures: ``weights.npy``, a row
for each checkpoint; ``metrics.csv.gz``, a row for each row of the weights, in the same order; and ``layout.csv``, which
columns of the weights are which tensor. docs/formats.md describes these files and the zoo that is made of them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mnfn_cli.errors import DataError
from mnfn_cli.runtime.context import Context
from mnfn_cli.storage.atomic import sha256
from mnfn_cli.symmetry import GROUP_OF_ACTIVATION
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.zoo.importers.cnn_metrics import ACTIVATION, LOSSES, read_metrics
from mnfn_cli.zoo.importers.cnn_split import Protocol, Selection, StrayRow
from mnfn_cli.zoo.importers.keras_layout import KerasLayout, read_layout
from mnfn_cli.zoo.importers.npy_rows import NpyRows
from mnfn_cli.zoo.importers.source_files import source_file, source_folder
from mnfn_cli.zoo.plan import BLOCK_BYTES, Plan
from mnfn_cli.zoo.record import spaces_of
from mnfn_cli.zoo.table import SPACE_COLUMN

if TYPE_CHECKING:
    import polars as pl

FORMAT = "small-cnn-zoo"
FINAL_STEP = 86
FILES = ("weights.npy", "metrics.csv.gz", "layout.csv")
SPLIT_FILE_ENDS = ("split.csv", "split.txt")


def plan_small_cnn_zoo(
    path: Path,
    *,
    protocol: Protocol,
    step: int = FINAL_STEP,
    where: Mapping[str, str] | None = None,
    split_file: Path | None = None,
    stray_row: StrayRow = "drop",
    skip_bad: bool = False,
    context: Context | None = None,
) -> Plan:
    """Plan the import of the networks of one step, split as in published comparisons.

    The networks are put in the order of the split file, or of ``weights.npy`` if there is none, and those of ``step``
    are kept. The second half of what is left is test. ``random.Random(0)`` shuffles the places in the first half; the
    first 80 % of them are train, the others val. The table has this order. The id of a network is the number of its row
    in ``weights.npy``, counted from 0, as text.

    Args:
        path: the folder with ``weights.npy``, ``metrics.csv.gz`` and ``layout.csv``.
        protocol: what happens to activations, which changes the published figures. ``nfn`` keeps all of them,
            ``monomial`` keeps the one that ``where`` names and then splits, ``scalegmn`` splits and then keeps it.
        step: the stage of each training to import, a value of the column ``step``; 86 is the final one.
        where: keep only networks that have these values in these ``config.*`` columns. ``config.activation`` is
            treated as ``protocol`` says; all others are kept or left out before the split. Values are equal if the
            texts are, or if both are equal numbers (``1e-3`` and ``0.001``).
        split_file: a file with the order of the rows: a 0, then every row once, one a line. By default it is the file
            in the folder whose name ends in ``split.csv`` or ``split.txt``, if there is one.
        stray_row: how to read the 0 at the start of a split file, a heading that got lost: ``drop`` leaves it out;
            ``keep`` reads it as row 0, as published loaders do, so that row 0 is there twice. The network that the
            stray 0 names then has the id ``0-stray``. If the two fall into different splits, that is a leak.
        skip_bad: leave out networks with a weight that is not finite, after the split, instead of raising an error.
        context: where progress is reported and interrupts are noticed.

    Returns:
        the plan, with a weight space for each activation, and numbers in the dtype of the file.

    Raises:
        UsageError: ``protocol`` or ``stray_row`` is unknown, or ``nfn`` is to keep one activation.
        DataError: a file is missing or damaged or leads out of the folder, the files contradict each other, no network
            is left, or a weight is not finite. The file is named, and the row and the column where there is one.
    """
    folder = source_folder(path, ", ".join(FILES))
    weights_file, metrics_file, layout_file = (source_file(folder, name) for name in FILES)
    order_file = split_file or _find_split_file(folder)
    selection = Selection(protocol, step, dict(where or {}), order_file, stray_row)
    weights = NpyRows(weights_file)
    layout = read_layout(layout_file, weights.columns)
    table, notes = _choose(metrics_file, selection, weights.rows)
    table, skipped = _without_bad(weights, layout, table, skip_bad, context or Context())
    activations = sorted(table[ACTIVATION].unique().to_list())
    spaces = spaces_of([(layout.spec(activation), None) for activation in activations])
    space_of = {activation: space.name for activation, space in zip(activations, spaces, strict=True)}
    rows = {space_of[name]: table.filter(table[ACTIVATION] == name)["row"].to_numpy() for name in activations}

    def read(space: str, chosen: range) -> WeightSpaceFeatures:
        return layout.features(weights.read(rows[space][chosen.start : chosen.stop]))

    sums = {file.name: sha256(file) for file in (metrics_file, layout_file, order_file) if file is not None}
    made = {"format": FORMAT, "source": str(path), **selection.to_json(), "sha256": sums}
    return Plan(
        sources=[path],
        spaces=spaces,
        table=_zoo_table(table, space_of),
        read=read,
        made={**made, "split_protocol": selection.in_words()},
        identity={**made, "weights": list(weights.identity), "skip_bad": skip_bad},
        images=_images(table),
        skipped=skipped,
        notes=notes,
    )


def _find_split_file(folder: Path) -> Path | None:
    found = sorted(file.name for file in folder.iterdir() if file.name.endswith(SPLIT_FILE_ENDS))
    if len(found) > 1:
        raise DataError(folder, f"holds several split files, {', '.join(found)}; name one with --split-file")
    return source_file(folder, found[0]) if found else None


def _choose(file: Path, selection: Selection, rows: int) -> tuple["pl.DataFrame", list[str]]:
    """Return the chosen networks, with columns ``id`` and ``split``, and what the user should know about them."""
    metrics = read_metrics(file, selection.step, rows)
    if metrics.table.is_empty():
        steps = ", ".join(map(str, metrics.steps[:50]))
        raise DataError(f"{file}:step", f"no network has step {selection.step}; there are {steps}")
    table = selection.apply(metrics.table, rows, file)
    _check_activations(file, table)
    notes = selection.notes(table)
    if missing := sum(table[name].null_count() for name in LOSSES):
        notes.append(f"{missing} losses are no finite numbers, and are missing in the table")
    if metrics.ignored:
        notes.append(f"columns that are not imported: {', '.join(metrics.ignored)}")
    return table, notes


def _check_activations(file: Path, table: "pl.DataFrame") -> None:
    for row, activation in table.select("row", ACTIVATION).unique(ACTIVATION, keep="first").sort("row").iter_rows():
        if activation not in GROUP_OF_ACTIVATION:
            problem = f"'{activation or ''}' is unknown; known: {', '.join(GROUP_OF_ACTIVATION)}"
            raise DataError(f"{file}:row {row}:{ACTIVATION}", problem)


def _without_bad(
    weights: NpyRows, layout: KerasLayout, table: "pl.DataFrame", skip_bad: bool, context: Context
) -> tuple["pl.DataFrame", list[DataError]]:
    """Return the networks whose weights are all finite, and an error for each of the others.

    Raises:
        DataError: there are others and ``skip_bad`` is False, or there are only others; all are named.
    """
    rows = np.unique(table["row"].to_numpy())
    block = max(BLOCK_BYTES // (weights.columns * weights.dtype.itemsize), 1)
    bad: dict[int, str] = {}
    context.progress.start("checking", len(rows))
    for start in range(0, len(rows), block):
        context.interruption.check(weights.file, "nothing was written")
        chosen = rows[start : start + block]
        finite = np.isfinite(weights.read(chosen))
        for place in np.flatnonzero(~finite.all(axis=1)).tolist():
            bad[int(chosen[place])] = layout.name_of(int(finite[place].argmin()))
        context.progress.advance(len(chosen))
    if not bad:
        return table, []
    fails = not skip_bad or len(bad) == len(rows)
    advice = "; leave such networks out with --on-bad skip" if fails and not skip_bad else ""
    errors = [
        DataError(f"{weights.file}:row {row}:{name}", f"is not finite (NaN or infinity){advice}")
        for row, name in sorted(bad.items())
    ]
    if fails:
        raise DataError.together(errors)
    return table.filter(~np.isin(table["row"].to_numpy(), list(bad))), errors


def _zoo_table(table: "pl.DataFrame", space_of: Mapping[str, str]) -> "pl.DataFrame":
    import polars as pl

    first = [pl.col("id"), pl.col("split"), pl.col(ACTIVATION).alias("activation")]
    if len(space_of) > 1:
        first.insert(2, pl.col(ACTIVATION).replace_strict(space_of).alias(SPACE_COLUMN))
    measured = ["test_accuracy", "train_accuracy", "test_loss", "train_loss", "step"]
    return table.select(*first, *measured, pl.col("^config\\..*$"), pl.col("^modeldir$"))


def _images(table: "pl.DataFrame") -> dict[str, Any]:
    """Return the data set on which the networks were trained, if the table names one."""
    names = table["config.dataset"].unique().to_list() if "config.dataset" in table.columns else []
    return {"source": names[0]} if len(names) == 1 else {}
