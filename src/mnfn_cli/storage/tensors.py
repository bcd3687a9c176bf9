"""Write safetensors files atomically, and read them with plain errors."""

import json
import re
import stat
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save_file
from torch import Tensor

from mnfn_cli.errors import DataError, StorageError
from mnfn_cli.storage.atomic import replacing

MAX_HEADER_BYTES = 100_000_000
MAX_TENSORS = 10_000
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
    check_regular_file(path)
    header = _read_header(path)
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
    check_regular_file(path)
    _read_header(path)
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError) as error:
        raise DataError(path, f"no readable safetensors file: {error}") from None


def check_regular_file(path: Path) -> None:
    """Raise ``DataError`` unless ``path`` is a regular file; reading a pipe or a device might never end."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise DataError(path, f"cannot read: {error.strerror}") from None
    if not stat.S_ISREG(mode):
        raise DataError(path, "is no regular file")


def refuse_placeholder(path: Path, start: bytes) -> None:
    """Raise ``DataError`` if the first bytes of a file are those of a page or a pointer that came in its place."""
    if start.startswith(b"version https://git-lfs"):
        raise DataError(path, "is a git-lfs pointer, not the file itself; fetch it with git lfs pull")
    if start.lstrip()[:5].lower() in (b"<!doc", b"<html"):
        raise DataError(path, "is an HTML page, not a file of weights; download it again")


def all_finite(tensor: Tensor) -> bool:
    """Return whether a tensor holds neither NaN nor infinity."""
    # The sum of x * 0 is NaN exactly if an entry is not finite, and no boolean mask is allocated.
    return bool(torch.isfinite((tensor * 0).sum()))


def _read_header(path: Path) -> dict[str, Any]:
    """Return the JSON header, after checks that the safetensors library lacks or words for programmers."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(64)
            refuse_placeholder(path, start)
            if len(start) < 8:
                raise DataError(path, f"has {size} bytes; a safetensors file has at least 8")
            length = struct.unpack("<Q", start[:8])[0]
            if start.startswith((b"PK\x03\x04", b"\x80\x02")) and start[8:9] != b"{":
                raise DataError(path, "is a PyTorch file, not a safetensors file; name it .pt")
            if length > min(size - 8, MAX_HEADER_BYTES):
                raise DataError(path, f"header of {length} bytes in a file of {size}: damaged, or no safetensors file")
            file.seek(8)
            content = file.read(length)
    except OSError as error:
        raise DataError(path, f"cannot read: {error.strerror}") from None
    try:
        header = json.loads(content.decode(), object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError) as error:
        raise DataError(path, f"header is no JSON object: {error}") from None
    if not isinstance(header, dict):
        raise DataError(path, "header is no JSON object")
    if len(header) > MAX_TENSORS:
        raise DataError(path, f"{len(header)} tensors; at most {MAX_TENSORS} are read")
    for name, entry in header.items():
        if name != "__metadata__" and not (isinstance(entry, dict) and isinstance(entry.get("dtype"), str)):
            raise DataError(f"{path}:{name}", "header entry is no tensor")
    return header


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"'{twice}' is there twice")
    return dict(pairs)
