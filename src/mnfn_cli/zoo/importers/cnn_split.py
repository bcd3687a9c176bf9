"""Which networks of the Small CNN Zoo are chosen, in which order, and how they are split."""

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from mnfn_cli.errors import DataError, UsageError
from mnfn_cli.regular_files import read_regular
from mnfn_cli.zoo.importers.cnn_metrics import ACTIVATION, number

if TYPE_CHECKING:
    import polars as pl

Protocol = Literal["nfn", "monomial", "scalegmn"]
StrayRow = Literal["drop", "keep"]

STRAY = "-stray"
"""What is added to the id of the row that the stray ``0`` of a split file names again."""

_INDEX = re.compile(rb"[0-9]{1,12}")
_LONGEST_LINE = 16
_FEW = 20


@dataclass(frozen=True)
class Selection:
    """The choice of networks, and the protocol by which they are split.

    Args:
        protocol: ``nfn`` keeps all activations, ``monomial`` keeps one before the split, ``scalegmn`` after it.
        step: the step of the networks.
        where: the texts that ``config.*`` columns must have.
        split_file: the file with the order of the rows; None for that of the weights.
        stray_row: whether the ``0`` at the start of that file is dropped or kept, as row 0.

    Raises:
        UsageError: ``protocol`` or ``stray_row`` is unknown, or ``nfn`` is to keep one activation.
    """

    protocol: Protocol
    step: int
    where: Mapping[str, str] = field(default_factory=dict)
    split_file: Path | None = None
    stray_row: StrayRow = "drop"

    def __post_init__(self) -> None:
        for option, value, known in (
            ("--protocol", self.protocol, get_args(Protocol)),
            ("--stray-row", self.stray_row, get_args(StrayRow)),
        ):
            if value not in known:
                raise UsageError(option, f"'{value}' is unknown; known: {', '.join(known)}")
        if self.protocol == "nfn" and ACTIVATION in self.where:
            problem = f"protocol nfn keeps all activations; with {ACTIVATION} take monomial or scalegmn"
            raise UsageError("--where", problem)

    def order(self, rows: int) -> np.ndarray:
        """Return the numbers of all rows in the order in which they are split; with a stray row, 0 is there twice."""
        if self.split_file is None:
            return np.arange(rows)
        order = read_order(self.split_file, rows)
        return order if self.stray_row == "drop" else np.concatenate([[0], order])

    def apply(self, table: "pl.DataFrame", rows: int, file: Path) -> "pl.DataFrame":
        """Return the chosen networks, with columns ``id`` and ``split``.

        Args:
            table: all networks of the step, by ascending ``row``.
            rows: the number of rows of the weights.
            file: the file of the table, for errors.

        Raises:
            DataError: a column or a value of ``where`` is not in the table, no network is left, or the split file is
                damaged.
        """
        import polars as pl

        texts = {column: _equal_texts(file, table, column, value) for column, value in self.where.items()}
        places = np.full(rows, -1)
        places[table["row"].to_numpy()] = np.arange(table.height)
        order = self.order(rows)
        known = places[order]
        ids = order.astype(str).astype(object)
        if len(order) > rows:
            ids[0] += STRAY
        table = table[known[known >= 0]].with_columns(id=pl.Series(ids[known >= 0].tolist(), dtype=pl.String))
        late = {ACTIVATION} if self.protocol == "scalegmn" else set()
        for column in texts.keys() - late:
            table = table.filter(pl.col(column).is_in(texts[column]))
        table = table.with_columns(split=pl.Series(split_names(table.height), dtype=pl.String))
        for column in texts.keys() & late:
            table = table.filter(pl.col(column).is_in(texts[column]))
        if table.is_empty():
            raise DataError(file, f"no network of step {self.step} has {self._conditions(self.where)}")
        return table

    def in_words(self) -> str:
        """Return the protocol, the order and the choice of the networks in a sentence, for zoo.json and result.json."""
        one = {name: value for name, value in self.where.items() if name == ACTIVATION}
        others = {name: value for name, value in self.where.items() if name != ACTIVATION}
        kept = self._conditions(one) if one else "all activations"
        how = {"nfn": f"{kept}, split", "monomial": f"{kept}, then split", "scalegmn": f"split, then {kept}"}
        order = "weights.npy"
        if self.split_file is not None:
            order = f"{self.split_file.name} {'without' if self.stray_row == 'drop' else 'with'} its stray row"
        chosen = f"step {self.step}" + (f" and {self._conditions(others)}" if others else "")
        return f"{self.protocol}: {how[self.protocol]}; {chosen}, in the order of {order}"

    def notes(self, table: "pl.DataFrame") -> list[str]:
        """Return what the user should know about the split of the chosen networks."""
        notes = []
        if self.split_file is None:
            notes.append("no split file: the networks are split in the order of weights.npy, unlike published ones")
        elif self.stray_row == "keep":
            twice = dict(table.filter(table["row"] == 0).select("id", "split").iter_rows())
            stray = f"the stray 0 of {self.split_file.name}"
            if not twice:
                notes.append(f"{stray} changes nothing, because row 0 is not among the networks")
            else:
                splits = sorted(set(twice.values()))
                where = f"both in {splits[0]}" if len(splits) == 1 else f"in {' and '.join(splits)}, which is a leak"
                notes.append(f"{stray} puts row 0 there twice, as {' and '.join(sorted(twice))}: {where}")
        if self.protocol != "nfn" and table[ACTIVATION].n_unique() > 1:
            notes.append(f"protocol {self.protocol} keeps one activation, and none is chosen with --where {ACTIVATION}")
        return notes

    def to_json(self) -> dict[str, Any]:
        """Return the choices for zoo.json."""
        return {
            "protocol": self.protocol,
            "step": self.step,
            "where": dict(self.where),
            "split_file": None if self.split_file is None else self.split_file.name,
            "stray_row": None if self.split_file is None else self.stray_row,
        }

    @staticmethod
    def _conditions(where: Mapping[str, str]) -> str:
        return " and ".join(f"{name}={value}" for name, value in where.items())


