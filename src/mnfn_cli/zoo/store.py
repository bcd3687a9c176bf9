"""Open zoos as data sets of networks (docs/formats.md): torch's data loaders read them, and functionals do."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from mnfn_cli.errors import DataError
from mnfn_cli.storage.frames import to_pandas
from mnfn_cli.storage.tensors import map_tensors
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.zoo.contents import ZooContents, open_contents
from mnfn_cli.zoo.shards import shard_files
from mnfn_cli.zoo.weights import StoredWeights

if TYPE_CHECKING:
    import pandas as pd


class ZooItem(NamedTuple):
    """One network of a zoo, or a batch of them, beside what the zoo's table says of them.

    Args:
        features: raw weights and biases, ``(networks, 1, out, in, *kernel)`` and ``(networks, 1, out)``; one network is
            a batch of one.
        row: the columns of the table by name: of one network its cells, such as ``{"id": "001", "split": "train"}``; of
            a batch a tensor ``(networks,)`` for each column of numbers or truth values, with NaN for an empty cell, and
            a list of texts for any other.

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures
    >>> spec = NetworkSpec.mlp([2, 3, 1], activation="tanh")
    >>> ZooItem(WeightSpaceFeatures.zeros(spec, batch=1), {"id": "001"}).features.batch
    1
    """

    features: WeightSpaceFeatures
    row: Mapping[str, Any]


class Zoo(ZooContents, Dataset[ZooItem]):
    """An open zoo: a data set of networks and a table about them. Weights stay on disk until they are read.

    It is a map-style ``torch.utils.data.Dataset``: ``len(zoo)`` counts the networks, ``zoo[i]`` is the one in row ``i``
    of the table, a ``ZooItem``, and ``for item in zoo`` runs over all. Give ``collate`` to a ``DataLoader``; each
    batch is then one block of the memory-mapped shards, also in worker processes. ``split`` and ``select`` return views
    of some networks, which are zoos too. A zoo may hold several weight spaces: each of its ``parts`` is a view with the
    networks of one, and ``spec``, ``layout``, ``read`` and items are there for one weight space only.

    Args:
        path, record, table, spaces, numbers, whole: what ``open_zoo`` and the views of a zoo pass; use these.

    Attributes:
        path: the folder of the zoo.
        spaces: the weight spaces of the networks.
        table: a polars table with a row for each network; the column ``id`` is text.
        record: the contents of zoo.json.

    Raises:
        DataError: from ``spec``, ``read`` and items, if the networks have several weight spaces.
        IndexError: from ``zoo[i]`` beyond the last network.

    >>> import torch
    >>> from torch.utils.data import DataLoader
    >>> from mnfn_cli.testing import example_zoo
    >>> zoo = example_zoo()
    >>> len(zoo), zoo[0].row["id"], tuple(zoo[0].features.weights[0].shape)
    (12, '00', (1, 1, 16, 1, 3, 3))
    >>> loader = DataLoader(zoo.split("train"), batch_size=4, collate_fn=collate)
    >>> features, row = next(iter(loader))
    >>> features.batch, row["test_accuracy"].dtype
    (4, torch.float64)
    """

    def __getitem__(self, index: int) -> ZooItem:
        """Return the network in a row of the table; a negative index counts from the end."""
        row = range(len(self))[index]
        return ZooItem(self._block([row]), {name: column[row] for name, column in self._columns.items()})

    def __getitems__(self, indices: Sequence[int]) -> ZooItem:
        """Return a batch of networks, read as one block; ``DataLoader`` calls this where it is there."""
        every = range(len(self))
        rows = [every[index] for index in indices]
        return ZooItem(self._block(rows), {name: _taken(column, rows) for name, column in self._columns.items()})

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what maps files: a process that gets this zoo maps them itself."""
        return {name: value for name, value in self.__dict__.items() if name not in ("_weights", "parts")}

    def _block(self, rows: Sequence[int]) -> WeightSpaceFeatures:
        found = self.read(rows)
        # A batch of items leaves this process, or stays when the next one is read; so it owns its numbers.
        return WeightSpaceFeatures(found.weights, found.biases)

    @cached_property
    def _columns(self) -> dict[str, "Tensor | list[Any]"]:
        """The columns as tensors and lists."""
        return {column.name: _as_tensor(column) for column in self.table.iter_columns()}

    @cached_property
    def _weights(self) -> StoredWeights:
        files = shard_files(self.record, self._only_space)
        return StoredWeights(self.spec, [self.path / name for name in files])

    def read(self, rows: "slice | Sequence[int] | NDArray[np.int64] | None" = None) -> WeightSpaceFeatures:
        """Return the raw weights of some rows, or of all, ``(rows, 1, ...)``, in the stored dtype.

        They are read when a tensor is first used (``LazyFeatures``): a slice inside one shard as a view of the memory
        map, other selections as a copy. What is selected of them before is all that is read.

        Args:
            rows: row numbers in this zoo's table, or a slice of them; all by default.

        Raises:
            DataError: the networks have several weight spaces.

        >>> from mnfn_cli.testing import example_zoo
        >>> zoo = example_zoo()
        >>> zoo.read([0, 5]).batch, zoo.split("test").read().weights[0].shape
        (2, torch.Size([2, 1, 16, 1, 3, 3]))
        """
        chosen = slice(None) if rows is None else rows
        part = next(part for part in self.whole.parts if part.spaces[0] == self._only_space)
        if part is not self:
            numbers = self.numbers[chosen if isinstance(chosen, slice) else np.asarray(chosen, dtype=np.int64)]
            chosen = np.searchsorted(part.numbers, numbers)
        return part._weights.read(chosen)

    def pictures(self) -> tuple[dict[str, int], Tensor] | None:
        """Return the original pictures of the INRs, if the zoo holds them.

        Returns:
            the index of the picture of each ``image_id``, and the pictures, ``(pictures, channels, height, width)`` in
            the zoo's pixel range; None for a zoo without pictures.

        Raises:
            DataError: the number of pictures is not the number of different ``image_id`` in the table.

        >>> from mnfn_cli.testing import example_zoo
        >>> example_zoo().pictures() is None
        True
        """
        file = self.path / "images.safetensors"
        if file.name not in self.record.files or "image_id" not in self.table.columns:
            return None
        pictures = map_tensors(file).get("pictures")
        if pictures is None:
            return None
        # Pictures are stored in the order in which the table first names their image_id.
        names = self.whole.table["image_id"].unique(maintain_order=True).to_list()
        if pictures.dim() != 4 or len(names) != len(pictures):
            raise DataError(f"{file}:pictures", f"shape {tuple(pictures.shape)}; the table has {len(names)} image_id")
        return {name: row for row, name in enumerate(names)}, pictures

    def pictures_of(self, rows: Sequence[int] | None = None) -> Tensor | None:
        """Return the picture of each network, ``(rows, channels, height, width)``; None for a zoo without pictures.

        Args:
            rows: row numbers in this zoo's table; all by default.

        Raises:
            DataError: as from ``pictures``.

        >>> from mnfn_cli.testing import example_zoo
        >>> example_zoo().pictures_of([0]) is None
        True
        """
        found = self.pictures()
        if found is None:
            return None
        by_id, pictures = found
        names = self.table["image_id"].to_list()
        return pictures[[by_id[names[row]] for row in (self.rows() if rows is None else rows)]]

    def to_pandas(self) -> "pd.DataFrame":
        """Return the table as a pandas DataFrame.

        Raises:
            UsageError: pandas is not installed.

        >>> from mnfn_cli.testing import example_zoo
        >>> example_zoo().to_pandas().columns[0]
        'id'
        """
        return to_pandas(self.table)


