"""Write zoos: first the shards, then table.csv, and zoo.json last."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from mnfn_cli.errors import DataError
from mnfn_cli.storage.atomic import sha256, write_json
from mnfn_cli.storage.folders import new_folder
from mnfn_cli.storage.frames import to_polars
from mnfn_cli.storage.outputs import Output, check_outputs
from mnfn_cli.storage.tensors import map_tensors, save_tensors
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.contents import ZOO
from mnfn_cli.zoo.record import Space, ZooRecord
from mnfn_cli.zoo.shards import shard_name, tensor_names
from mnfn_cli.zoo.store import Zoo, open_zoo
from mnfn_cli.zoo.table import SPACE_COLUMN, check_table, write_table

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

MAX_SHARD_BYTES = 2**30


class ShardWriter:
    """Writes batches of networks into shards, so that a zoo may be larger than memory.

    Args:
        folder: the folder in which the shards are written. Shards of the same weight space that an interrupted writer
            completed there are kept: go on with the networks after the first ``count``.
        spec: the weight space of the networks.
        space: the name of the weight space, if the zoo has several.
        max_bytes: the largest size of the tensors of one shard, in bytes.
        threads: one thread that writes full shards and takes their checksums while the next ones fill; without it,
            the caller's thread writes them, and checksums are taken later.

    Attributes:
        count: the number of networks written so far.
    """

    def __init__(
        self,
        folder: Path,
        spec: NetworkSpec,
        space: str | None = None,
        max_bytes: int = MAX_SHARD_BYTES,
        *,
        threads: Executor | None = None,
    ) -> None:
        self._folder = folder
        self._spec = spec
        self._space = space
        self._max_bytes = max_bytes
        self._batches: list[WeightSpaceFeatures] = []
        self._waiting = 0
        self._threads = threads
        self._names: list[str] = []
        self._sums: list[Future[str]] = []
        self.count = 0
        while (folder / self._shard(len(self._names))).exists():
            name = self._shard(len(self._names))
            self._names.append(name)
            self.count += len(map_tensors(folder / name)[tensor_names(spec)[0]])
            if threads is not None:
                self._sums.append(threads.submit(sha256, folder / name))

    def _shard(self, number: int) -> str:
        return f"shard-{'' if self._space is None else f'{self._space}-'}{number:05d}.safetensors"

    def append(self, features: WeightSpaceFeatures) -> None:
        """Add a batch of networks, raw weights ``(batch, 1, ...)``. A shard holds networks of one dtype.

        The tensors are kept until their shard is full, and must not be changed until it is written.
        """
        limit = max(self._max_bytes // (self._spec.num_parameters * features.dtype.itemsize), 1)
        if self._batches and self._batches[0].dtype != features.dtype:
            self._flush()
        start = 0
        while start < features.batch:
            if self._waiting == limit:
                self._flush()
            stop = min(start + limit - self._waiting, features.batch)
            self._batches.append(features.select(slice(start, stop)))
            self._waiting, start = self._waiting + stop - start, stop

    def append_missing(self, every: WeightSpaceFeatures) -> None:
        """Add those of all networks that an interrupted writer had not written."""
        if self.count < every.batch:
            self.append(every.select(slice(self.count, None)))

    def _flush(self) -> None:
        if not self._waiting:
            return
        path = self._folder / self._shard(len(self._names))
        columns = zip(*(batch.tensors() for batch in self._batches), strict=True)
        pieces = [[tensor[:, 0] for tensor in column] for column in columns]
        named = dict(zip(tensor_names(self._spec), pieces, strict=True))
        if self._threads is None:
            save_tensors(path, named)
        else:
            if self._sums:
                self._sums[-1].result()  # no more than two shards are in memory
            self._sums.append(self._threads.submit(save_tensors, path, named))
        self._batches = []
        self._names.append(path.name)
        self.count += self._waiting
        self._waiting = 0

    def finish(self) -> dict[str, str]:
        """Write the remaining networks, and rename every shard to its final name, which holds the number of shards.

        Returns:
            the checksums of the shards by their final names, if there are threads to take them.
        """
        self._flush()
        sums = [found.result() for found in self._sums]
        names = [shard_name(self._space, number, len(self._names)) for number in range(1, len(self._names) + 1)]
        for old, new in zip(self._names, names, strict=True):
            (self._folder / old).rename(self._folder / new)
        return dict(zip(names, sums, strict=False))


def finish_zoo(
    folder: Path,
    spaces: NetworkSpec | Sequence[Space],
    table: "pl.DataFrame",
    *,
    made: Mapping[str, Any],
    images: Mapping[str, Any] | None = None,
    pictures: Mapping[str, Tensor] | None = None,
    start: Mapping[str, Tensor] | None = None,
    sums: Mapping[str, str] | None = None,
) -> None:
    """Write table.csv, images.safetensors, start.safetensors and, last, zoo.json beside finished shards.

    Args:
        folder: the folder in which ``ShardWriter`` wrote.
        spaces: the weight space of the networks, or several.
        table: a row for each network, with columns ``id`` (text) and ``split``, then labels and hyperparameters.
        made: the section ``made`` of zoo.json: command, seed, ranges of hyperparameters, source zoo, group elements.
        images: the section ``images`` of zoo.json: the source of the pictures, their size and pixel range.
        pictures: the tensors of images.safetensors by name; without them the file is not written.
        start: the tensors of start.safetensors by name, the initial weights that all INRs share; without them the file
            is not written.
        sums: the checksums of shards by name, as far as they are known.

    Raises:
        StorageError: a file cannot be written.
    """
    write_table(folder / "table.csv", table)
    if pictures:
        save_tensors(folder / "images.safetensors", pictures)
    if start:
        save_tensors(folder / "start.safetensors", start)
    ours = ("weights-", "table.csv", "images.", "start.")
    names = [path for path in sorted(folder.iterdir()) if path.name.startswith(ours)]
    known = dict(sums or {})
    document = {
        **_describe_spaces(spaces),
        "count": table.height,
        "images": dict(images or {}),
        "made": dict(made),
        "files": {
            path.name: {"bytes": path.stat().st_size, "sha256": known.get(path.name) or sha256(path)} for path in names
        },
    }
    write_json(folder / "zoo.json", document)


def save_zoo(
    path: str | Path,
    spec: NetworkSpec | Sequence[Space],
    features: WeightSpaceFeatures | Sequence[WeightSpaceFeatures],
    table: "pl.DataFrame | pd.DataFrame | Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]]",
    *,
    made: Mapping[str, Any] | None = None,
    images: Mapping[str, Any] | None = None,
    pictures: Mapping[str, Tensor] | None = None,
    start: Mapping[str, Tensor] | None = None,
    force: bool = False,
) -> Zoo:
    """Write a zoo from networks in memory, and open it.

    Args:
        path: the folder to create.
        spec: the weight space of the networks, or several.
        features: raw weights of the networks, ``(networks, 1, ...)``, in the order of the table; of several weight
            spaces, those of each.
        table: a row for each network, with columns ``id`` (unique text) and ``split`` (train, val or test), and
            ``weight_space`` if there are several: a polars or pandas DataFrame, a mapping from names to columns, or a
            list with a mapping for each row.
        made, images, pictures, start: further contents, as in ``finish_zoo``.
        force: replace an existing zoo.

    Returns:
        the new zoo, opened.

    Raises:
        OutputError: the folder exists, and ``force`` is not given or it holds something other than a zoo.
        DataError: there are no networks, the table has another number of rows, or it lacks a column.
        UsageError: the table is of a type that is not read.

    >>> from tempfile import TemporaryDirectory
    >>> spec = NetworkSpec.mlp([2, 3, 1], activation="tanh")
    >>> rows = [{"id": "a", "split": "train", "loss": 0.5}, {"id": "b", "split": "test", "loss": 0.25}]
    >>> with TemporaryDirectory() as folder:
    ...     zoo = save_zoo(f"{folder}/pair", spec, WeightSpaceFeatures.randn(spec, batch=2), rows)
    ...     len(zoo.split("test")), zoo.table["loss"].to_list()
    (1, [0.5, 0.25])
    """
    path, frame = Path(path), to_polars(table)
    spaces = (Space(name="1", spec=spec),) if isinstance(spec, NetworkSpec) else tuple(spec)
    batches = [features] if isinstance(features, WeightSpaceFeatures) else list(features)
    check_table(path, frame, spaces)
    for space, batch in zip(spaces, batches, strict=True):
        rows = frame.height if len(spaces) == 1 else (frame[SPACE_COLUMN] == space.name).sum()
        if rows != batch.batch:
            raise DataError(path, f"{rows} rows in the table, {batch.batch} networks")
        if not rows:
            raise DataError(path, "a zoo needs at least one network of each weight space")
    check_outputs([Output(path, ZOO)], force=force)
    with new_folder(path, ZOO, force=force) as folder:
        for space, batch in zip(spaces, batches, strict=True):
            writer = ShardWriter(folder, space.spec, space.name if len(spaces) > 1 else None)
            writer.append(batch)
            writer.finish()
        finish_zoo(folder, spec, frame, made=made or {}, images=images, pictures=pictures, start=start)
    return open_zoo(path)


def _describe_spaces(spaces: NetworkSpec | Sequence[Space]) -> dict[str, Any]:
    """Return the keys ``format`` and ``spec``, or ``spaces`` for what format 1 does not know."""
    if isinstance(spaces, NetworkSpec):
        spaces = (Space(name="1", spec=spaces),)
    if len(spaces) == 1 and spaces[0].layout is None and spaces[0].spec.is_plain:
        return {"format": 1, "spec": spaces[0].spec.to_json()}
    return {"format": ZooRecord.VERSION, "spaces": [space.to_json() for space in spaces]}