def read_order(file: Path, rows: int) -> np.ndarray:
    """Read a split file: a ``0``, which is the heading of a column that got lost, then every row once, one a line.

    Args:
        file: the path of the file.
        rows: the number of rows of the weights.

    Returns:
        the numbers of the rows without the stray ``0``, ``(rows,)``.

    Raises:
        DataError: a line is no number, or a number is out of range or there twice.
    """
    limit = _LONGEST_LINE * (rows + 2)
    try:
        content = read_regular(file, limit)
    except OSError as error:
        raise DataError(file, f"cannot read: {error.strerror}") from None
    lines = content.splitlines()
    if len(lines) != rows + 1 or len(content) == limit:
        raise DataError(file, f"holds {len(lines)} lines; for the {rows} rows of the weights it has {rows + 1}")
    order = np.array([int(text) if _INDEX.fullmatch(text.strip()) else -1 for text in lines])
    wrong = np.flatnonzero((order < 0) | (order >= rows))
    if order[0] != 0 or len(wrong):
        place = 0 if order[0] != 0 else int(wrong[0])
        shown = lines[place][:_LONGEST_LINE].decode("ascii", "backslashreplace")
        problem = (
            f"is no row of the weights, 0 to {rows - 1}" if place else "is no 0, with which a published file begins"
        )
        raise DataError(f"{file}:line {place + 1}", f"'{shown}' {problem}")
    _, first = np.unique(order[1:], return_index=True)
    if len(first) < rows:
        place = int(np.setdiff1d(np.arange(rows), first)[0]) + 1
        raise DataError(f"{file}:line {place + 1}", f"row {order[place]} is there twice")
    return order[1:]


def split_names(count: int) -> list[str]:
    """Return the split of each of ``count`` networks in a row, by the published rule.

    The second half is test. The places in the first half are shuffled by ``random.Random(0)``; the first 80 % of them
    are train, the others val.

    >>> split_names(10)
    ['train', 'train', 'train', 'val', 'train', 'test', 'test', 'test', 'test', 'test']
    """
    half = int(0.5 * count)
    places = list(range(half))
    random.Random(0).shuffle(places)
    names = ["test"] * count
    for turn, place in enumerate(places):
        names[place] = "train" if turn < int(0.8 * half) else "val"
    return names


def _equal_texts(file: Path, table: "pl.DataFrame", column: str, value: str) -> list[str]:
    """Return the texts in a column that are equal to ``value``, as text or as numbers."""
    known = [name for name in table.columns if name.startswith("config.")]
    if column not in known:
        near = get_close_matches(column, known, n=1, cutoff=0)
        raise DataError(f"{file}:{column}", f"no such column; did you mean '{near[0]}'?")
    texts = sorted(text for text in table[column].unique().to_list() if text is not None)
    wanted = number(value)
    equal = [text for text in texts if text == value or (wanted is not None and number(text) == wanted)]
    if not equal:
        some = ", ".join(texts[:_FEW]) + (f" and {len(texts) - _FEW} more" if len(texts) > _FEW else "")
        raise DataError(f"{file}:{column}", f"no network of the step has '{value}'; there are {some}")
    return equal
