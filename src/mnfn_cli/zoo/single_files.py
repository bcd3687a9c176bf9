"""Read and write files with one network each, in safetensors' format or in PyTorch's."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from mnfn_cli.errors import DataError, NumericError
from mnfn_cli.storage.kinds import Kind
from mnfn_cli.storage.marks import MANIFEST
from mnfn_cli.storage.records import Record, read_record, write_record
from mnfn_cli.storage.tensors import FileTensors, all_finite, read_file, save_tensors
from mnfn_cli.storage.torch_files import TORCH_SUFFIXES, is_torch_file, read_torch_file, save_torch_file
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.layout import Layout, Reading, find_layout
from mnfn_cli.weightspace.naming import natural_key
from mnfn_cli.weightspace.spec import NetworkSpec, read_spec

SUFFIX = ".safetensors"
SUFFIXES = (SUFFIX, *TORCH_SUFFIXES)


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
    names = sorted(path.name for path in folder.iterdir() if path.suffix in SUFFIXES)
    write_record(folder / MANIFEST, Manifest(checkpoints=tuple(names)))


@dataclass(frozen=True)
class SingleFile:
    """How a file holds one network, by which a changed network is written alike.

    Args:
        path: the path of the file.
        layout: which of its tensors are which layer.
        dtypes: the dtype of every tensor by its name, in the order of the file.
        metadata: the texts in the file by key.
    """

    path: Path
    layout: Layout
    dtypes: Mapping[str, torch.dtype]
    metadata: Mapping[str, str]

    def write(self, network: WeightSpaceFeatures, target: Path) -> list[str]:
        """Write one network, ``(1, 1, ...)``, with the names, shapes, dtypes and metadata of this file.

        Args:
            network: the network.
            target: the file to write, in PyTorch's format if it ends in .pt or .pth, which has no metadata.

        Returns:
            the names of tensors that this file does not have: biases of layers without one that are no longer 0.

        Raises:
            NumericError: a number is too large for the dtype of its tensor.
        """
        tensors = self.layout.write([tensor[0, 0] for tensor in network.tensors()])
        added = [name for name in tensors if name not in self.dtypes]
        ordered = [*(name for name in self.dtypes if name in tensors), *added]
        cast = {name: tensors[name].to(self.dtypes.get(name, network.dtype)) for name in ordered}
        for name, tensor in cast.items():
            if not all_finite(tensor):
                dtype = str(tensor.dtype).removeprefix("torch.")
                raise NumericError(
                    f"{target}:{name}", f"a new weight is too large for {dtype}, the dtype of {self.path}"
                )
        write_state_dict(target, cast, self.metadata)
        return added


def write_state_dict(target: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors into a file of the format that its name ends in; PyTorch's format keeps no metadata."""
    if target.suffix in TORCH_SUFFIXES:
        save_torch_file(target, tensors)
    else:
        save_tensors(target, tensors, metadata)


def list_files(path: Path) -> list[Path]:
    """Return the checkpoint files of a folder, without hidden ones, in natural order (2 before 10).

    If ``path`` is a file, it is returned alone.

    Raises:
        DataError: ``path`` does not exist, or is a folder without such files; or two files have one name and different
            endings, so that they would be one network.
    """
    if not path.exists() and not path.is_symlink():
        raise DataError(path, "no such file or folder")
    if not path.is_dir():
        return [path]
    files = [p for p in path.iterdir() if p.suffix in SUFFIXES and not p.name.startswith(".")]
    if not files:
        raise DataError(path, f"holds no {', '.join(SUFFIXES)} file and no zoo.json")
    by_name: dict[str, Path] = {}
    for file in sorted(files, key=lambda p: natural_key(p.name)):
        if file.stem in by_name:
            raise DataError(file, f"has the name of {by_name[file.stem].name}; each network needs a name of its own")
        by_name[file.stem] = file
    return list(by_name.values())


def read_state_dict(file: Path) -> tuple[Mapping[str, Tensor], dict[str, str]]:
    """Read the tensors and the metadata of a checkpoint file, in safetensors' or PyTorch's format.

    Raises:
        DataError: the file cannot be read, or a tensor is no weight of a network.
    """
    if file.suffix in TORCH_SUFFIXES:
        return read_torch_file(file)
    try:
        return read_file(file)
    except DataError:
        if not is_torch_file(file):
            raise
    return read_torch_file(file)


