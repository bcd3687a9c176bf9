"""What a zoo holds besides weights: zoo.json, a table with a row for each network, and checks of its files."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from mnfn_cli.errors import DataError, MnfnError, UsageError
from mnfn_cli.storage.folders import existing_folder
from mnfn_cli.storage.kinds import Kind
from mnfn_cli.storage.records import read_record
from mnfn_cli.weightspace.layout import Layout
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.record import Space, ZooRecord
from mnfn_cli.zoo.shards import FINITE, count_networks, highest_bytes_are_in, not_finite, shard_files
from mnfn_cli.zoo.table import SPACE_COLUMN, SPLITS, check_table, read_table

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray


def _own_files(folder: Path) -> frozenset[str] | None:
    try:
        record = read_record(folder / "zoo.json", ZooRecord)
    except (OSError, MnfnError):
        return None
    return frozenset({"zoo.json", *record.files})


ZOO = Kind("zoo", _own_files)
"""The kind of folder that holds a zoo; its zoo.json lists the other files."""


class ZooContents:
    """A zoo, or some of its networks, without their weights: enough to describe and check it, and needs no torch.

    Attributes:
        path: the folder of the zoo.
        spaces: the weight spaces of the networks.
        table: a polars table with a row for each network; the column ``id`` is text. The column ``weight_space`` has
            the name of each network's weight space if the zoo has several.
        record: the contents of zoo.json.
    """

    def __init__(
        self,
        path: Path,
        record: ZooRecord,
        table: "pl.DataFrame",
        spaces: Sequence[Space],
        numbers: "NDArray[np.int64] | None" = None,
        whole: Self | None = None,
    ) -> None:
        self.path = path
        self.record = record
        self.table = table
        self.spaces = tuple(spaces)
        self._numbers = numbers
        self._whole = whole

    def __len__(self) -> int:
        return self.table.height

    @cached_property
    def numbers(self) -> "NDArray[np.int64]":
        """The number of each network's row in the table of the whole zoo, in ascending order, ``(networks,)``."""
        import numpy as np  # most commands only count networks

        return np.arange(len(self)) if self._numbers is None else self._numbers

    @property
    def spec(self) -> NetworkSpec:
        """The weight space of all networks.

        Raises:
            DataError: there are several.
        """
        return self._only_space.spec

    @property
    def layout(self) -> Layout | None:
        """How the files held the networks that were imported; None if mnfn made them, an error as for ``spec``."""
        return self._only_space.layout

    @property
    def _only_space(self) -> Space:
        if len(self.spaces) > 1:
            raise DataError(self.path, f"holds networks of {len(self.spaces)} weight spaces; this needs one")
        return self.spaces[0]

    @property
    def whole(self) -> Self:
        """The zoo with all networks of its folder; this one may be some of them."""
        return self if self._whole is None else self._whole

    @cached_property
    def parts(self) -> list[Self]:
        """A view of the zoo for each of its weight spaces, with the networks of that weight space alone."""
        if len(self.spaces) == 1:
            return [self]
        names = self.table[SPACE_COLUMN]
        return [self._view((names == space.name).arg_true().to_numpy(), [space]) for space in self.spaces]

    def select(self, rows: "Sequence[int] | NDArray[np.int64]") -> Self:
        """Return a view of some networks, in the order of the table; their weights stay where they are.

        Args:
            rows: the row numbers of the networks, which may be a NumPy array of integers; each counts once.

        Raises:
            IndexError: there is no such row.

        >>> from mnfn_cli.testing import example_zoo
        >>> example_zoo().select([0, 5]).ids
        ['00', '05']
        """
        import numpy as np

        chosen = np.unique(np.asarray(rows, dtype=np.int64))
        if len(chosen) and not 0 <= chosen[0] <= chosen[-1] < len(self):
            raise IndexError(f"rows {chosen[0]} to {chosen[-1]} of a zoo of {len(self)} networks")
        return self._view(chosen, self.spaces)

    def split(self, name: str) -> Self:
        """Return a view of the networks of a split.

        Args:
            name: the split: ``train``, ``val`` or ``test``.

        Raises:
            UsageError: there is no split of this name.

        >>> from mnfn_cli.testing import example_zoo
        >>> example_zoo().split("test").ids
        ['10', '11']
        """
        if name not in SPLITS:
            raise UsageError("split", f"'{name}'; splits are {', '.join(SPLITS)}")
        return self.select(self.rows(name))

    def _view(self, rows: "NDArray[np.int64]", spaces: Sequence[Space]) -> Self:
        return type(self)(self.path, self.record, self.table[rows], spaces, self.numbers[rows], self.whole)

    @cached_property
    def ids(self) -> list[str]:
        """The ids of the networks, in the order of the table."""
        return self.table["id"].to_list()

    @property
    def fingerprint(self) -> str:
        """A text of checksums that changes when any file of the zoo changes, except zoo.json."""
        files = self.record.files
        return "-".join(files[name].sha256[:12] for name in sorted(files))

    def rows(self, split: str | None = None) -> list[int]:
        """Return the row numbers of a split, or of all networks.

        Args:
            split: ``train``, ``val`` or ``test``; all by default.

        >>> from mnfn_cli.testing import example_zoo
        >>> example_zoo().rows("test")
        [10, 11]
        """
        if split is None:
            return list(range(len(self)))
        found: list[int] = (self.table["split"] == split).arg_true().to_list()
        return found

    def bad_networks(self, rows: Sequence[int] | None = None, *, in_float32: bool = False) -> list[tuple[int, str]]:
        """Return (row, message) for each network, among some rows or all, with a weight or bias that is not finite.

        Args:
            rows: the rows to look at; all by default.
            in_float32: whether weights and biases must also be finite in float32.

        >>> from mnfn_cli.testing import example_zoo
        >>> example_zoo().bad_networks()
        []
        """
        files = [self.path / file for part in self.whole.parts for file in shard_files(self.record, part.spaces[0])]
        usual = {dtype: FINITE[dtype] for dtype in FINITE if not (in_float32 and dtype == "F64")}
        if (rows is None or len(rows) == len(self)) and all(highest_bytes_are_in(file, usual) for file in files):
            return []
        import numpy as np

        wanted = np.zeros(self.record.count, dtype=bool)
        wanted[self.numbers if rows is None else self.numbers[np.asarray(rows, dtype=np.int64)]] = True
        found: dict[int, str] = {}
        for part in self.whole.parts:
            space, start = part.spaces[0], 0
            for file in shard_files(self.record, space):
                count = count_networks(self.path / file, space.spec)
                here = part.numbers[start : start + count]
                chosen = np.flatnonzero(wanted[here])
                for row, problem in not_finite(self.path / file, space.spec, chosen, in_float32=in_float32):
                    found.setdefault(int(here[row]), problem)
                start += count
        places = np.searchsorted(self.numbers, list(found)).tolist()
        return sorted(zip(places, found.values(), strict=True))

    def faults(self, rows: Sequence[int] | None = None, *, in_float32: bool = False) -> dict[int, DataError]:
        """Return an error for each network that ``bad_networks`` finds, by its row.

        Args:
            rows: the rows to look at; all by default.
            in_float32: whether weights and biases must also be finite in float32.

        >>> from mnfn_cli.testing import example_zoo
        >>> example_zoo().faults()
        {}
        """
        found = self.bad_networks(rows, in_float32=in_float32)
        return {row: DataError(f"{self.path}:{self.ids[row]}", problem) for row, problem in found}

    def require_column(self, name: str) -> None:
        """Check that the table has a column without missing values.

        Args:
            name: the name of the column.

        Raises:
            DataError: there is no such column, or a cell of it is empty.

        >>> from mnfn_cli.testing import example_zoo
        >>> example_zoo().require_column("psnr")
        Traceback (most recent call last):
        mnfn_cli.errors.DataError: ...table.csv: no column 'psnr'; it has id, split, activation, test_accuracy
        """
        if name not in self.table.columns:
            raise DataError(self.path / "table.csv", f"no column '{name}'; it has {', '.join(self.table.columns)}")
        if empty := self.table[name].null_count():
            raise DataError(self.path / "table.csv", f"{empty} networks have no {name}")


