"""Load pictures: the digits and photographs that come with scikit-learn, or a user's pictures or data set."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mnfn_cli.errors import DataError, UsageError, unicode_text
from mnfn_cli.weightspace.naming import natural_key
from mnfn_cli.zoo.data_sets import read_data_set
from mnfn_cli.zoo.idx import MAX_VALUES
from mnfn_cli.zoo.npz import read_npz
from mnfn_cli.zoo.picture_file import name_files, picture_files, read_picture

DIGITS_SIZE = 16
PATCH_SIZE = 32
LUMINANCE = (0.299, 0.587, 0.114)
"""The weights of red, green and blue in luminance (ITU-R BT.601, as in Pillow)."""


@dataclass(frozen=True)
class ImageSet:
    """Pictures of one size, with names and, if they have classes, labels.

    Args:
        source: ``digits``, ``photos`` or the path that the user gave.
        pixels: ``(count, channels, height, width)``, float32 in [0, 1].
        labels: class numbers ``(count,)``, int64; None for pictures without labels.
        classes: the name of each class; empty for pictures without labels.
        ids: a unique name of each picture that can be part of a file name: the stem of its file, or a number.
        patches: whether the pictures are patches of larger ones, so that many may show nothing.
        files: the files of a data set, MNIST's or CIFAR-10's, in the order in which they were read; else empty.

    >>> from mnfn_cli.zoo import load_images
    >>> digits = load_images("digits")
    >>> digits.pixels.shape, digits.classes[:3], digits.select([5, 7]).ids
    (torch.Size([1797, 1, 16, 16]), ('0', '1', '2'), ('0005', '0007'))
    """

    source: str
    pixels: Tensor
    labels: Tensor | None
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    patches: bool = False
    files: tuple[Path, ...] = ()

    def select(self, rows: Sequence[int]) -> "ImageSet":
        """Return the pictures with these row numbers, in the order of ``rows``."""
        labels = None if self.labels is None else self.labels[list(rows)]
        return replace(self, pixels=self.pixels[list(rows)], labels=labels, ids=tuple(self.ids[row] for row in rows))

    def with_channels(self, channels: int) -> "ImageSet":
        """Return the pictures with 1 channel (grey) or 3 channels (red, green, blue).

        Colour becomes grey by its luminance; grey becomes colour by being repeated in all channels.
        """
        if self.pixels.shape[1] == channels:
            return self
        if channels == 1:
            shares = torch.tensor(LUMINANCE)[:, None, None]
            return replace(self, pixels=(self.pixels * shares).sum(dim=1, keepdim=True).clamp(0, 1))
        return replace(self, pixels=self.pixels.repeat(1, channels, 1, 1))

    def contrast(self) -> Tensor:
        """Return the standard deviation of the luminance of each picture over its pixels, ``(count,)``, 0 to 0.5."""
        return self.with_channels(1).pixels.flatten(1).std(dim=1, correction=0)

    def checksum(self) -> str:
        """Return the SHA-256 of all pixels, labels, class names and ids, 64 hex digits.

        Two sets with one checksum hold the same pictures, in the same order, with the same labels and names.
        """
        digest = hashlib.sha256(repr((tuple(self.pixels.shape), self.classes, self.ids)).encode())
        for tensor in (self.pixels, self.labels):
            if tensor is not None:
                digest.update(tensor.contiguous().numpy().data)
        return digest.hexdigest()

    def describe(self) -> dict[str, Any]:
        """Return the description of the pictures for zoo.json: source, count, channels, size, range and classes."""
        return {
            "source": self.source,
            "count": len(self.pixels),
            "channels": self.pixels.shape[1],
            "size": list(self.pixels.shape[2:]),
            "pixel_range": [0.0, 1.0],
            "classes": list(self.classes),
        }


def load_images(source: str, size: int | None = None, *, expected: tuple[int, int] | None = None) -> ImageSet:
    """Load pictures from one of the sources that the option ``--images`` accepts.

    Args:
        source: ``digits``; ``photos``, two colour photographs cut into 32x32 patches that do not overlap; a folder of
            pictures (one subfolder a class, or none); one picture; a folder or a file of MNIST, of a set in its
            format, or of CIFAR-10's binary version (``read_data_set``); or an ``.npz`` file with ``images`` and,
            optionally, ``labels`` (``read_npz``).
        size: the side to which pictures are resized (bicubic). By default digits are resized to 16x16, and others not.
        expected: the (height, width) that all pictures must have. Digits are resized to it if it is square.

    Returns:
        the pictures, with labels if the source has classes.

    Raises:
        UsageError: the source is unknown, or holds several data sets, or pictures differ in size and neither ``size``
            nor ``expected`` is given.
        DataError: a picture or a label cannot be read, or is not of the expected size; every bad picture is named.

    >>> from mnfn_cli.zoo import load_images
    >>> load_images("photos").pixels.shape
    torch.Size([520, 3, 32, 32])
    """
    path = Path(source)
    if source == "digits":
        side = expected[0] if expected and expected[0] == expected[1] else DIGITS_SIZE
        images = _digits(size or side)
    elif source == "photos":
        images = _photos(size)
    elif path.suffix == ".npz":
        pixels, labels = read_npz(path)
        images = _from_arrays(path, pixels, labels, size)
    elif (data_set := read_data_set(path)) is not None:
        images = _from_arrays(path, data_set.pixels, data_set.labels, size, data_set.files)
    elif path.is_dir():
        images = _folder(path, size, expected)
    elif path.is_file():
        images = ImageSet(
            source, _stacked(path, [(path, read_picture(path))], size, expected), None, (), name_files([path])
        )
    else:
        known = "'digits' nor 'photos' nor a picture, a folder, an .npz file, or a file of MNIST or CIFAR-10"
        raise UsageError("--images", f"'{source}' is neither {known}")
    if expected is not None and images.pixels.shape[2:] != expected:
        height, width = images.pixels.shape[2:]
        raise _other_size(source, (height, width), expected)
    return images


def image_paths(source: str) -> tuple[Path, ...]:
    """Return the file or folder that ``load_images`` reads for ``source``; nothing for the pictures that come along."""
    return () if source in ("digits", "photos") else (Path(source),)


def _digits(size: int) -> ImageSet:
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16.0
    labels, classes = torch.tensor(digits.target), tuple(map(str, range(10)))
    return ImageSet("digits", resize(pixels, size), labels, classes, numbered(len(pixels)))


def _photos(size: int | None) -> ImageSet:
    """Cut each photograph, ``(height, width, 3)``, into patches, row by row; the rest at its edges is left out."""
    from sklearn.datasets import load_sample_images

    photos = load_sample_images()
    patches, ids = [], []
    for name, photo in zip(photos.filenames, photos.images, strict=True):
        whole = torch.tensor(photo, dtype=torch.float32).movedim(2, 0) / 255
        cut = whole.unfold(1, PATCH_SIZE, PATCH_SIZE).unfold(2, PATCH_SIZE, PATCH_SIZE).flatten(1, 2).movedim(0, 1)
        patches.append(cut)
        ids += [f"{Path(name).stem}-{number}" for number in numbered(len(cut))]
    pixels = torch.cat(patches)
    return ImageSet("photos", pixels if size is None else resize(pixels, size), None, (), tuple(ids), patches=True)


def numbered(count: int) -> tuple[str, ...]:
    """Return the names 0, 1, 2, ... with leading zeros, so that all have the same length."""
    return tuple(f"{number:0{len(str(count - 1))}d}" for number in range(count))


def resize(pixels: Tensor, size: int) -> Tensor:
    """Resize pictures ``(count, channels, height, width)`` to ``size x size``, bicubically, and clip to [0, 1]."""
    _require_fitting_size(len(pixels), pixels.shape[1], size)
    if pixels.shape[2:] == (size, size):
        return pixels
    shrinks = size < min(pixels.shape[2:])
    return F.interpolate(pixels, (size, size), mode="bicubic", antialias=shrinks).clamp(0, 1)


def _require_fitting_size(count: int, channels: int, size: int) -> None:
    if count * channels * size * size > MAX_VALUES:
        problem = f"{size} makes {count * channels * size * size:,} values of {count} pictures; at most {MAX_VALUES:,}"
        raise UsageError("--size", problem)


def _from_arrays(
    path: Path, pixels: np.ndarray, labels: np.ndarray | None, size: int | None, files: tuple[Path, ...] = ()
) -> ImageSet:
    """Return pictures ``(count, channels, height, width)``, uint8 or floats in [0, 1], with classes 0, 1, 2, ..."""
    scaled = np.array(pixels, dtype=np.float32, order="C")
    if pixels.dtype == np.uint8:
        scaled /= 255
    tensor = torch.from_numpy(scaled) if size is None else resize(torch.from_numpy(scaled), size)
    names = () if labels is None else tuple(str(number) for number in range(int(labels.max()) + 1))
    numbers = None if labels is None else torch.from_numpy(labels)
    return ImageSet(str(path), tensor, numbers, names, numbered(len(tensor)), files=files)


def _folder(path: Path, size: int | None, expected: tuple[int, int] | None) -> ImageSet:
    inside = sorted((p for p in path.iterdir() if not p.name.startswith(".")), key=lambda p: natural_key(p.name))
    folders = [p for p in inside if p.is_dir()]
    groups = [(folder.name, picture_files(folder)) for folder in folders] or [("", picture_files(path))]
    pictures, labels, errors = [], [], []
    for label, (_, files) in enumerate(groups):
        for file in files:
            try:
                pictures.append((file, read_picture(file)))
                labels.append(label)
            except DataError as error:
                errors.append(error)
    if errors:
        raise DataError.together(errors)
    if not pictures:
        raise DataError(path, "holds no picture")
    pixels = _stacked(path, pictures, size, expected)
    ids = name_files([file for file, _ in pictures])
    if not folders:
        return ImageSet(str(path), pixels, None, (), ids)
    return ImageSet(str(path), pixels, torch.tensor(labels), tuple(unicode_text(name) for name, _ in groups), ids)


def _stacked(
    path: Path, pictures: Sequence[tuple[Path, Tensor]], size: int | None, expected: tuple[int, int] | None
) -> Tensor:
    """Stack the pictures of files. If one of them is in colour, the grey ones become colour too."""
    if size is None and expected is not None:
        wrong = [(file, (array.shape[1], array.shape[2])) for file, array in pictures if array.shape[1:] != expected]
        if wrong:
            raise DataError.together(_other_size(file, found, expected) for file, found in wrong)
    colour = any(array.shape[0] == 3 for _, array in pictures)
    tensors = [array.expand(3, -1, -1) if colour and array.shape[0] == 1 else array for _, array in pictures]
    if size is not None:
        _require_fitting_size(len(tensors), 3 if colour else 1, size)
        tensors = [resize(tensor[None], size)[0] for tensor in tensors]
    if len({tensor.shape for tensor in tensors}) > 1:
        raise UsageError(path, "pictures differ in size; make them equal with --size")
    return torch.stack(tensors)


def _other_size(where: object, found: tuple[int, int], expected: tuple[int, int]) -> DataError:
    height, width = expected
    remedy = f"give --size {height}" if height == width else "resize it"
    return DataError(where, f"is {found[0]} pixels high and {found[1]} wide, expected {height} x {width}; {remedy}")
