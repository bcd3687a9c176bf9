"""Read what a safetensors file says about its tensors. No tensor is read, and no torch is imported.

Files that were written alike differ in their metadata and in their numbers, but not in what their headers say about
tensors. That part is parsed and checked once for all files in which it is the same text.
"""

import json
import os
import struct
from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from io import FileIO
from math import prod
from pathlib import Path
from typing import Any, TypeGuard

from mnfn_cli.errors import DataError
from mnfn_cli.regular_files import open_raw, refuse_placeholder
from mnfn_cli.storage.records import no_duplicates, refuse_half_characters

MAX_HEADER_BYTES = 100_000_000
MAX_TENSORS = 10_000
_FIRST_BYTES = 2**15
"""The bytes that are read first: a small network as a whole, or what shows that a file is none that can be read."""

ITEM_BYTES = {
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 8),
    **dict.fromkeys(("F32", "I32", "U32"), 4),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 2),
    **dict.fromkeys(("BOOL", "I8", "U8", "F8_E4M3", "F8_E5M2"), 1),
}
"""The size of a number of each dtype in bytes."""

METADATA = "__metadata__"
_METADATA_FIRST = f'{{"{METADATA}":{{'


@dataclass(frozen=True)
class TensorEntry:
    """What a header says about one tensor.

    Args:
        dtype: one of ``ITEM_BYTES``.
        shape: the shape of the tensor.
        start: its first byte, counted from the end of the header.
        size: the number of its bytes.
    """

    dtype: str
    shape: tuple[int, ...]
    start: int
    size: int


class TensorEntries(dict[str, TensorEntry]):
    """What a header says about its tensors, by name and in the order of their bytes, without gaps.

    Headers with the same text have the same object.

    Attributes:
        size: the number of bytes of all tensors.
    """

    size: int

    @cached_property
    def kind(self) -> Hashable:
        """What is equal for files with tensors of the same names, shapes and dtypes, in any order."""
        return frozenset((name, entry.shape, entry.dtype) for name, entry in self.items())


@dataclass(frozen=True)
class Header:
    """The header of a safetensors file.

    Args:
        tensors: the tensors, which were checked to fill the rest of the file.
        metadata: the texts in the file by key.
        size: the number of bytes in front of the tensors.
    """

    tensors: TensorEntries
    metadata: dict[str, str]
    size: int


def read_header(path: Path) -> Header:
    """Return the header of a safetensors file; for errors see ``read_content``."""
    return read_content(path, tensors=False)[0]


def read_content(path: Path, *, tensors: bool = True) -> tuple[Header, bytearray]:
    """Return the header of a safetensors file, and its bytes, at whose place ``Header.size`` the tensors begin.

    Args:
        path: the file to read.
        tensors: read the tensors too; otherwise only bytes in front of them are returned.

    Raises:
        DataError: the file is missing, no regular file, damaged or not a safetensors file.
    """
    try:
        with open_raw(path) as file:
            size = os.fstat(file.fileno()).st_size
            first = _read(path, file, min(size, _FIRST_BYTES))
            start = 8 + _header_length(path, first, size)
            content = _read(path, file, size if tensors else start, first)
    except OSError as error:
        raise DataError(path, f"cannot read: {error.strerror}") from None
    try:
        text = content[8:start].decode()
        metadata, rest = _split_metadata(text)
        entries, other = (_known_entries if len(rest) <= _KNOWN_LENGTH else _parse_entries)(rest)
        if metadata is not None and other is not None:
            raise ValueError(f"'{METADATA}' is there twice")
        refuse_half_characters(text, [metadata, other, *entries])
    except (ValueError, RecursionError) as error:
        raise DataError(path, f"header is no JSON object: {error}") from None
    except DataError as error:
        raise error.elsewhere(f"{path}{error.where}") from None
    if start + entries.size != size:
        problem = f"{size - start} bytes of tensors, its header says {entries.size}"
        raise DataError(path, f"no readable safetensors file: {problem}")
    return Header(entries, _check_metadata(path, other if metadata is None else metadata), start), content


def _read(path: Path, file: FileIO, count: int, known: bytearray = bytearray()) -> bytearray:
    """Return the first ``count`` bytes of a file, of which some were read before."""
    if count <= (filled := len(known)):
        return known
    content = bytearray(count)
    content[:filled] = known
    while filled < count:  # the system reads two gigabytes at a time
        more = file.readinto(memoryview(content)[filled:])
        if not more:
            raise DataError(path, "was changed while it was read")
        filled += more
    return content


