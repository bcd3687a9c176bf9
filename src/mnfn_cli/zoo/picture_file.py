"""Find, name and read picture files of any common format."""

import re
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from mnfn_cli.errors import DataError
from mnfn_cli.regular_files import check_regular_file
from mnfn_cli.weightspace.naming import natural_key

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_PIXELS = 50_000_000
PIXELS_OF_ANY_FILE, PIXELS_PER_BYTE = 2**20, 1000
"""A file may claim so many pixels, and so many more for each of its bytes. Large pictures of one colour stay below."""

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"})
_UNSAFE = re.compile(r"[^\w.+-]+", re.ASCII)


def picture_files(folder: Path) -> list[Path]:
    """Return the picture files in a folder, in natural order; names that start with a dot are left out."""
    files = [p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")]
    return sorted(files, key=lambda p: natural_key(p.name))


def name_files(files: Sequence[Path]) -> tuple[str, ...]:
    """Return names of pictures: the stems of their files or, where stems are not unique, more of their paths."""
    ways: list[Callable[[int, Path], str]] = [
        lambda _, file: file.stem,
        lambda _, file: f"{file.parent.name}-{file.stem}",
        lambda _, file: f"{file.parent.name}-{file.name}",
        lambda number, file: f"{number}-{file.name}",
    ]
    for way in ways:
        names = tuple(_UNSAFE.sub("_", way(number, file)).lstrip(".-") or "_" for number, file in enumerate(files))
        if len(set(names)) == len(names):
            break
    return names


def read_picture(path: Path) -> Tensor:
    """Read one picture as ``(1 or 3, height, width)``, float32 in [0, 1].

    It is rotated as its EXIF data say. Grey of 16 bits or of floats in [0, 1] keeps its precision, palettes and CMYK
    become RGB, and transparent parts are shown on white.

    Raises:
        DataError: the file is missing, no regular file, no picture or damaged, or has more than ``MAX_PIXELS`` pixels,
            or more than its size allows.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    check_regular_file(path)
    try:
        # Of what Pillow warns, the size is refused below, and the rest is harmless.
        with warnings.catch_warnings(action="ignore"), Image.open(path) as opened:
            _check_size(path, opened.width, opened.height)
            picture = ImageOps.exif_transpose(opened)
            array = _to_array(picture)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(path, f"no readable picture: {error}") from None
    return torch.from_numpy(array)


def _check_size(path: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise DataError(path, f"{width}x{height} pixels; at most {MAX_PIXELS} are read")
    size = path.stat().st_size
    if width * height > PIXELS_OF_ANY_FILE + PIXELS_PER_BYTE * size:
        raise DataError(path, f"claims {width}x{height} pixels in {size} bytes: damaged, or made to fill the memory")


def _to_array(picture: "Image") -> np.ndarray:
    from PIL import Image

    if picture.mode.startswith("I") or picture.mode == "F":
        largest = 1 if picture.mode == "F" else 65535
        numbers = np.asarray(picture, dtype=np.float32)
        if not (numbers.min() >= 0 and numbers.max() <= largest):  # also if one is no number
            raise ValueError(f"its pixels are not between 0 and {largest}")
        return numbers[None] / largest
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        colour = picture.convert("RGBA")
        white = Image.new("RGBA", colour.size, "white")
        picture = Image.alpha_composite(white, colour).convert("L" if picture.mode == "LA" else "RGB")
    if picture.mode in ("1", "L"):
        return np.asarray(picture.convert("L"), dtype=np.float32)[None] / 255
    return np.moveaxis(np.asarray(picture.convert("RGB"), dtype=np.float32), 2, 0) / 255
