"""Write safetensors files atomically, and read them with plain errors."""

import hashlib
import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from math import prod
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from mnfn_cli.errors import DataError, StorageError, unicode_text
from mnfn_cli.storage.atomic import replacing
from mnfn_cli.storage.tensor_headers import METADATA, Header, TensorEntry, read_content, read_header

DTYPES = {
    **{"U64": torch.uint64, "I64": torch.int64, "F64": torch.float64, "C64": torch.complex64},
    **{"F32": torch.float32, "U32": torch.uint32, "I32": torch.int32},
    **{"BF16": torch.bfloat16, "F16": torch.float16, "U16": torch.uint16, "I16": torch.int16},
    **{"F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2},
    **{"I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool},
}
"""The dtype of torch for each of ``tensor_headers.ITEM_BYTES``, in the order in which a file holds their tensors."""
_NAMES = {dtype: name for name, dtype in DTYPES.items()}
_RANKS = {dtype: rank for rank, dtype in enumerate(DTYPES.values())}
_BYTES_AT_ONCE = 2**20
_NUMBERS_AT_ONCE = 2**16
_FLOATS = {"F64", "F32", "F16", "BF16"}


def save_tensors(
    path: Path, tensors: Mapping[str, Tensor | Sequence[Tensor]], metadata: Mapping[str, str] | None = None
) -> str:
    """Write a safetensors file atomically: the bytes that the safetensors library would write.

    Args:
        path: the file to write.
        tensors: the tensors by name, whole or in pieces along their first axis. Views are copied, because the format
            has no shared memory.
        metadata: texts by key, which are written into the header.

    Returns:
        the file's SHA-256 as hexadecimal text, taken while the bytes are written.

    Raises:
        StorageError: the file cannot be written, or a tensor has the name under which the header keeps the metadata.
    """
    if METADATA in tensors:
        raise StorageError(f"{path}:{METADATA}", "no tensor in a safetensors file can have this name")
    pieces = {name: [given] if isinstance(given, Tensor) else given for name, given in tensors.items()}
    in_order = sorted(pieces, key=lambda name: (_RANKS[pieces[name][0].dtype], name))
    header: dict[str, Any] = {METADATA: dict(metadata or {})}
    end = 0
    for name in in_order:
        first = pieces[name][0]
        shape = list(first.shape)
        if len(pieces[name]) > 1:
            shape[0] = sum(len(piece) for piece in pieces[name])
        start, end = end, end + prod(shape) * first.itemsize
        header[name] = {"dtype": _NAMES[first.dtype], "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    text += b" " * (-len(text) % 8)
    digest = hashlib.sha256()
    with replacing(path) as temporary, temporary.open("wb", buffering=0) as file:
        numbers = (_content(piece) for name in in_order for piece in pieces[name])
        for content in chain([memoryview(struct.pack("<Q", len(text)) + text)], numbers):
            for start in range(0, len(content), _BYTES_AT_ONCE):
                some = content[start : start + _BYTES_AT_ONCE]
                digest.update(some)
                while some:
                    some = some[file.write(some) :]
    return digest.hexdigest()


class FileTensors(Mapping[str, Tensor]):
    """The tensors of a safetensors file in memory. Each is made when it is asked for, as a view of the file's bytes.

    Args:
        header: the header of the file.
        content: the bytes of the file.
    """

    def __init__(self, header: Header, content: bytearray) -> None:
        self.entries = header.tensors
        self._content = content
        self._start = header.size

    def __getitem__(self, name: str) -> Tensor:
        entry = self.entries[name]
        place = self._start + entry.start
        if place % DTYPES[entry.dtype].itemsize:
            return _tensor(bytearray(self.bytes_of(entry)), entry, entry.shape)
        return _tensor(self._content, entry, entry.shape, place)

    def bytes_of(self, entry: TensorEntry) -> memoryview:
        """Return the bytes of a tensor."""
        place = self._start + entry.start
        return memoryview(self._content)[place : place + entry.size]

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)


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
    tensors, metadata = read_file(path, floats_only=floats_only)
    return dict(tensors), metadata


def read_file(path: Path, *, floats_only: bool = True) -> tuple[FileTensors, dict[str, str]]:
    """Read a safetensors file as ``read_tensors`` does, and make no tensor yet."""
    header, content = read_content(path)
    if floats_only:
        for name, entry in header.tensors.items():
            counter = entry.dtype == "I64" and name.endswith("num_batches_tracked")
            if entry.dtype not in _FLOATS and not counter:
                raise DataError(f"{path}:{name}", f"dtype {entry.dtype}; weights are F64, F32, F16 or BF16")
    return FileTensors(header, content), header.metadata


def stack_tensors(files: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Stack the tensors of files of the same names, shapes and dtypes: ``(files, *shape)`` each.

    The bytes of files that were written alike are put together, and no tensor is made for a file.
    """
    alike = [file for file in files if isinstance(file, FileTensors)]
    if len(alike) < len(files) or any(file.entries is not alike[0].entries for file in alike):
        return {name: torch.stack([file[name] for file in files]) for name in files[0]}
    return {
        name: _tensor(bytearray().join([file.bytes_of(entry) for file in alike]), entry, (len(alike), *entry.shape))
        for name, entry in alike[0].entries.items()
    }


def _content(tensor: Tensor) -> memoryview:
    """Return the bytes of a tensor; those of a contiguous one on the CPU are not copied."""
    return tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data


def _tensor(content: bytearray, entry: TensorEntry, shape: tuple[int, ...], place: int = 0) -> Tensor:
    """Return a tensor of the dtype of ``entry`` that shares the memory of its bytes, which begin at ``place``."""
    # With a storage of its own: torch.set_rng_state reads the storage from its beginning.
    dtype, count = DTYPES[entry.dtype], prod(shape)
    return (
        torch.frombuffer(content, dtype=dtype, count=count, offset=place).view(shape)
        if count
        else torch.empty(shape, dtype=dtype)
    )


def map_tensors(path: Path) -> dict[str, Tensor]:
    """Open a safetensors file that mnfn wrote as memory-mapped tensors, of which slices are read when they are used.

    Raises:
        DataError: the file is missing, damaged or not a safetensors file.
    """
    read_header(path)
    if unicode_text(str(path)) != str(path):
        return read_tensors(path, floats_only=False)[0]  # the library opens no file whose name is not UTF-8
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError, RuntimeError) as error:  # torch, which maps the file, raises the last of them
        raise DataError(path, f"no readable safetensors file: {error}") from None


def digest(tensors: Mapping[str, Tensor], text: str = "") -> str:
    """Return a SHA-256, as hexadecimal text, that changes with a name, dtype, shape or number, and with ``text``."""
    found = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        found.update(repr((name, str(tensor.dtype), tuple(tensor.shape))).encode())
        found.update(_content(tensor))
    return found.hexdigest()


def all_finite(tensor: Tensor) -> bool:
    """Return whether a tensor holds neither NaN nor infinity."""
    # The sum of x * 0 is NaN exactly if an entry is not finite. Few numbers at a time stay in the cache.
    return all(bool(torch.isfinite((some * 0).sum())) for some in tensor.flatten().split(_NUMBERS_AT_ONCE))
