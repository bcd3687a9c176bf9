"""The kinds of folders that mnfn writes, and the checks that nothing else is replaced."""

import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mnfn_cli.errors import OutputError, StorageError
from mnfn_cli.storage.atomic import is_temporary, kind_of_special_file
from mnfn_cli.storage.marks import is_mark


@dataclass(frozen=True)
class Kind:
    """A kind of folder, such as a zoo or a run.

    Args:
        name: the word for the kind in messages.
        files: a function that takes a folder and returns the relative paths, with slashes, of everything in it that
            mnfn wrote; paths of subfolders end in a slash. None if the folder is not of this kind.
        finished: a function that takes a folder of this kind and returns whether it is complete.
        resume: the command that continues an incomplete folder.
    """

    name: str
    files: Callable[[Path], frozenset[str] | None]
    finished: Callable[[Path], bool] = lambda folder: True
    resume: str = ""


def first_foreign(folder: Path, names: frozenset[str]) -> Path | None:
    """Return the first path in ``folder`` that is not among ``names``; marks and temporary files are skipped."""

    def fail(error: OSError) -> None:
        raise error

    for root, folders, files in os.walk(folder, onerror=fail):
        for name in sorted(folders + files):
            path = Path(root, name)
            if name in folders and is_temporary(path):
                folders.remove(name)
                continue
            inside, mode = path.relative_to(folder).as_posix(), path.lstat().st_mode
            ours = inside in names or is_mark(path) or is_temporary(path)
            if not (f"{inside}/" in names if stat.S_ISDIR(mode) else stat.S_ISREG(mode) and ours):
                return path
    return None


def check_replaceable(output: Path, kind: Kind | None, force: bool) -> None:
    """Refuse an output that exists, unless ``force`` may replace it.

    A regular file may be replaced by a file, and a folder by a folder of the same kind.

    Args:
        output: the path to write.
        kind: the kind of folder to write; None for a file.
        force: whether ``--force`` was given.

    Raises:
        OutputError: the output exists and ``force`` is False, or it is of another kind, or it holds something that
            mnfn did not write.
        StorageError: there is no permission to change the existing folder.
    """
    if not os.path.lexists(output):
        return
    if special := kind_of_special_file(output):
        raise OutputError(output, f"is {special}, which is never replaced; choose another output")
    if not force and kind is not None and kind.files(output) is not None and not kind.finished(output):
        raise OutputError(
            output, f"holds an unfinished {kind.name}; continue it with {kind.resume}, or replace it with --force"
        )
    if not force:
        raise OutputError(output, "exists already; choose another output or replace it with --force")
    if kind is None:
        if output.is_dir():
            raise OutputError(output, "is a folder; --force replaces a file by a file; choose another output")
        return
    if not output.is_dir():
        raise OutputError(output, f"is a file; --force replaces a {kind.name} by a {kind.name}; choose another output")
    names = kind.files(output)
    if names is None:
        raise OutputError(output, f"is no {kind.name}; --force replaces a {kind.name} by a {kind.name}")
    if foreign := first_foreign(output, names):
        raise OutputError(foreign, f"is not mnfn's; a {kind.name} that holds it is not replaced, even with --force")
    if not os.access(output, os.W_OK | os.X_OK):
        raise StorageError(output, "cannot write: no permission")


def check_in_place(output: Path, kind: Kind) -> None:
    """Check that ``output`` is free or a folder of ``kind``.

    Raises:
        OutputError: it is something else.
    """
    if not os.path.lexists(output):
        return
    if special := kind_of_special_file(output):
        raise OutputError(output, f"is {special}; name the {kind.name} itself")
    if not output.is_dir():
        raise OutputError(output, f"is a file; a {kind.name} is a folder")
    if kind.files(output) is None:
        raise OutputError(output, f"holds something else than a {kind.name}; choose another output")


def refuse_part_of_another(output: Path, kinds: Sequence[Kind]) -> None:
    """Refuse an output that is one of the files of a folder of one of ``kinds``, such as the table of a zoo.

    Raises:
        OutputError: the output is such a file.
    """
    absolute = Path(os.path.realpath(output.parent), output.name)
    for folder in absolute.parents[:2]:
        inside = absolute.relative_to(folder).as_posix()
        for kind in kinds:
            try:
                names = kind.files(folder) or frozenset()
            except OSError:  # a folder that cannot be listed cannot be told
                continue
            if inside in names or f"{inside}/" in names:
                raise OutputError(output, f"is a part of the {kind.name} {folder.name}; choose another output")