def open_contents(path: str | Path) -> ZooContents:
    """Open a zoo without its weights. Sizes of files, the table and shapes of tensors are checked, not their values.

    Raises:
        DataError: the folder is not a complete zoo, or its files contradict each other.
    """
    folder = existing_folder(Path(path), "zoo")
    record = read_zoo_record(folder)
    for name, entry in record.files.items():
        if not (folder / name).is_file():
            raise DataError(folder / name, "missing; the zoo is not whole")
        if (folder / name).stat().st_size != entry.bytes:
            raise DataError(folder / name, f"{(folder / name).stat().st_size} bytes, expected {entry.bytes}")
    table = read_table(folder / "table.csv")
    check_table(folder / "table.csv", table, record.spaces)
    stored = {
        space.name: sum(count_networks(folder / name, space.spec) for name in shard_files(record, space))
        for space in record.spaces
    }
    if not sum(stored.values()) == table.height == record.count:
        found = (
            f"{sum(stored.values())} networks in the tensors, {table.height} in the table, {record.count} in zoo.json"
        )
        raise DataError(folder, found)
    zoo = ZooContents(folder, record, table, record.spaces)
    for part in zoo.parts:
        if len(part) != stored[part.spaces[0].name]:
            name = part.spaces[0].name
            raise DataError(
                folder, f"weight space {name}: {stored[name]} networks in the tensors, {len(part)} in the table"
            )
    return zoo


def read_zoo_record(path: Path) -> ZooRecord:
    """Read zoo.json of a zoo; raises DataError if there is none, or it cannot be read."""
    try:
        return read_record(path / "zoo.json", ZooRecord)
    except FileNotFoundError:
        raise DataError(path, "no zoo: it holds no zoo.json") from None
