"""Read what a safetensors file says about its tensors. No tensor is read, and no torch is imported."""

import json
import struct
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from mnfn_cli.errors import DataError
from mnfn_cli.storage.regular_files import check_regular_file, refuse_placeholder

MAX_HEADER_BYTES = 100_000_000
MAX_TENSORS = 10_000


def tensor_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor of a safetensors file, after the library's checks that the file holds them.

    Raises:
        DataError: the file is missing, damaged or not a safetensors file.
    """
    read_header(path)
    try:
        with safe_open(path, framework="np") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError) as error:
        raise DataError(path, f"no readable safetensors file: {error}") from None


def read_header(path: Path) -> dict[str, Any]:
    """Return the JSON header, after checks that the safetensors library lacks or words for programmers.

    Raises:
        DataError: the file is missing, no regular file, damaged or not a safetensors file.
    """
    check_regular_file(path)
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
