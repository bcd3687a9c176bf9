"""Real pictures: scikit-learn's digits, or a user's own folder or ``.npz``."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mnfn_cli.errors import DataError, UsageError
from mnfn_cli.weightspace.naming import natural_key

if TYPE_CHECKING:
    from PIL.Image import Image

DIGITS_SIZE = 16
MAX_PIXELS = 50_000_000
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"})


@dataclass(frozen=True)
class ImageSet:
    """Pictures, and labels where there are any.

    Args:
        source: what the user asked for: ``digits`` or a path.
        pixels: ``(count, channels, height, width)``, float32 in [0, 1].
        labels: class numbers ``(count,)``, int64; None for pictures without labels.
        classes: name of each class.
    """

    source: str
    pixels: Tensor
    labels: Tensor | None
    classes: tuple[str, ...]

    def describe(self) -> dict[str, Any]:
        """Return what zoo.json records."""
        return {
            "source": self.source,
            "count": len(self.pixels),
            "channels": self.pixels.shape[1],
            "size": list(self.pixels.shape[2:]),
            "pixel_range": [0.0, 1.0],
            "classes": list(self.classes),
        }


def load_images(source: str, size: int | None = None) -> ImageSet:
    """Load pictures.

    Args:
        source: ``digits``; a folder of pictures (one subfolder a class, or none); or an ``.npz`` file with ``images``
            ``(count, height, width[, channels])`` and, optionally, ``labels``.
        size: resize to ``size x size`` (bicubic); by default digits become 16x16 and others stay as they are.

    Raises:
        UsageError: the source is unknown, or pictures differ in size and ``size`` is not given.
        DataError: a picture or a label cannot be read; every bad one is named.
    """
    if source == "digits":
        return _digits(size or DIGITS_SIZE)
    path = Path(source)
    if path.suffix == ".npz":
        return _npz(path, size)
    if path.is_dir():
        return _folder(path, size)
    raise UsageError("--images", f"'{source}' is neither 'digits' nor a folder nor an .npz file")


def _digits(size: int) -> ImageSet:
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16.0
    return ImageSet("digits", resize(pixels, size), torch.tensor(digits.target), tuple(map(str, range(10))))


def resize(pixels: Tensor, size: int) -> Tensor:
    """Resize ``(count, channels, height, width)`` to ``size x size``, bicubic, clipped to [0, 1]."""
    if pixels.shape[2:] == (size, size):
        return pixels
    shrinks = size < min(pixels.shape[2:])
    return F.interpolate(pixels, (size, size), mode="bicubic", antialias=shrinks).clamp(0, 1)


def _npz(path: Path, size: int | None) -> ImageSet:
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays: Mapping[str, np.ndarray] = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise DataError(path, f"no readable .npz file: {error}") from None
    if "images" not in arrays:
        raise DataError(path, f"no array 'images'; it has {', '.join(arrays) or 'nothing'}")
    images = arrays["images"]
    if images.ndim not in (3, 4) or 0 in images.shape or (images.ndim == 4 and images.shape[3] not in (1, 3)):
        raise DataError(f"{path}:images", f"shape {images.shape}; expected (count, height, width[, 1 or 3])")
    if images.dtype == np.uint8:
        scaled = images.astype(np.float32) / 255
    elif images.dtype.kind == "f" and np.isfinite(images).all() and images.min() >= 0 and images.max() <= 1:
        scaled = images.astype(np.float32)
    else:
        raise DataError(f"{path}:images", f"{images.dtype}; expected uint8, or floats in [0, 1]")
    pixels = torch.from_numpy(scaled if images.ndim == 4 else scaled[..., None]).movedim(3, 1).contiguous()
    pixels = pixels if size is None else resize(pixels, size)
    labels = arrays.get("labels")
    if labels is None:
        return ImageSet(str(path), pixels, None, ())
    whole = labels.dtype.kind in "iu" or (labels.dtype.kind == "f" and bool(np.all(labels == np.round(labels))))
    if labels.shape != (len(images),) or not whole or labels.min() < 0 or labels.max() >= len(images):
        raise DataError(f"{path}:labels", f"expected {len(images)} class numbers, 0, 1, 2, ..., got {labels.dtype}")
    names = tuple(str(number) for number in range(int(labels.max()) + 1))
    return ImageSet(str(path), pixels, torch.from_numpy(labels.astype(np.int64)), names)


def _folder(path: Path, size: int | None) -> ImageSet:
    inside = sorted((p for p in path.iterdir() if not p.name.startswith(".")), key=lambda p: natural_key(p.name))
    folders = [p for p in inside if p.is_dir()]
    groups = [(folder.name, _picture_files(folder)) for folder in folders] or [("", _picture_files(path))]
    arrays, labels, errors = [], [], []
    for label, (_, files) in enumerate(groups):
        for file in files:
            try:
                arrays.append(read_picture(file))
                labels.append(label)
            except DataError as error:
                errors.append(error)
    if errors:
        raise DataError.together(errors)
    if not arrays:
        raise DataError(path, "holds no picture")
    colour = any(array.shape[0] == 3 for array in arrays)
    tensors = [array.expand(3, -1, -1) if colour and array.shape[0] == 1 else array for array in arrays]
    if size is not None:
        tensors = [resize(tensor[None], size)[0] for tensor in tensors]
    if len({tensor.shape for tensor in tensors}) > 1:
        raise UsageError(path, "pictures differ in size; make them equal with --size")
    pixels = torch.stack(tensors)
    if not folders:
        return ImageSet(str(path), pixels, None, ())
    return ImageSet(str(path), pixels, torch.tensor(labels), tuple(name for name, _ in groups))


def _picture_files(folder: Path) -> list[Path]:
    files = [p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")]
    return sorted(files, key=lambda p: natural_key(p.name))


def read_picture(path: Path) -> Tensor:
    """Read one picture as ``(1 or 3, height, width)``, float32 in [0, 1].

    It is turned as its EXIF data say; 16-bit grey keeps its depth; palettes and CMYK become RGB; what is transparent
    shows white.

    Raises:
        DataError: the file is no picture, is damaged, or has more than ``MAX_PIXELS`` pixels.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                raise DataError(path, f"{opened.width}x{opened.height} pixels; at most {MAX_PIXELS} are read")
            picture = ImageOps.exif_transpose(opened)
            array = _to_array(picture)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(path, f"no readable picture: {error}") from None
    return torch.from_numpy(array)


def _to_array(picture: "Image") -> np.ndarray:
    from PIL import Image

    if picture.mode.startswith("I;16") or picture.mode == "I":
        return (np.asarray(picture, dtype=np.float32) / 65535).clip(0, 1)[None]
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        colour = picture.convert("RGBA")
        white = Image.new("RGBA", colour.size, "white")
        picture = Image.alpha_composite(white, colour).convert("L" if picture.mode == "LA" else "RGB")
    if picture.mode in ("1", "L"):
        return np.asarray(picture.convert("L"), dtype=np.float32)[None] / 255
    return np.moveaxis(np.asarray(picture.convert("RGB"), dtype=np.float32), 2, 0) / 255