def _header_length(path: Path, start: bytearray, size: int) -> int:
    """Return the length of the text of the header of a file of this size, from the file's first bytes."""
    refuse_placeholder(path, bytes(start[:64]))
    if len(start) < 8:
        raise DataError(path, f"has {size} bytes; a safetensors file has at least 8")
    length: int = struct.unpack_from("<Q", start)[0]
    if start.startswith((b"PK\x03\x04", b"\x80\x02")) and start[8:9] != b"{":
        raise DataError(path, "is a PyTorch file, not a safetensors file; name it .pt")
    if length > min(size - 8, MAX_HEADER_BYTES):
        raise DataError(path, f"header of {length} bytes in a file of {size}: damaged, or no safetensors file")
    return length


def _split_metadata(text: str) -> tuple[Any, str]:
    """Return the metadata and the header without them, where they stand in front; None and all of it otherwise."""
    if text.startswith(_METADATA_FIRST):
        metadata, end = _DECODER.raw_decode(text, len(_METADATA_FIRST) - 1)
        if text.startswith((',"', "}"), end):
            return metadata, "{" + text[end:].removeprefix(",").rstrip(" ")  # padding, to a multiple of 8 bytes
    return None, text


def _parse_entries(text: str) -> tuple[TensorEntries, Any]:
    """Parse and check what a header says about tensors, without the metadata if those were split off.

    Returns:
        the tensors and the metadata.

    Raises:
        ValueError: the text is no JSON that safetensors' format allows.
        DataError: an entry is no tensor, or the tensors are not one behind the other.
    """
    header = _DECODER.decode(text)
    if not isinstance(header, dict):
        raise DataError("", "header is no JSON object")
    metadata = header.pop(METADATA, None)
    if len(header) > MAX_TENSORS:
        raise DataError("", f"{len(header)} tensors; at most {MAX_TENSORS} are read")
    stops: dict[str, int] = {}
    entries: dict[str, TensorEntry] = {}
    for name, entry in header.items():
        entries[name], stops[name] = _tensor_entry(name, entry)
    in_order = sorted(entries, key=lambda name: (entries[name].start, stops[name]))
    end = 0
    for name in in_order:
        if entries[name].start != end:
            raise DataError(
                f":{name}", f"no readable safetensors file: begins at byte {entries[name].start}, not {end}"
            )
        end = stops[name]
    found = TensorEntries((name, entries[name]) for name in in_order)
    found.size = end
    return found, metadata


_known_entries = lru_cache(maxsize=64)(_parse_entries)
_KNOWN_LENGTH = 2**16
"""The length of the longest text that is kept with what was parsed from it."""


def _tensor_entry(name: str, found: Any) -> tuple[TensorEntry, int]:
    """Return a tensor of a header, and the byte behind its last one."""
    if not (isinstance(found, dict) and isinstance(found.get("dtype"), str)):
        raise DataError(f":{name}", "header entry is no tensor")
    dtype, shape, offsets = (found.get(key) for key in ("dtype", "shape", "data_offsets"))
    if dtype not in ITEM_BYTES:
        raise DataError(f":{name}", f"dtype {dtype} is not read")
    if not (_are_sizes(shape) and _are_sizes(offsets) and len(offsets) == 2):
        raise DataError(f":{name}", "no readable safetensors file: its shape or its place are no whole numbers")
    start, stop = offsets
    if stop - start != prod(shape) * ITEM_BYTES[dtype]:
        problem = f"no readable safetensors file: {stop - start} bytes for the shape {tuple(shape)} in {dtype}"
        raise DataError(f":{name}", problem)
    return TensorEntry(dtype, tuple(shape), start, stop - start), stop


def _are_sizes(value: Any) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(number) is int and number >= 0 for number in value)


def _check_metadata(path: Path, metadata: Any) -> dict[str, str]:
    if metadata is None:
        return {}
    if not (isinstance(metadata, dict) and all(isinstance(text, str) for text in metadata.values())):
        raise DataError(f"{path}:{METADATA}", "no readable safetensors file: metadata are texts by key")
    return metadata


_DECODER = json.JSONDecoder(object_pairs_hook=no_duplicates)
