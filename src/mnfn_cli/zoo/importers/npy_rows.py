"""Read some rows of a large ``.npy`` file. Nothing in the file is unpickled or evaluated, and it is not mapped."""

import os
import re
import struct
import sys
from pathlib import Path
from typing import IO

import numpy as np

from mnfn_cli.errors import DataError
from mnfn_cli.regular_files import open_regular

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
_FLOAT = re.compile(r"'(?P<order>[<>=])f(?P<bytes>[248])'")


class NpyRows:
    """A matrix of floating-point numbers in a ``.npy`` file, read by rows.

    A mapped file that is cut short kills the process which reads it; so this one is read with plain calls. Numbers of
    either byte order are read; a matrix that is stored column by column (Fortran order) is refused, because each of its
    rows is scattered over the whole file.

    Args:
        file: the path of the file.

    Attributes:
        file: the path of the file.
        rows, columns: the numbers of rows and columns.
        dtype: float16, float32 or float64, in the byte order of the machine.
        identity: the size in bytes and the time of the last change in nanoseconds.

    Raises:
        DataError: the file is no matrix of such numbers, is cut short, or holds Python objects.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        try:
            with open_regular(file) as stream:
                self.identity = _identity(stream)
                header, self._start = _read_header(file, stream)
        except OSError as error:
            raise DataError(file, f"cannot read: {error.strerror}") from None
        self._swapped, self.dtype = _read_dtype(file, header["descr"])
        if header["fortran"] == "True":
            problem = "is stored column by column (Fortran order); save it row by row, with numpy.ascontiguousarray"
            raise DataError(file, problem)
        shape = [int(length) for length in re.findall(r"\d+", header["shape"])]
        if len(shape) != 2 or min(shape) < 1:
            raise DataError(file, f"shape {tuple(shape)}; it has a row for each network and a column for each weight")
        self.rows, self.columns = shape
        self._row_bytes = self.columns * self.dtype.itemsize
        expected, found = self._start + self.rows * self._row_bytes, self.identity[0]
        if found != expected:
            wrong = "is cut short" if found < expected else "goes on behind its numbers"
            raise DataError(file, f"{wrong}: {found} bytes, and {self.rows} x {self.columns} numbers take {expected}")

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Return some rows.

        Args:
            rows: the numbers of the rows, counted from 0, in any order, ``(count,)``, at least one. The file is read
                from its start to its end.

        Returns:
            the rows in the order of ``rows``, ``(count, columns)``, in new memory.

        Raises:
            DataError: the file was changed since it was opened first, or cannot be read.
        """
        order = np.argsort(rows, kind="stable")
        ascending = rows[order]
        found = np.empty((len(rows), self.columns), self.dtype)
        memory = memoryview(found.reshape(-1).view(np.uint8).data)
        # A piece is a range of rows that are neighbours both in the file and in the result.
        breaks = (np.flatnonzero((np.diff(ascending) != 1) | (np.diff(order) != 1)) + 1).tolist()
        starts, stops = [0, *breaks], [*breaks, len(rows)]
        places, size = order.tolist(), self._row_bytes
        try:
            with open_regular(self.file) as stream:
                if _identity(stream) != self.identity:
                    raise DataError(self.file, "was changed while it was read")
                for start, stop in zip(starts, stops, strict=True):
                    place = places[start]
                    piece = memory[place * size : (place + stop - start) * size]
                    self._fill(stream.fileno(), piece, self._start + int(ascending[start]) * size)
        except OSError as error:
            raise DataError(self.file, f"cannot read: {error.strerror}") from None
        if self._swapped:
            found.byteswap(inplace=True)
        return found

    def _fill(self, descriptor: int, piece: memoryview, offset: int) -> None:
        while len(piece):
            count = os.preadv(descriptor, [piece], offset)
            if count == 0:
                raise DataError(self.file, "was cut short while it was read")
            piece, offset = piece[count:], offset + count


def _identity(stream: IO[bytes]) -> tuple[int, int]:
    status = os.fstat(stream.fileno())
    return status.st_size, status.st_mtime_ns


def _read_header(file: Path, stream: IO[bytes]) -> tuple[re.Match[str], int]:
    """Return the parts of the header, and the position of the first number."""
    start = stream.read(len(MAGIC) + 2)
    if not start.startswith(MAGIC):
        raise DataError(file, f"is no array in numpy's format: it begins with {start!r}")
    form = _LENGTHS.get(start[len(MAGIC) :])
    if form is None:
        raise DataError(file, f"is in version {start[len(MAGIC) :].hex('.')} of numpy's format; 1, 2 and 3 are read")
    size = struct.calcsize(form)
    packed = stream.read(size)
    length = struct.unpack(form, packed)[0] if len(packed) == size else 0
    if not 0 < length <= MAX_HEADER_BYTES:
        raise DataError(file, f"has a header of {length} bytes; it has at most {MAX_HEADER_BYTES}")
    text = stream.read(length)
    header = _HEADER.fullmatch(text.decode("latin-1"))
    if header is None or len(text) != length:
        raise DataError(file, "has a damaged header")
    return header, stream.tell()


def _read_dtype(file: Path, descr: str) -> tuple[bool, np.dtype]:
    """Return whether the bytes of each number must be swapped, and its type in the byte order of the machine."""
    if re.fullmatch(r"'\|?O\d*'", descr) or descr.startswith("["):
        raise DataError(file, "holds Python objects or records, of which none was read; weights are an array of floats")
    found = _FLOAT.fullmatch(descr)
    if found is None:
        raise DataError(file, f"holds numbers of type {descr}; weights are float16, float32 or float64")
    own = "<" if sys.byteorder == "little" else ">"
    return found["order"] not in ("=", own), np.dtype(f"=f{found['bytes']}")
