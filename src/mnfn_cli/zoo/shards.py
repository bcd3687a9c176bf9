"""The shards of a zoo: safetensors files with the stacked weights of many networks."""

import re
from pathlib import Path

from mnfn_cli.errors import DataError
from mnfn_cli.storage.tensors import map_tensors
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.record import Space, ZooRecord


def tensor_names(spec: NetworkSpec) -> list[str]:
    """Return the names of the tensors in a shard: ``layers.0.weight``, ``layers.0.bias``, ..."""
    return [f"layers.{i}.{kind}" for i in range(spec.num_layers) for kind in ("weight", "bias")]


def shard_name(space: str | None, number: int, count: int) -> str:
    """Return the file name of a shard, numbered from 1 among ``count``; ``space`` is given if there are several."""
    prefix = "weights" if space is None else f"weights-{space}"
    return f"{prefix}-{number:05d}-of-{count:05d}.safetensors"


def map_shards(folder: Path, record: ZooRecord, space: Space) -> list[WeightSpaceFeatures]:
    """Open the shards of one weight space of a zoo, as memory-mapped raw weights ``(networks, 1, ...)``.

    Raises:
        DataError: a shard is damaged, or its tensors do not have the shapes of the weight space.
    """
    several = len(record.spaces) > 1
    pattern = rf"weights-{re.escape(space.name) + '-' if several else ''}[0-9]{{5}}-of-[0-9]{{5}}\.safetensors"
    names = sorted(name for name in record.files if re.fullmatch(pattern, name))
    return [_shard_features(folder / name, space.spec) for name in names]


def _shard_features(path: Path, spec: NetworkSpec) -> WeightSpaceFeatures:
    tensors = map_tensors(path)
    names = tensor_names(spec)
    if set(tensors) != set(names):
        raise DataError(path, f"tensors {', '.join(sorted(set(tensors) ^ set(names)))} do not fit the spec")
    shapes = [shape for pair in zip(spec.weight_shapes, spec.bias_shapes, strict=True) for shape in pair]
    for name, shape in zip(names, shapes, strict=True):
        if tuple(tensors[name].shape[1:]) != shape:
            raise DataError(f"{path}:{name}", f"shape {tuple(tensors[name].shape[1:])} a network, expected {shape}")
        if len(tensors[name]) != len(tensors[names[0]]):
            raise DataError(f"{path}:{name}", f"{len(tensors[name])} networks, other tensors {len(tensors[names[0]])}")
    ordered = [tensors[name][:, None] for name in names]
    return WeightSpaceFeatures(ordered[0::2], ordered[1::2])
