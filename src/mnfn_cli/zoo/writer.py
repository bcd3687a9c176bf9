"""Write zoos: first the shards, then table.csv, and zoo.json last."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from mnfn_cli.errors import DataError
from mnfn_cli.storage.atomic import sha256, write_json, write_text
from mnfn_cli.storage.folders import new_folder
from mnfn_cli.storage.outputs import Output, check_outputs
from mnfn_cli.storage.tensors import save_tensors
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.record import ZooRecord
from mnfn_cli.zoo.store import ZOO, Zoo, check_table, open_zoo, tensor_names

if TYPE_CHECKING:
    import polars as pl

MAX_SHARD_BYTES = 2**30


class ShardWriter:
    """Writes batches of networks into shards, so that a zoo may be larger than memory.

    Args:
        folder: the folder in which the shards are written.
        spec: the weight space of the networks.
        max_bytes: the largest size of the tensors of one shard, in bytes.

    Attributes:
        count: the number of networks written so far.
    """

    def __init__(self, folder: Path, spec: NetworkSpec, max_bytes: int = MAX_SHARD_BYTES) -> None:
        self._folder = folder
        self._spec = spec
        self._max_bytes = max_bytes
        self._waiting: list[WeightSpaceFeatures] = []
        self._names: list[str] = []
        self.count = 0

    def append(self, features: WeightSpaceFeatures) -> None:
        """Add a batch of networks, raw weights ``(batch, 1, ...)``."""
        size = sum(tensor[0].numel() * tensor.element_size() for tensor in features.tensors())
        limit = max(self._max_bytes // size, 1)
        while sum(part.batch for part in self._waiting) + features.batch > limit:
            room = limit - sum(part.batch for part in self._waiting)
            self._waiting.append(features.select(slice(room)))
            features = features.select(slice(room, None))
            self._flush()
        if features.batch:
            self._waiting.append(features)

    def _flush(self) -> None:
        if not self._waiting:
            return
        name = f"shard-{len(self._names):05d}.safetensors"
        save_tensors(self._folder / name, _packed(WeightSpaceFeatures.cat(self._waiting), self._spec))
        self.count += sum(part.batch for part in self._waiting)
        self._waiting = []
        self._names.append(name)

    def finish(self) -> None:
        """Write the remaining networks, and rename every shard to its final name, which holds the number of shards."""
        self._flush()
        for number, name in enumerate(self._names, 1):
            final = f"weights-{number:05d}-of-{len(self._names):05d}.safetensors"
            (self._folder / name).rename(self._folder / final)


def finish_zoo(
    folder: Path,
    spec: NetworkSpec,
    table: "pl.DataFrame",
    *,
    made: Mapping[str, Any],
    images: Mapping[str, Any] | None = None,
    pictures: Mapping[str, Tensor] | None = None,
    start: Mapping[str, Tensor] | None = None,
) -> None:
    """Write table.csv, images.safetensors, start.safetensors and, last, zoo.json beside finished shards.

    Args:
        folder: the folder in which ``ShardWriter`` wrote.
        spec: the weight space of the networks.
        table: a row for each network, with columns ``id`` (text) and ``split``, then labels and hyperparameters.
        made: the section ``made`` of zoo.json: command, seed, ranges of hyperparameters, source zoo, group elements.
        images: the section ``images`` of zoo.json: the source of the pictures, their size and pixel range.
        pictures: the tensors of images.safetensors by name; without them the file is not written.
        start: the tensors of start.safetensors by name, the initial weights that all INRs share; without them the file
            is not written.

    Raises:
        StorageError: a file cannot be written.
    """
    write_text(folder / "table.csv", table.write_csv())
    if pictures:
        save_tensors(folder / "images.safetensors", pictures)
    if start:
        save_tensors(folder / "start.safetensors", start)
    ours = ("weights-", "table.csv", "images.", "start.")
    names = [path for path in sorted(folder.iterdir()) if path.name.startswith(ours)]
    document = {
        "format": ZooRecord.VERSION,
        "spec": spec.to_json(),
        "count": table.height,
        "images": dict(images or {}),
        "made": dict(made),
        "files": {path.name: {"bytes": path.stat().st_size, "sha256": sha256(path)} for path in names},
    }
    write_json(folder / "zoo.json", document)


def save_zoo(
    path: str | Path,
    spec: NetworkSpec,
    features: WeightSpaceFeatures,
    table: "pl.DataFrame | Mapping[str, Sequence[Any]]",
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
        spec: the weight space of the networks.
        features: raw weights of the networks, ``(networks, 1, ...)``.
        table: a row for each network, with columns ``id`` (unique text) and ``split`` (train, val or test).
        made, images, pictures, start: further contents, as in ``finish_zoo``.
        force: replace an existing zoo.

    Raises:
        OutputError: the folder exists, and ``force`` is not given or it holds something other than a zoo.
        DataError: the table has another number of rows than there are networks, or lacks a column.
    """
    import polars as pl

    path = Path(path)
    frame = table if isinstance(table, pl.DataFrame) else pl.DataFrame(table)
    if frame.height != features.batch:
        raise DataError(path, f"{frame.height} rows in the table, {features.batch} networks")
    check_table(path, frame)
    check_outputs([Output(path, ZOO)], force=force)
    with new_folder(path, ZOO, force=force) as folder:
        writer = ShardWriter(folder, spec)
        writer.append(features)
        writer.finish()
        finish_zoo(folder, spec, frame, made=made or {}, images=images, pictures=pictures, start=start)
    return open_zoo(path)


def _packed(features: WeightSpaceFeatures, spec: NetworkSpec) -> dict[str, Tensor]:
    return dict(zip(tensor_names(spec), (tensor[:, 0] for tensor in features.tensors()), strict=True))