def kind_of(tensors: Mapping[str, Tensor]) -> Hashable:
    """Return what is equal for files of one format whose tensors have the same names, shapes and dtypes."""
    if isinstance(tensors, FileTensors):
        return tensors.entries.kind
    return frozenset((name, tensor.shape, tensor.dtype) for name, tensor in tensors.items())


def read_network(
    file: Path, spec: NetworkSpec, reading: Reading = Reading(), known: Sequence[Layout] = ()
) -> tuple[WeightSpaceFeatures, SingleFile]:
    """Read a file with one network.

    Args:
        file: the checkpoint file.
        spec: the weight space that the network must have.
        reading: what the user says about the file that its tensors do not tell.
        known: layouts of files that were read before; one that describes this file is taken.

    Returns:
        the raw weights, ``(1, 1, ...)``, in the file's dtype, and a description of the file.

    Raises:
        DataError: the file cannot be read, its network has another weight space, or a number is not finite.
    """
    tensors, metadata = read_state_dict(file)
    layout = layout_of(file, tensors, metadata, spec, reading, known)
    network, problems = unpack(layout, {name: tensor[None] for name, tensor in tensors.items()}, spec)
    for problem in problems.values():
        raise not_finite(file, problem)
    return network, SingleFile(file, layout, {name: tensor.dtype for name, tensor in tensors.items()}, metadata)


def layout_of(
    file: Path,
    tensors: Mapping[str, Tensor],
    metadata: Mapping[str, str],
    spec: NetworkSpec,
    reading: Reading = Reading(),
    known: Sequence[Layout] = (),
) -> Layout:
    """Find which tensors of a file are which layer; for arguments and errors see ``read_network``."""
    if "spec" in metadata and not spec.agrees_with(found := read_spec(metadata["spec"])):
        raise DataError(file, f"is a network {found}; the run reads {spec}")
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    layout = next((layout for layout in known if layout.describes(shapes)), None)
    if layout is None or reading.layers:
        layout = find_layout(shapes, str(file), spec.weight_shapes, reading)
    return layout


def unpack(
    layout: Layout, tensors: Mapping[str, Tensor], spec: NetworkSpec, *, in_float32: bool = False
) -> tuple[WeightSpaceFeatures, dict[int, str]]:
    """Return networks as raw weights ``(networks, 1, ...)``, in the shapes of their weight space.

    Args:
        layout: which tensors are which layer.
        tensors: the tensors of files that are laid out alike, ``(networks, ...)`` each.
        spec: the weight space.
        in_float32: whether the numbers must also be finite in float32.

    Returns:
        the networks, and by position the name of the first tensor of a network that is not finite; an empty text where
        its tensors are, but not what they give with batch normalisations folded in.
    """
    found = layout.read(tensors)
    weights = [weight.reshape(-1, 1, *shape) for weight, shape in zip(found[0::2], spec.weight_shapes, strict=True)]
    features = WeightSpaceFeatures(weights, [bias[:, None] for bias in found[1::2]])
    problems: dict[int, str] = {}
    named = [(name, tensor) for name, tensor in tensors.items() if tensor.is_floating_point()]
    folded = any(layer.batchnorm for layer in layout.layers)
    for name, exact in [*named, *(("", tensor) for tensor in found if folded)]:
        tensor = exact.float() if in_float32 and exact.dtype == torch.float64 else exact
        if not all_finite(tensor):
            wrong = ~tensor.isfinite().flatten(1).all(dim=1)
            problems = dict.fromkeys(wrong.nonzero().flatten().tolist(), name) | problems
    return features, problems


def not_finite(file: Path, tensor: str, *, in_float32: bool = False) -> DataError:
    """Return the error for a file with a number that is not finite, in a tensor or after the folding (``unpack``)."""
    problem = "is not finite in float32, in which the functional computes" if in_float32 else "is not finite"
    if tensor:
        return DataError(
            f"{file}:{tensor}", f"{problem} ({'NaN, infinity or too large' if in_float32 else 'NaN or infinity'})"
        )
    return DataError(file, f"{problem} (NaN or infinity) once batch normalisation is folded in")
