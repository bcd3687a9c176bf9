"""Join the networks of a folder with their labels and splits, from a table or from the files themselves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mnfn_cli.errors import DataError, UsageError
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.weightspace.spec_checks import is_inr
from mnfn_cli.zoo.importers.columns import ACCURACY, CLASS, check_accuracies, check_classes, numbers, typed
from mnfn_cli.zoo.importers.label_file import FileNames, LabelFile, Row, read_label_file
from mnfn_cli.zoo.importers.network_files import CheckedFile
from mnfn_cli.zoo.importers.network_splits import SPLIT, check_splits, draw_by_group
from mnfn_cli.zoo.splits import leaks
from mnfn_cli.zoo.table import SPACE_COLUMN

IMAGE, SOURCE = "image_id", "source_id"
TEXTS = (SPLIT, IMAGE, SOURCE, CLASS)
"""Columns that stay texts even if all of them look like numbers."""

OWN = ("id", SPACE_COLUMN, "activation")
"""Columns that every import writes itself."""

NO_LABELS = (*OWN, "file", "spec", "format", "init", "start", "size", "pixel_range")
"""Keys in the metadata of a file that are no columns of the table."""


@dataclass(frozen=True)
class LabelOptions:
    """Where labels and splits come from.

    Args:
        file: the table, in CSV or JSON; None to take labels from the metadata of the files.
        key: the column of the table that names the files; None for the usual ones.
        target: the column that is to be learned; None if it has its usual name already, or there is none.
        fractions: the fraction of each split, to draw splits; None to take those that are stated, if there are some.
        seed: the seed of drawn splits.

    >>> from pathlib import Path
    >>> from mnfn_cli.zoo import LabelOptions
    >>> LabelOptions(file=Path("labels.csv"), target="accuracy").target
    'accuracy'
    """

    file: Path | None = None
    key: str | None = None
    target: str | None = None
    fractions: Mapping[str, float] | None = None
    seed: int = 0

    def read(self) -> LabelFile | None:
        """Read the table, if there is one; raises DataError or UsageError if that fails."""
        return None if self.file is None else read_label_file(self.file, self.key)


@dataclass(frozen=True)
class Labelled:
    """Networks with their labels.

    Args:
        files: the files of the networks.
        columns: the columns of the zoo's table.
        errors: an error for each network that has no usable labels, and for each row that names no network.
        made: what zoo.json records about labels and splits.
        notes: sentences that the user should read.
    """

    files: Sequence[CheckedFile]
    columns: Mapping[str, Sequence[Any]]
    errors: Sequence[DataError] = ()
    made: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()


def label_networks(
    files: Sequence[CheckedFile],
    ids: Mapping[str, str],
    options: LabelOptions,
    table: LabelFile | None,
    specs: Sequence[NetworkSpec],
) -> Labelled:
    """Join networks with labels and splits.

    The column ``options.target`` is written as ``class`` for INRs, and as ``test_accuracy`` for other networks, where
    it must be a number in [0, 1]. Every network must have it. Networks of one ``image_id`` or with one ``source_id``
    are drawn into one split.

    Args:
        files: the files that can be imported.
        ids: the id of each file of the folder, also of those that cannot be imported, by its path inside the folder.
        options: where labels and splits come from.
        table: the table of labels; None to take the metadata of the files.
        specs: the specifications of the weight spaces of the files.

    Raises:
        UsageError: there is no column ``options.target``, or the table has a column with its usual name too.
    """
    kept, rows, places, errors = _rows(files, list(ids), table)
    names = list(table.columns) if table else sorted({name for row in rows for name in row})
    dropped = OWN if table else NO_LABELS
    texts = {name: [row.get(name) for row in rows] for name in names if name not in dropped}
    inr = bool(specs) and all(map(is_inr, specs))
    target = CLASS if inr else ACCURACY
    if options.target is not None:
        texts = _renamed(texts, options.target, target)
    faults = _other_activations(kept, rows, places, specs)
    columns: dict[str, list[Any]] = {}
    called = {target: options.target or target}
    required = options.target is not None
    for name, values in texts.items():
        wrong: dict[int, DataError] = {}
        if name == ACCURACY:
            columns[name] = numbers(values)
            wrong = check_accuracies(columns[name], places, called.get(name, name), required and not inr)
        elif name in TEXTS:
            columns[name] = list(values)
        else:
            columns[name], wrong = typed(name, values, places)
        faults = wrong | faults
    if inr and required:
        faults = check_classes(columns[CLASS], places, called[CLASS]) | faults
    stated = options.fractions is None and any(columns.get(SPLIT, ()))
    if stated:
        faults = check_splits(columns[SPLIT], places) | faults
    good = [row for row in range(len(kept)) if row not in faults]
    columns = {name: [values[row] for row in good] for name, values in columns.items()}
    return _divided(
        [kept[row] for row in good],
        ids,
        columns,
        options,
        stated,
        [*errors, *(faults[row] for row in sorted(faults))],
        _made(options, table, target, len(good), len(files) - len(kept)),
    )


def _rows(
    files: Sequence[CheckedFile], names: Sequence[str], table: LabelFile | None
) -> tuple[list[CheckedFile], list[Row], list[str], list[DataError]]:
    """Return the files that have a row, their rows, the name of each row for errors, and errors."""
    if table is None:
        return list(files), [checked.metadata for checked in files], [str(checked.file.path) for checked in files], []
    matched, errors = table.match(names)
    numbers = {name: number for number, name in enumerate(names)}
    kept, rows, places = [], [], []
    for checked in files:
        number = matched.get(numbers[checked.file.name])
        if number is None:
            errors.append(DataError(checked.file.path, f"has no row in {table.path}"))
            continue
        kept.append(checked)
        rows.append(table.rows[number])
        places.append(table.places[number])
    return kept, rows, places, errors


def _other_activations(
    files: Sequence[CheckedFile], rows: Sequence[Row], places: Sequence[str], specs: Sequence[NetworkSpec]
) -> dict[int, DataError]:
    """Return by their rows errors for networks whose label says another activation than the one they are read with."""
    faults = {}
    for number, (checked, row) in enumerate(zip(files, rows, strict=True)):
        said, used = row.get("activation"), specs[checked.space].activation
        if said is not None and said.lower() not in (used, used.replace("_", "")):
            faults[number] = DataError(f"{places[number]}:activation", f"'{said}', and the network is read with {used}")
    return faults


def _renamed(texts: Mapping[str, list[str | None]], column: str, target: str) -> dict[str, list[str | None]]:
    if column not in texts:
        raise UsageError("--label", f"there is no column '{column}'; there are {', '.join(texts) or 'none'}")
    if column != target and target in texts:
        raise UsageError("--label", f"'{column}' would become {target}, and there is a column of that name")
    return {target if name == column else name: values for name, values in texts.items()}


def _divided(
    files: Sequence[CheckedFile],
    ids: Mapping[str, str],
    columns: dict[str, list[Any]],
    options: LabelOptions,
    stated: bool,
    errors: Sequence[DataError],
    made: Mapping[str, Any],
) -> Labelled:
    """Return the networks with ids and splits."""
    own = [ids[checked.file.name] for checked in files]
    if SOURCE in columns:
        find, every = FileNames(list(ids)), list(ids.values())
        found = [[] if text is None else find(text) for text in columns[SOURCE]]
        columns[SOURCE] = [
            every[numbers[0]] if len(numbers) == 1 else text
            for numbers, text in zip(found, columns[SOURCE], strict=True)
        ]
    nothing = [None] * len(own)
    pairs = zip(columns.get(IMAGE, nothing), columns.get(SOURCE, nothing), own, strict=True)
    groups = [image or source or name for image, source, name in pairs]
    notes = []
    if stated:
        splits, protocol = columns[SPLIT], "as stated for each network"
        if torn := leaks(groups, splits):
            notes.append(f"{torn} pictures or sources have networks in several splits, so that splits know each other")
    else:
        splits, protocol = draw_by_group(groups, options.seed, options.fractions, "copies and their source")
    rest = {name: values for name, values in columns.items() if name != SPLIT}
    table = {"id": own, SPLIT: splits, "file": [checked.file.name for checked in files], **rest}
    return Labelled(files, table, errors, {"split_protocol": protocol, **made}, notes)


def _made(options: LabelOptions, table: LabelFile | None, target: str, matched: int, without: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if table is not None:
        found = {"file": str(table.path), "key": table.key, "rows": len(table.rows)}
        found |= {"matched": matched, "networks_without_row": without}
    if options.target is not None:
        found |= {"target": options.target, "written_as": target}
    return {"labels": found} if found else {}
