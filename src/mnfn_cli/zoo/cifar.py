"""Read the files of CIFAR-10's binary version."""

import os
from pathlib import Path

import numpy as np

from mnfn_cli.errors import DataError
from mnfn_cli.regular_files import open_regular
from mnfn_cli.zoo.idx import MAX_VALUES

CHANNELS, SIDE = 3, 32
RECORD_BYTES = 1 + CHANNELS * SIDE * SIDE
"""The bytes of one picture: its label, then its red, green and blue pixels, each channel row by row."""


def read_batch(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read one batch, a file of records of ``RECORD_BYTES`` bytes without a header.

    Returns:
        the pictures ``(count, 3, 32, 32)`` and their labels ``(count,)``, both uint8. The arrays cannot be written.

    Raises:
        DataError: the file is missing or no regular file, is empty or not a whole number of records, or holds more than
            ``MAX_VALUES`` values.
    """
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size == 0 or size % RECORD_BYTES:
                problem = f"has {size:,} bytes, no whole number of CIFAR-10's records of {RECORD_BYTES:,} bytes"
                raise DataError(path, problem)
            if size > MAX_VALUES:
                raise DataError(path, f"has {size:,} bytes; at most {MAX_VALUES:,} are read")
            content = file.read(size)
    except OSError as error:
        raise DataError(path, f"cannot be read: {error.strerror}") from None
    if len(content) < size:
        raise DataError(path, f"was truncated while it was read: {len(content):,} of {size:,} bytes")
    records = np.frombuffer(content, dtype=np.uint8).reshape(-1, RECORD_BYTES)
    return records[:, 1:].reshape(-1, CHANNELS, SIDE, SIDE), records[:, 0]
