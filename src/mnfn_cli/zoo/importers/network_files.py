"""Read files with one network each, twice: once to check them and to find their weight spaces, once to copy them.

Only descriptions of the files are kept in between, so that the networks need not fit in memory.
"""

import hashlib
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import torch
from torch import Tensor

from mnfn_cli.errors import DataError, UsageError, printable
from mnfn_cli.runtime.context import Context
from mnfn_cli.storage.tensors import all_finite
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.layout import Layout
from mnfn_cli.weightspace.naming import Shape
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.record import Space, spaces_of
from mnfn_cli.zoo.single_files import read_state_dict, unpack

Describe = Callable[[Mapping[str, Shape], Mapping[str, str], Hashable, str], tuple[NetworkSpec, Layout]]
"""A function that returns the weight space of a file and how it is laid out, given the shapes of its tensors by name,
its metadata, what else is known about it (``NetworkFile.hint``), and its name for errors."""


@dataclass(frozen=True)
class NetworkFile:
    """A file that should hold one network.

    Args:
        path: the file.
        name: its path inside the folder that is imported, with slashes.
        hint: what is known about the network besides its file and decides its weight space, such as its activation.
    """

    path: Path
    name: str
    hint: Hashable = None


@dataclass(frozen=True)
class CheckedFile:
    """A file whose network can be imported.

    Args:
        file: the file.
        space: the number of its weight space, from 0.
        metadata: the texts in the file, besides its tensors, by key.
        stamp: the size in bytes and the time of the last change in nanoseconds.
    """

    file: NetworkFile
    space: int
    metadata: Mapping[str, str]
    stamp: tuple[int, int]


class NetworkReader:
    """Checks files, sorts their networks into weight spaces, and reads them.

    A weight space holds networks with one specification and one layout. They are stored in one dtype: that of the files
    if it is the same in all of them, else the smallest one that holds all their numbers exactly.

    Args:
        describe: a function that tells what network a file holds. Its answers and its errors are kept: it is called
            once for all files with the same shapes, ``spec`` in the metadata and hint.
    """

    def __init__(self, describe: Describe) -> None:
        self._describe = describe
        self._answers: dict[Hashable, int | tuple[DataError, str]] = {}
        self._numbers: dict[tuple[NetworkSpec, str], int] = {}
        self._kinds: list[tuple[NetworkSpec, Layout]] = []
        self._dtypes: list[set[torch.dtype]] = []

    @property
    def spaces(self) -> tuple[Space, ...]:
        """The weight spaces of the files that were checked, in the order of the first file of each."""
        return spaces_of(self._kinds)

    @property
    def casts(self) -> list[str]:
        """A sentence for each weight space whose files have several dtypes, so that some numbers are stored wider."""
        sentences = []
        for space, dtypes in zip(self.spaces, self._dtypes, strict=True):
            if len(dtypes) > 1:
                names = sorted(str(dtype).removeprefix("torch.") for dtype in dtypes)
                stored = str(reduce(torch.promote_types, dtypes)).removeprefix("torch.")
                sentences.append(f"weight space {space.name}: its files hold {', '.join(names)}, stored as {stored}")
        return sentences

    def check_all(
        self, files: Sequence[NetworkFile], context: Context, where: Path
    ) -> tuple[list[CheckedFile], list[DataError]]:
        """Check files; return those that can be imported, and an error for each of the others.

        Raises:
            InterruptedRun: the user interrupted it.
            UsageError: an option is missing or wrong.
        """
        good: list[CheckedFile] = []
        errors: list[DataError] = []
        context.progress.start("checking", len(files))
        for file in files:
            context.interruption.check(where, "nothing was written")
            try:
                good.append(self.check(file))
            except DataError as error:
                errors.append(error)
            context.progress.advance()
        return good, errors

    def check(self, file: NetworkFile) -> CheckedFile:
        """Read a file, check that its network can be imported, and find its weight space.

        Raises:
            DataError: the file cannot be read, is no network that can be imported, or a number in it is not finite.
            UsageError: an option is missing or wrong.
        """
        stamp = stamp_of(file.path)
        found, metadata = read_state_dict(file.path)
        tensors = dict(found)
        space = self._space_of(file, tensors, metadata)
        layout = self._kinds[space][1]
        held = {name: tensors[name] for name in layout.tensors if tensors[name].is_floating_point()}
        for name, tensor in held.items():
            if not all_finite(tensor):
                raise DataError(f"{file.path}:{name}", "is not finite (NaN or infinity)")
        if any(layer.batchnorm for layer in layout.layers) and not all(map(all_finite, layout.read(tensors))):
            raise DataError(file.path, "is not finite (NaN or infinity) once batch normalisation is folded in")
        self._dtypes[space] |= {tensor.dtype for tensor in held.values()}
        return CheckedFile(file, space, metadata, stamp)

    def read(self, files: Sequence[CheckedFile]) -> WeightSpaceFeatures:
        """Return the networks in files of one weight space, ``(files, 1, ...)``.

        Raises:
            DataError: a file cannot be read, or was changed since it was checked.
        """
        spec, layout = self._kinds[files[0].space]
        dtype = reduce(torch.promote_types, self._dtypes[files[0].space])
        parts = []
        for checked in files:
            path = checked.file.path
            if stamp_of(path) != checked.stamp:
                raise DataError(path, "was changed while it was imported; import again")
            tensors = {name: tensor[None] for name, tensor in read_state_dict(path)[0].items()}
            parts.append(unpack(layout, tensors, spec)[0].to(dtype=dtype))
        return WeightSpaceFeatures.cat(parts)

    def _space_of(self, file: NetworkFile, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> int:
        shapes = {name: tuple(tensors[name].shape) for name in sorted(tensors)}
        key = (tuple(shapes.items()), metadata.get("spec"), file.hint)
        answer = self._answers.get(key)
        if answer is None:
            where = printable(file.path)
            try:
                answer = self._number(*self._describe(shapes, metadata, file.hint, where))
            except DataError as error:
                answer = (error, error.where.removeprefix(where))
            self._answers[key] = answer
        if isinstance(answer, int):
            return answer
        first, place = answer
        raise first.elsewhere(f"{file.path}{place}")

    def _number(self, spec: NetworkSpec, layout: Layout) -> int:
        number = self._numbers.setdefault((spec, repr(layout)), len(self._kinds))
        if number == len(self._kinds):
            self._kinds.append((spec, layout))
            self._dtypes.append(set())
        return number


def described(describe: Callable[[], NetworkSpec], where: str) -> NetworkSpec:
    """Return the specification that ``describe`` makes of a file.

    Raises:
        DataError: it is no valid one, and the error names the file.
    """
    try:
        return describe()
    except UsageError as error:
        raise DataError(where, f"{error.where}: {error.problem}") from None


def stamp_of(path: Path) -> tuple[int, int]:
    """Return a file's size in bytes and the time of its last change in nanoseconds.

    Raises:
        DataError: there is no such file, or it cannot be read.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise DataError(path, f"cannot read: {error.strerror}") from None
    return status.st_size, status.st_mtime_ns


def identity_of(files: Sequence[CheckedFile]) -> str:
    """Return 64 hex digits that change when a file is added, removed, renamed or changed."""
    digest = hashlib.sha256()
    for checked in files:
        digest.update(repr((checked.file.name, checked.stamp)).encode("utf-8", "backslashreplace"))
    return digest.hexdigest()
