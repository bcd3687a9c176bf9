"""Read IDX files, the format of the pictures and labels of MNIST, gzipped or not."""

import gzip
import os
import zlib
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import BinaryIO

import numpy as np

from mnfn_cli.errors import DataError
from mnfn_cli.regular_files import open_regular

MAX_VALUES = 2**30
"""The largest number of values that is read from one file of pictures or labels. It bounds the memory."""
_GZIP = b"\x1f\x8b"
_MOST_EXPANSION = 1032
"""The largest ratio of unpacked to packed bytes that gzip's method of compression, deflate, can reach."""
_UNSIGNED_BYTE = 0x08


def read_idx(path: Path, num_dimensions: int) -> np.ndarray:
    """Read an IDX file of unsigned bytes.

    The header holds, in this order, two zero bytes, a byte for the type of the values, a byte for the number of
    dimensions, and each dimension as a big-endian integer of four bytes. The values follow, and the last index varies
    fastest. Files that start like gzip's are unpacked, whatever their name. No more bytes are read or unpacked than the
    header claims, and one.

    Args:
        path: the file.
        num_dimensions: the number of dimensions that it must have: 3 for pictures, 1 for labels.

    Returns:
        the values, uint8; of pictures ``(count, height, width)``, of labels ``(count,)``. The array cannot be written.

    Raises:
        DataError: the file is missing, no regular file or no IDX file; it holds values of another type, or has other
            dimensions; its size is not that of its header; it is damaged; or it has more than ``MAX_VALUES`` values.
    """
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            packed = file.read(len(_GZIP)) == _GZIP
            file.seek(0)
            if not packed:
                return _read_values(path, file, num_dimensions, smallest=size, largest=size)
            with gzip.GzipFile(fileobj=file) as content:
                return _read_values(path, content, num_dimensions, smallest=0, largest=_MOST_EXPANSION * size)
    except EOFError:
        raise DataError(path, "is truncated; copy or download it again") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(path, f"is a damaged gzip file: {error}; copy or download it again") from None
    except OSError as error:
        raise DataError(path, f"cannot read: {error.strerror}") from None


def _read_values(
    path: Path, content: BinaryIO | gzip.GzipFile, num_dimensions: int, *, smallest: int, largest: int
) -> np.ndarray:
    """Read header and values; the file unpacked has at least ``smallest`` and at most ``largest`` bytes."""
    shape = _read_header(path, content, num_dimensions)
    start, values = content.tell(), prod(shape)
    claimed = f"its header claims {' x '.join(map(str, shape))} values"
    if values > MAX_VALUES:
        raise DataError(path, f"{claimed}; at most {MAX_VALUES:,} are read")
    if start + values > largest:
        raise DataError(path, f"is truncated: {claimed}, more than a file of its size can hold")
    if start + values < smallest:
        raise DataError(path, f"has {smallest - start - values} bytes too many: {claimed}")
    found = content.read(values + 1)
    if len(found) < values:
        raise DataError(path, f"is truncated: {claimed}, and it holds {len(found)}")
    if len(found) > values:
        raise DataError(path, f"has bytes too many: {claimed}")
    return np.frombuffer(found, dtype=np.uint8).reshape(shape)


def _read_header(path: Path, content: BinaryIO | gzip.GzipFile, num_dimensions: int) -> Sequence[int]:
    """Read and check the header; return the dimensions, all of them positive."""
    magic = content.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0":
        raise DataError(path, f"is no IDX file: it starts with {magic.hex(' ') or 'nothing'}, not with two zero bytes")
    if magic[2] != _UNSIGNED_BYTE:
        raise DataError(path, f"holds values of type 0x{magic[2]:02x}; expected unsigned bytes, 0x{_UNSIGNED_BYTE:02x}")
    if magic[3] != num_dimensions:
        raise DataError(path, f"has {magic[3]} dimensions, expected {num_dimensions}: pictures have 3, and labels 1")
    dimensions = content.read(4 * num_dimensions)
    if len(dimensions) < 4 * num_dimensions:
        raise DataError(path, "is truncated: it ends in its header")
    shape = [int(dimension) for dimension in np.frombuffer(dimensions, dtype=">u4")]
    if 0 in shape:
        raise DataError(path, f"holds nothing: its header claims {' x '.join(map(str, shape))} values")
    return shape
