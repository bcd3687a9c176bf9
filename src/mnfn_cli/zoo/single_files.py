"""Read and write files with one network each."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from mnfn_cli.errors import DataError
from mnfn_cli.storage.kinds import Kind
from mnfn_cli.storage.marks import MANIFEST
from mnfn_cli.storage.records import Record, read_record, write_record
from mnfn_cli.storage.tensors import all_finite, read_tensors, save_tensors
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.naming import natural_key, pair_layers
from mnfn_cli.weightspace.spec import NetworkSpec, read_spec

SUFFIX = ".safetensors"


class Manifest(Record):
    """The hidden file that lists the checkpoint files which mnfn wrote into a folder."""

    checkpoints: tuple[str, ...]


def _own_files(folder: Path) -> frozenset[str] | None:
    try:
        return frozenset({MANIFEST, *read_record(folder / MANIFEST, Manifest).checkpoints})
    except (OSError, DataError):
        return None


CHECKPOINTS = Kind("folder of checkpoints", _own_files)
"""The kind of folder that holds checkpoint files of mnfn, which a hidden file lists."""


def write_manifest(folder: Path) -> None:
    """Write the hidden file that lists all checkpoint files in ``folder``; mnfn must have written all of them."""
    names = sorted(path.name for path in folder.iterdir() if path.suffix == SUFFIX)
    write_record(folder / MANIFEST, Manifest(checkpoints=tuple(names)))


@dataclass(frozen=True)
class SingleFile:
    """The names, dtypes and metadata of a file with one network, by which a changed network is written alike.

    Args:
        path: the path of the file.
        names: the names of the tensors, in the order W(1), b(1), W(2), b(2), ...
        dtypes: the dtype of every tensor by its name, in the order of the file.
        metadata: the texts in the file's header by key.
    """

    path: Path
    names: tuple[str, ...]
    dtypes: Mapping[str, torch.dtype]
    metadata: Mapping[str, str]

    def write(self, network: WeightSpaceFeatures, target: Path) -> None:
        """Write one network, ``(1, 1, ...)``, to ``target`` with the names, dtypes and metadata of this file."""
        tensors = network.to_state_dicts(self.names)[0]
        save_tensors(target, {name: tensors[name].to(dtype) for name, dtype in self.dtypes.items()}, self.metadata)


def list_files(path: Path) -> list[Path]:
    """Return the safetensors files of a folder, without hidden ones, in natural order (2 before 10).

    If ``path`` is a file, it is returned alone.

    Raises:
        DataError: ``path`` does not exist, or is a folder without such files.
    """
    if not path.exists() and not path.is_symlink():
        raise DataError(path, "no such file or folder")
    if not path.is_dir():
        return [path]
    files = [p for p in path.iterdir() if p.suffix == SUFFIX and not p.name.startswith(".")]
    if not files:
        raise DataError(path, f"holds no {SUFFIX} file and no zoo.json")
    return sorted(files, key=lambda p: natural_key(p.name))


def read_network(file: Path, spec: NetworkSpec) -> tuple[WeightSpaceFeatures, SingleFile]:
    """Read a file with one network.

    Args:
        file: the safetensors file.
        spec: the weight space that the network must have.

    Returns:
        the raw weights, ``(1, 1, ...)``, in the file's dtype, and a description of the file.

    Raises:
        DataError: the file cannot be read, its network has another weight space, or a number is not finite.
    """
    tensors, metadata = read_tensors(file)
    features = WeightSpaceFeatures.from_state_dicts([tensors], spec, names=[str(file)])
    if "spec" in metadata and not spec.agrees_with(found := read_spec(metadata["spec"])):
        raise DataError(file, f"is a network {found}; the run reads {spec}")
    for name, tensor in tensors.items():
        if not all_finite(tensor):
            raise DataError(f"{file}:{name}", "is not finite (NaN or infinity)")
    names = tuple(name for pair in pair_layers(tensors, str(file)) for name in pair)
    return features, SingleFile(file, names, {name: tensor.dtype for name, tensor in tensors.items()}, metadata)
