"""Write safetensors files atomically, and read them with plain errors."""

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save_file
from torch import Tensor

from mnfn_cli.errors import DataError, StorageError
from mnfn_cli.storage.atomic import replacing
from mnfn_cli.storage.tensor_headers import read_header

_FLOATS = {"F64", "F32", "F16", "BF16"}


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write a safetensors file atomically.

    Args:
        path: the file to write.
        tensors: the tensors by name. Views are copied, because the format has no shared memory.
        metadata: texts by key, which are written into the header.

    Raises:
        StorageError: the file cannot be written.
    """
    packed = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # The library writes to a temporary of its own and renames it.
    with replacing(path, apart=True) as temporary:
        try:
            save_file(packed, temporary, dict(metadata or {}))
        except SafetensorError as error:
            found = re.search(r"I/O error: (.*?)( \(os error|$)", str(error))
            raise StorageError(path, f"cannot write: {found[1] if found else error}") from error


def read_tensors(path: Path, *, floats_only: bool = True) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a safetensors file into memory. It is not memory-mapped, since truncating a mapped file kills the process.

    Args:
        path: the file to read.
        floats_only: refuse tensors of other dtypes than float64, float32, float16 and bfloat16, except the counters of
            batch normalisations.

    Returns:
        the tensors by name, and the metadata in the header.

    Raises:
        DataError: the file is missing, damaged or not a safetensors file, or a tensor has a refused dtype.
    """
    header = read_header(path)
    if floats_only:
        for name, entry in header.items():
            counter = name.endswith("num_batches_tracked") and entry["dtype"] == "I64"
            if name != "__metadata__" and entry["dtype"] not in _FLOATS and not counter:
                raise DataError(f"{path}:{name}", f"dtype {entry['dtype']}; weights are F64, F32, F16 or BF16")
    try:
        tensors = load(path.read_bytes())
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise DataError(path, f"no readable safetensors file: {error}") from None
    return tensors, dict(header.get("__metadata__") or {})


def map_tensors(path: Path) -> dict[str, Tensor]:
    """Open a safetensors file that mnfn wrote as memory-mapped tensors, of which slices are read when they are used.

    Raises:
        DataError: the file is missing, damaged or not a safetensors file.
    """
    read_header(path)
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError) as error:
        raise DataError(path, f"no readable safetensors file: {error}") from None


def all_finite(tensor: Tensor) -> bool:
    """Return whether a tensor holds neither NaN nor infinity."""
    # The sum of x * 0 is NaN exactly if an entry is not finite, and no boolean mask is allocated.
    return bool(torch.isfinite((tensor * 0).sum()))
