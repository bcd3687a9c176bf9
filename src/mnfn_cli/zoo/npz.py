"""Read an ``.npz`` file with pictures and, optionally, labels."""

import zipfile
import zlib
from math import prod
from pathlib import Path

import numpy as np

from mnfn_cli.errors import DataError
from mnfn_cli.regular_files import check_regular_file
from mnfn_cli.zoo.idx import MAX_VALUES
from mnfn_cli.zoo.npy_header import read_npy_header

UNPACKED_BYTES_OF_ANY_FILE, MAX_EXPANSION = 2**24, 200
"""An array may unpack to so many bytes, and to so many more for each byte that it takes in the file."""

_BYTES_AT_ONCE = 2**20


def read_npz(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Read the arrays ``images`` and ``labels``; nothing is unpickled, and no larger array is read than is allowed.

    Args:
        path: the file. ``images`` is uint8, or floats in [0, 1], of shape ``(count, height, width)``,
            ``(count, height, width, channels)`` or ``(count, channels, height, width)`` with 1 or 3 channels; where the
            last two are both possible, channels are last. ``labels``, if it is there, holds a whole number for each
            picture, at least 0 and less than the number of pictures.

    Returns:
        the pictures ``(count, channels, height, width)``, uint8 or float32 in [0, 1], and the labels ``(count,)``,
        int64, or None.

    Raises:
        DataError: the file cannot be read, has no array ``images``, or an array is not as described.
    """
    check_regular_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            if "images" not in names:
                raise DataError(path, f"no array 'images'; it has {', '.join(names) or 'nothing'}")
            images = _read_array(path, archive, "images")
            labels = _read_array(path, archive, "labels") if "labels" in names else None
    except (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(path, f"no readable .npz file: {error}") from None
    pictures = _check_pictures(path, images)
    return pictures, None if labels is None else _check_labels(path, labels, len(pictures))


def _read_array(path: Path, archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """Read one array, after a check that it has as many bytes as its header claims, and not too many values.

    A small file whose arrays unpack to a large one is refused: pictures are not packed so well.
    """
    member = archive.getinfo(f"{name}.npy")
    with archive.open(member) as file:
        header = read_npy_header(f"{path}:{name}", file)
    values, size = prod(header.shape), member.file_size - header.start
    if values > MAX_VALUES:
        raise DataError(f"{path}:{name}", f"{values:,} values; at most {MAX_VALUES:,} are read")
    if values * header.dtype.itemsize != size:
        raise DataError(f"{path}:{name}", f"{size:,} bytes; its header claims {values * header.dtype.itemsize:,}")
    if size > UNPACKED_BYTES_OF_ANY_FILE + MAX_EXPANSION * member.compress_size:
        problem = f"unpacks from {member.compress_size:,} bytes to {size:,}: damaged, or made to fill the memory"
        raise DataError(f"{path}:{name}", problem)
    content = bytearray()
    with archive.open(member) as file:
        file.read(header.start)
        while piece := file.read(_BYTES_AT_ONCE):
            content += piece
    return np.frombuffer(content, header.dtype).reshape(header.shape, order="F" if header.fortran else "C")


def _check_pictures(path: Path, images: np.ndarray) -> np.ndarray:
    """Return pictures as ``(count, channels, height, width)``, uint8 or float32."""
    where = f"{path}:images"
    if images.ndim == 3:
        pictures = images[:, None]
    elif images.ndim == 4 and images.shape[3] in (1, 3):
        pictures = np.moveaxis(images, 3, 1)
    else:
        pictures = images
    if pictures.ndim != 4 or 0 in pictures.shape or pictures.shape[1] not in (1, 3):
        expected = "(count, height, width), and for colour 3 channels, last or second"
        raise DataError(where, f"shape {images.shape}; expected {expected}")
    if pictures.dtype == np.uint8:
        return pictures
    if pictures.dtype.kind != "f" or not np.isfinite(pictures).all() or pictures.min() < 0 or pictures.max() > 1:
        raise DataError(where, f"{pictures.dtype}; expected uint8, or floats in [0, 1]")
    return pictures.astype(np.float32)


def _check_labels(path: Path, labels: np.ndarray, count: int) -> np.ndarray:
    """Return labels as int64."""
    whole = labels.dtype.kind in "iu" or (labels.dtype.kind == "f" and bool(np.all(labels == np.round(labels))))
    if labels.shape != (count,) or not whole or labels.min() < 0 or labels.max() >= count:
        raise DataError(f"{path}:labels", f"expected {count} class numbers, 0, 1, 2, ..., got {labels.dtype}")
    return labels.astype(np.int64)