def open_zoo(path: str | Path | Zoo) -> Zoo:
    """Open a zoo. The sizes of its files, its table and the shapes of its tensors are checked, but not their values.

    Args:
        path: the folder of the zoo; an open zoo is returned as it is.

    Returns:
        the zoo, whose weights are read when they are used.

    Raises:
        DataError: the folder is not a complete zoo, or its files contradict each other.

    >>> from mnfn_cli.testing import example_zoo
    >>> open_zoo(example_zoo().path).table.columns[:3]
    ['id', 'split', 'activation']
    """
    if isinstance(path, Zoo):
        return path
    found = open_contents(path)
    return Zoo(found.path, found.record, found.table, found.spaces)


def collate(items: "ZooItem | Sequence[ZooItem]") -> ZooItem:
    """Make one batch of items of a zoo; it is the ``collate_fn`` of a ``torch.utils.data.DataLoader``.

    Args:
        items: items of networks of one weight space, with the same columns; a batch is returned as it is.

    Returns:
        a ``ZooItem`` whose features are ``(networks, 1, ...)`` and whose row holds a tensor or a list for each column.

    >>> from mnfn_cli.testing import example_zoo
    >>> zoo = example_zoo()
    >>> batch = collate([zoo[0], zoo[5]])
    >>> batch.row["id"], batch.features.batch
    (['00', '05'], 2)
    """
    if isinstance(items, ZooItem):
        return items
    features = WeightSpaceFeatures.cat([item.features for item in items])
    columns = {name: [item.row[name] for item in items] for name in items[0].row}
    return ZooItem(
        features,
        {name: torch.stack(cells) if isinstance(cells[0], Tensor) else cells for name, cells in columns.items()},
    )


def _as_tensor(column: Any) -> "Tensor | list[Any]":
    """Return a polars column as a tensor if it holds numbers or truth values, else as a list.

    Only its type and its plain cells are asked for: in a forked process the threads of polars are gone, and what
    needs them waits for ever.
    """
    cells: list[Any] = column.to_list()
    whole = not any(cell is None for cell in cells)
    if column.dtype.is_numeric() and not (whole and column.dtype.is_integer()):
        return torch.tensor([float("nan") if cell is None else cell for cell in cells], dtype=torch.float64)
    if whole and (column.dtype.is_integer() or str(column.dtype) == "Boolean"):
        with suppress(RuntimeError, OverflowError):  # whole numbers of more than 64 bits stay in a list
            return torch.tensor(cells)
    return cells


def _taken(column: "Tensor | list[Any]", rows: Sequence[int]) -> "Tensor | list[Any]":
    return column[list(rows)] if isinstance(column, Tensor) else [column[row] for row in rows]
