"""Read the header of an array in numpy's format, a ``.npy`` file. Nothing is unpickled or evaluated.

numpy itself evaluates the header as a Python literal, which a damaged one makes fail in many ways.
"""

import re
import struct
from dataclasses import dataclass
from typing import IO

import numpy as np

from mnfn_cli.errors import DataError

MAGIC = b"\x93NUMPY"
MAX_HEADER_BYTES = 10_000
"""The longest header that is read, as in numpy."""

_LENGTHS = {b"\x01\x00": "<H", b"\x02\x00": "<I", b"\x03\x00": "<I"}
"""The form of a header's length, by the version of the format."""

_HEADER = re.compile(
    r"\{\s*'descr':\s*(?P<descr>.*?),\s*'fortran_order':\s*(?P<fortran>True|False),"
    r"\s*'shape':\s*\((?P<shape>[0-9L, ]{0,60})\),?\s*\}\s*",
    re.ASCII | re.DOTALL,
)
_NUMBERS = re.compile(r"'(?P<dtype>[<>=|](b1|[iu][1248]|f[248]))'")


@dataclass(frozen=True)
class NpyHeader:
    """What the header of an array says.

    Args:
        dtype: the type of its numbers, in their byte order.
        fortran: whether they are stored column by column.
        shape: the shape of the array.
        start: the position of the first number in bytes.
    """

    dtype: np.dtype
    fortran: bool
    shape: tuple[int, ...]
    start: int


def read_npy_header(where: object, stream: IO[bytes]) -> NpyHeader:
    """Read the header of an array; the next byte of the stream is then the first one of its numbers.

    Args:
        where: the file, or the place in it, for errors.
        stream: the open file, at its beginning.

    Raises:
        DataError: the header is damaged, or the array holds other than whole or floating-point numbers or truth values.
    """
    start = stream.read(len(MAGIC) + 2)
    if not start.startswith(MAGIC):
        raise DataError(where, f"is no array in numpy's format: it begins with {start!r}")
    form = _LENGTHS.get(start[len(MAGIC) :])
    if form is None:
        raise DataError(where, f"is in version {start[len(MAGIC) :].hex('.')} of numpy's format; 1, 2 and 3 are read")
    size = struct.calcsize(form)
    packed = stream.read(size)
    length = struct.unpack(form, packed)[0] if len(packed) == size else 0
    if not 0 < length <= MAX_HEADER_BYTES:
        raise DataError(where, f"has a header of {length} bytes; it has at most {MAX_HEADER_BYTES}")
    text = stream.read(length)
    header = _HEADER.fullmatch(text.decode("latin-1"))
    if header is None or len(text) != length:
        raise DataError(where, "has a damaged header")
    shape = tuple(int(length) for length in re.findall(r"\d+", header["shape"]))
    return NpyHeader(
        _read_dtype(where, header["descr"]), header["fortran"] == "True", shape, len(start) + size + length
    )


def _read_dtype(where: object, descr: str) -> np.dtype:
    if re.fullmatch(r"'\|?O\d*'", descr) or descr.startswith("["):
        raise DataError(where, "holds Python objects or records, of which none was read; save an array of numbers")
    found = _NUMBERS.fullmatch(descr)
    if found is None:
        raise DataError(where, f"holds numbers of type {descr}; expected whole or floating-point ones")
    return np.dtype(found["dtype"])
