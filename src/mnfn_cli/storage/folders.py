"""Output folders that pass for whole only when they are."""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mnfn_cli.errors import DataError, OutputError, StorageError
from mnfn_cli.storage.atomic import file_system_errors, sweep
from mnfn_cli.storage.locks import locked


def partial_path(output: Path) -> Path:
    """Return where ``output`` grows until it is complete."""
    return output.with_name(f"{output.name}.partial")


def _old_path(output: Path) -> Path:
    return output.with_name(f"{output.name}.old")


def repair(output: Path) -> None:
    """Undo what a crash between the two renames of ``--force`` left: the old output comes back."""
    old = _old_path(output)
    if old.exists() and not output.exists():
        with file_system_errors(output):
            old.rename(output)
    elif old.exists():
        remove(old)


def check_output(output: Path, force: bool, inputs: tuple[Path, ...] = ()) -> None:
    """Refuse an output that exists, that cannot be written, or that is equal to, inside or around an input.

    Raises:
        OutputError: it exists and ``force`` is not given, or it collides with an input.
        StorageError: its parent folder cannot be written.
    """
    check_apart(output, inputs)
    repair(output)
    if output.exists() and not force:
        raise OutputError(output, "exists already; choose another output or replace it with --force")
    with file_system_errors(output):
        output.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(output.parent, os.W_OK | os.X_OK):
        raise StorageError(output.parent, "cannot write: no permission")


def check_apart(output: Path, inputs: Iterable[Path]) -> None:
    """Refuse an output that is equal to, inside or around an input.

    Raises:
        OutputError: it is.
    """
    absolute = output.resolve()
    for given in (path.resolve() for path in inputs):
        if absolute == given or absolute in given.parents or (given in absolute.parents and given.is_dir()):
            raise OutputError(output, f"lies in, around or on the input {given.name}; choose another output")


@contextmanager
def new_folder(output: Path, *, force: bool = False, keep_partial: bool = False) -> Iterator[Path]:
    """Yield a folder to fill; it takes the name ``output`` when the block ends well.

    It grows under ``NAME.partial``. With ``force`` an old output is moved aside and goes only when the new one is
    complete.

    Args:
        output: the final name; ``check_output`` comes first, before any work.
        force: replace an existing output.
        keep_partial: continue in a partial folder that is there, and leave it when the block fails.

    Raises:
        OutputError: another process is at work on the same output.
        StorageError: the file system refuses.
    """
    partial = partial_path(output)
    with locked(output):
        if partial.exists() and not keep_partial:
            remove(partial)
        with file_system_errors(partial):
            partial.mkdir(exist_ok=True)
        sweep(partial)
        try:
            with file_system_errors(partial):
                yield partial
        except BaseException:
            if not keep_partial:
                shutil.rmtree(partial, ignore_errors=True)
            raise
        swap_in(partial, output, force)


def swap_in(complete: Path, output: Path, force: bool) -> None:
    """Give a complete file or folder its final name; with ``force``, an old one is moved aside and then removed."""
    old = _old_path(output)
    with file_system_errors(output):
        if force and output.exists():
            output.rename(old)
        elif output.exists():
            raise OutputError(output, "appeared while this command ran; the result stays in " + complete.name)
        complete.rename(output)
        if old.exists():
            remove(old)


def remove(path: Path) -> None:
    """Remove a file or a whole folder; a symbolic link goes alone."""
    with file_system_errors(path):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def existing_folder(path: Path, kind: str) -> Path:
    """Return ``path`` if it is a folder that can be read.

    Raises:
        DataError: it is missing, no folder, or still being written.
    """
    repair(path)
    if not path.exists():
        if partial_path(path).exists():
            raise DataError(path, f"not complete yet; the command that builds this {kind} continues it")
        raise DataError(path, f"no such {kind}")
    if not path.is_dir():
        raise DataError(path, f"is a file; a {kind} is a folder")
    return path
