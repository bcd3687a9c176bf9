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

from mnfn_cli.errors import DataError
from mnfn_cli.storage.atomic import replacing
from mnfn_cli.storage.tensor_headers import TensorEntries, TensorEntry, read_content, read_header

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
        StorageError: the file cannot be written.
    """
    pieces = {name: [given] if isinstance(given, Tensor) else given for name, given in tensors.items()}
    in_order = sorted(pieces, key=lambda name: (_RANKS[pieces[name][0].dtype], name))
    header: dict[str, Any] = {"__metadata__": dict(metadata or {})}
    end = 0
    for name in in_order:
        first = pieces[name][0]
        shape = list(first.shape)
        if len(pieces[name]) > 1:
            shape[0] = sum(len(piece) for piece in pieces[name])
        start, end = end, end + prod(shape) * first.itemsize
        header[name] = {"dtype": _NAMES[first.dtype], "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
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
        entries: what the header says about the tensors.
        content: the bytes of all tensors.
    """

    def __init__(self, entries: TensorEntries, content: bytearray) -> None:
        self.entries = entries
        self.content = content

    def __getitem__(self, name: str) -> Tensor:
        return _tensors_at(self.content, self.entries[name], 1)[0]

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
    return FileTensors(header.tensors, content), header.metadata


def stack_tensors(files: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Stack the tensors of files of the same names, shapes and dtypes: ``(files, *shape)`` each.

    Files that were written alike are put together as bytes, and of each tensor one copy is made for all files.
    """
    alike = [file for file in files if isinstance(file, FileTensors)]
    if len(alike) < len(files) or any(file.entries is not alike[0].entries for file in alike):
        return {name: torch.stack([file[name] for file in files]) for name in files[0]}
    content = bytearray().join([file.content for file in alike])
    return {name: _tensors_at(content, entry, len(files)) for name, entry in alike[0].entries.items()}


def _content(tensor: Tensor) -> memoryview:
    """Return the bytes of a tensor; those of a contiguous one on the CPU are not copied."""
    return tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data


def _tensors_at(content: bytearray, entry: TensorEntry, files: int) -> Tensor:
    """Return a tensor of each file, ``(files, *shape)``; that of a single file shares the memory of its bytes."""
    dtype, count = DTYPES[entry.dtype], prod(entry.shape)
    if not count:
        return torch.empty(files, *entry.shape, dtype=dtype)
    end = entry.start + count * dtype.itemsize
    if files > 1:
        rows = torch.frombuffer(content, dtype=torch.uint8).view(files, -1)
        return rows[:, entry.start : end].flatten().view(dtype).view(files, *entry.shape)
    if entry.start % dtype.itemsize:
        return torch.frombuffer(content[entry.start : end], dtype=dtype).view(1, *entry.shape)
    # With a storage of its own: torch.set_rng_state reads the storage from its beginning.
    return torch.frombuffer(content, dtype=dtype, count=count, offset=entry.start).view(1, *entry.shape)


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
    # The sum of x * 0 is NaN exactly if an entry is not finite. Few numbers at a time stay in the cache.
    return all(bool(torch.isfinite((some * 0).sum())) for some in tensor.flatten().split(_NUMBERS_AT_ONCE))
