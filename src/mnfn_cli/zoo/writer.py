"""Write a zoo: shards as networks come, then the table and, last, the description."""

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
    """Writes networks into shards as they come, so that a zoo larger than memory can be made.

    Args:
        folder: the folder that the shards are written into.
        spec: the weight space.
        max_bytes: the largest size of one shard in bytes.
    """

    def __init__(self, folder: Path, spec: NetworkSpec, max_bytes: int = MAX_SHARD_BYTES) -> None:
        self._folder = folder
        self._spec = spec
        self._max_bytes = max_bytes
        self._waiting: list[WeightSpaceFeatures] = []
        self._names: list[str] = []
        self.count = 0

    def append(self, features: WeightSpaceFeatures) -> None:
        """Take a batch of networks."""
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
        """Write what waits, and give every shard its final name, which tells how many there are."""
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
    """Write table.csv, images.safetensors and, last, zoo.json beside shards that are complete.

    Args:
        folder: the folder that ``ShardWriter`` wrote into.
        spec: the weight space.
        table: columns ``id`` (text) and ``split``, then labels and hyperparameters.
        made: the origin of the networks: command, seed, ranges, source zoo, group elements.
        images: the origin of the pictures, their size, pixel range and normalisation.
        pictures: tensors for images.safetensors, by name.
        start: tensors for start.safetensors, of the network that all INRs started from, by name.
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
    """Write a whole zoo and open it.

    Args:
        path: the folder to make.
        spec: the weight space.
        features: raw weights of ``N`` networks.
        table: ``N`` rows; a column ``id`` of unique text, and ``split`` with train, val or test.
        made, images, pictures, start: see ``finish_zoo``.
        force: replace a zoo of that name.

    Raises:
        OutputError: the folder exists.
        DataError: the table does not fit the tensors.
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
