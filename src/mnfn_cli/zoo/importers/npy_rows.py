"""Read some rows of a large ``.npy`` file. Nothing in the file is unpickled or evaluated, and it is not mapped."""

import os
from pathlib import Path
from typing import IO

import numpy as np

from mnfn_cli.errors import DataError
from mnfn_cli.regular_files import open_regular
from mnfn_cli.zoo.npy_header import read_npy_header


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
                header = read_npy_header(file, stream)
        except OSError as error:
            raise DataError(file, f"cannot read: {error.strerror}") from None
        if header.dtype.kind != "f":
            raise DataError(
                file, f"holds numbers of type '{header.dtype.str}'; weights are float16, float32 or float64"
            )
        if header.fortran:
            problem = "is stored column by column (Fortran order); save it row by row, with numpy.ascontiguousarray"
            raise DataError(file, problem)
        if len(header.shape) != 2 or min(header.shape) < 1:
            raise DataError(file, f"shape {header.shape}; it has a row for each network and a column for each weight")
        self._start, self._swapped, self.dtype = header.start, not header.dtype.isnative, header.dtype.newbyteorder("=")
        self.rows, self.columns = header.shape
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
