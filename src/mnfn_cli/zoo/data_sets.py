"""Find and read the files of MNIST, of sets in its format such as FashionMNIST, and of CIFAR-10."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mnfn_cli.errors import DataError, UsageError
from mnfn_cli.zoo.cifar import read_batch
from mnfn_cli.zoo.idx import read_idx

NUM_CLASSES = 10
"""The number of classes of MNIST, of FashionMNIST and of CIFAR-10; their labels are 0 to 9."""
MNIST_PARTS = ("train-", "t10k-")
CIFAR_BATCHES = (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin")
_PICKLED = tuple(name.removesuffix(".bin") for name in CIFAR_BATCHES)
_IDX_NAME = re.compile(r"(?P<start>.*)(?P<what>images[-.]idx3|labels[-.]idx1)-ubyte(\.gz)?", re.DOTALL)


@dataclass(frozen=True)
class DataSet:
    """Pictures with labels, as their files hold them.

    Args:
        pixels: ``(count, channels, height, width)``, uint8, 0 (black) to 255 (white).
        labels: class numbers ``(count,)``, int64.
        files: the files of pictures, in the order in which they were read.
    """

    pixels: np.ndarray
    labels: np.ndarray
    files: tuple[Path, ...]


def read_data_set(path: Path) -> DataSet | None:
    """Read the data set that ``path`` is or holds; nothing is ever unpickled.

    Args:
        path: a file of pictures in the IDX format, ``...images-idx3-ubyte`` or ``...images-idx3-ubyte.gz``, whose
            labels lie beside it in ``...labels-idx1-ubyte``, gzipped or not; a ``.bin`` file of CIFAR-10; or a folder.
            A folder holds ``train-images-idx3-ubyte`` and ``t10k-images-idx3-ubyte``, with labels, or
            ``data_batch_1.bin`` to ``data_batch_5.bin`` and ``test_batch.bin``: itself, or one of its folders does, or
            the folder ``raw`` in one of these. Files are read in this order, and those that are not there are left out.

    Returns:
        the data set; None if ``path`` does not exist or neither is nor holds one.

    Raises:
        UsageError: a folder holds several data sets.
        DataError: a file is damaged or no regular file; pictures have no labels, or another number of them; a label is
            not one of the ten classes or, in an IDX file that is no part of MNIST, not less than the number of
            pictures; the files' pictures differ in size; or CIFAR-10 is pickled.
    """
    if path.is_dir():
        files = _find_in_folders(path)
    elif os.path.lexists(path) and _is_known(path):
        files = [path]
    else:
        files = []
    parts, errors = [], []
    for file in files:
        try:
            parts.append(_read_part(file))
        except DataError as error:
            errors.append(error)
    if errors:
        raise DataError.together(errors)
    if not parts:
        return None
    for file, (pixels, _) in zip(files, parts, strict=True):
        if pixels.shape[1:] != parts[0][0].shape[1:]:
            here, first = (f"{p.shape[2]}x{p.shape[3]}" for p in (pixels, parts[0][0]))
            raise DataError(file, f"pictures of {here} pixels, but those of {files[0].name} have {first}")
    pixels, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return DataSet(pixels, labels.astype(np.int64), tuple(files))


def _is_known(file: Path) -> bool:
    """Return whether a file's name is one that ``_read_part`` knows."""
    return file.suffix == ".bin" or file.name in _PICKLED or _IDX_NAME.fullmatch(file.name) is not None


def _find_in_folders(path: Path) -> list[Path]:
    """Return the files of the data set in a folder or in the folders below it, in the order of reading."""
    found = _sets_in(path)
    below = [] if found else list(_folders_below(path))
    found += [files for folder in below for files in _sets_in(folder)]
    if len(found) > 1:
        names = ", ".join(str(files[0].relative_to(path)) for files in found)
        raise UsageError(path, f"holds several data sets, which begin with {names}; give the folder of one of them")
    if found:
        return found[0]
    pickled = (folder / name for folder in (path, *below) for name in _PICKLED)
    return [file for file in pickled if os.path.lexists(file)][:1]


def _folders_below(path: Path) -> Iterator[Path]:
    """Yield the folders in ``path`` in the order of their names, each with the folder ``raw`` in it, if it is there."""
    for folder in sorted(path.iterdir()):
        if folder.is_dir() and not folder.name.startswith("."):
            yield folder
            if (folder / "raw").is_dir():
                yield folder / "raw"


def _sets_in(folder: Path) -> list[list[Path]]:
    """Return the files of pictures of MNIST and of CIFAR-10 in a folder, of each in the order of reading."""
    mnist = [
        _idx_file(folder, part, "images-idx3")
        for part in MNIST_PARTS
        if any(os.path.lexists(_idx_file(folder, part, what)) for what in ("images-idx3", "labels-idx1"))
    ]
    cifar = [folder / name for name in CIFAR_BATCHES if os.path.lexists(folder / name)]
    return [files for files in (mnist, cifar) if files]


def _idx_file(folder: Path, start: str, what: str) -> Path:
    """Return the file of pictures or labels of a part, in the first of its spellings that exists, a file if possible.

    It may have a dot in place of the first hyphen after ``images`` or ``labels``, and may be gzipped. If nothing of the
    kind exists, the usual name is returned.
    """
    spellings = [
        folder / f"{start}{spelt}-ubyte{end}" for end in ("", ".gz") for spelt in (what, what.replace("-", "."))
    ]
    existing = [file for file in spellings if os.path.lexists(file)]
    return next((file for file in existing if file.is_file()), (existing or spellings)[0])


def _read_part(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read one file of pictures and their labels.

    Returns:
        the pictures ``(count, channels, height, width)`` and the labels ``(count,)``, both uint8.
    """
    if file.name in _PICKLED:
        raise DataError(file, "is CIFAR-10 in pickled form, which is never read; take its binary version, *.bin")
    if file.suffix == ".bin":
        pixels, labels = read_batch(file)
        return pixels, _check_labels(file, labels, NUM_CLASSES)
    name = _IDX_NAME.fullmatch(file.name)
    assert name is not None
    if name["what"].startswith("labels"):
        raise DataError(file, "holds labels; give the file of pictures beside it, ...images-idx3-ubyte")
    pixels = read_idx(file, 3)
    beside = _idx_file(file.parent, name["start"], "labels-idx1")
    if not os.path.lexists(beside):
        raise DataError(beside, f"no such file; it must hold the labels of {file.name}, gzipped or not")
    labels = read_idx(beside, 1)
    if len(labels) != len(pixels):
        raise DataError(beside, f"{len(labels):,} labels for the {len(pixels):,} pictures of {file.name}")
    bound = NUM_CLASSES if name["start"] in MNIST_PARTS else len(pixels)
    return pixels[:, None], _check_labels(beside, labels, bound)


def _check_labels(file: Path, labels: np.ndarray, bound: int) -> np.ndarray:
    """Return the labels; raises DataError, which names the first fault, unless all are less than ``bound``."""
    wrong = np.flatnonzero(labels >= bound)
    if len(wrong):
        raise DataError(
            f"{file}:{wrong[0]}", f"label {labels[wrong[0]]}; expected 0 to {bound - 1} ({len(wrong):,} wrong)"
        )
    return labels
