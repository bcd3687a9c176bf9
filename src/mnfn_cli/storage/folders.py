"""Folders that take their name when they are complete, and replace an older one only then.

Every step leaves what the next start can tell apart. ``NAME.mnfn-partial`` grows, marked. With ``--force`` the old
``NAME`` is marked and renamed to ``NAME.mnfn-replaced``; the new one takes the name, its mark still inside; the old
one is deleted; the mark goes. A crash before the new one has the name brings the old one back, a crash after it
deletes the old one: ``recover`` does either, for the next writer, under the lock.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mnfn_cli.errors import DataError, NumericError, OutputError, StorageError
from mnfn_cli.storage.atomic import file_system_errors, free_temporary, remove_temporaries, sync, temporaries_of
from mnfn_cli.storage.kinds import Kind, check_replaceable
from mnfn_cli.storage.locks import locked
from mnfn_cli.storage.marks import (
    MARK,
    State,
    mark,
    partial_path,
    refuse_unmarked,
    replaced_path,
    state_of,
    unmark,
)


@contextmanager
def new_folder(output: Path, kind: Kind, *, force: bool = False, continues: bool = False) -> Iterator[Path]:
    """Yield a folder to fill; it takes the name ``output`` when the block ends well.

    It grows under ``NAME.mnfn-partial``. With ``force`` an old output of the same kind is moved aside and goes only
    when the new one is complete.

    Args:
        output: the final name; ``check_outputs`` comes first, before any work.
        kind: the kind of folder that the output will be.
        force: replace an existing output of that kind.
        continues: go on in an unfinished folder that is there, and leave it when the block fails, unless with a
            NumericError, which would come again.

    Raises:
        OutputError: another process is at work on the same output, it exists, or something is in the way.
        StorageError: the file system refuses.
    """
    with locked(output), growing_folder(output, kind, force=force, continues=continues) as folder:
        yield folder


@contextmanager
def growing_folder(output: Path, kind: Kind, *, force: bool = False, continues: bool = False) -> Iterator[Path]:
    """Do what ``new_folder`` does for a caller that holds the lock of ``output``.

    A folder that its kind calls unfinished when it takes its name keeps its mark, and the older one stays aside, until
    ``recover`` finds it finished.
    """
    with file_system_errors(output):
        recover(output, kind)
        refuse_unfinished(output, continues)
        check_replaceable(output, kind, force)
        partial = _begin(output, continues)
    try:
        with file_system_errors(partial):
            yield partial
    except BaseException as error:
        if not continues or isinstance(error, NumericError):
            with suppress(OSError):
                _discard(partial, output)
        raise
    with file_system_errors(output):
        _swap_in(partial, output, kind, force)
        recover(output, kind)


def recover(output: Path, kind: Kind) -> None:
    """Finish what a killed process began under the name ``output``; the caller holds its lock.

    Raises:
        OutputError: something that mnfn did not make is in the way.
        StorageError: the file system refuses.
    """
    with file_system_errors(output):
        refuse_unmarked(output)
        for stray in temporaries_of(output):
            if state_of(stray, output) is not None:
                _delete(stray)
            elif stray.is_dir() and not stray.is_symlink() and not any(stray.iterdir()):
                stray.rmdir()  # killed just before its mark was written, or just after it was removed
        replaced = replaced_path(output)
        if not os.path.lexists(output):
            if replaced.exists():
                replaced.rename(output)
                unmark(output)
            return
        state = state_of(output, output)
        if state in (State.GROWING, State.UNFINISHED) and not kind.finished(output):
            return
        if replaced.exists():
            if state not in (State.GROWING, State.UNFINISHED):
                raise OutputError(
                    replaced, f"was set aside for a new {output.name}, and that is another one; remove either of them"
                )
            _discard(replaced, output)
        unmark(output)


def needs_recovery(output: Path) -> bool:
    """Return whether a killed process left something under the name ``output`` that ``recover`` looks after."""
    if temporaries_of(output):
        return True
    return any(state_of(path, output) is not None for path in (output, replaced_path(output)))


def refuse_unfinished(output: Path, continues: bool) -> None:
    """Refuse to throw away an unfinished folder that another command can continue.

    Raises:
        OutputError: there is one, and not ``continues``.
    """
    if not continues and state_of(partial_path(output), output) is State.UNFINISHED:
        raise OutputError(
            partial_path(output), "is unfinished; end it with the command that began it, or remove that folder"
        )


def empty(folder: Path) -> None:
    """Delete everything but the mark in a marked folder; a symbolic link goes alone."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != MARK:
            path.unlink()


def existing_folder(path: Path, kind: str) -> Path:
    """Return ``path`` if it is a folder that can be read; nothing on disk changes.

    Raises:
        DataError: it is missing, no folder, still being written, or set aside by a process that was killed.
    """
    if not path.exists():
        if state_of(replaced_path(path), path) is not None:
            raise DataError(
                path,
                f"a command that was to replace this {kind} was killed, and it waits as {replaced_path(path).name}; "
                "run that command again, or rename it back",
            )
        if state_of(partial_path(path), path) is not None:
            raise DataError(path, f"not complete yet; the command that builds this {kind} continues it")
        raise DataError(path, f"no such {kind}")
    if not path.is_dir():
        raise DataError(path, f"is a file; a {kind} is a folder")
    return path


def _begin(output: Path, continues: bool) -> Path:
    """Return the partial folder of ``output``: the one that is there to be continued, or a new one, marked."""
    partial = partial_path(output)
    state = State.UNFINISHED if continues else State.GROWING
    if os.path.lexists(partial):
        if continues and state_of(partial, output) is State.UNFINISHED:
            remove_temporaries(partial)
            return partial
        _discard(partial, output)
    # The folder has its mark before it has its name.
    temporary = free_temporary(output)
    temporary.mkdir()
    mark(temporary, state, output)
    temporary.rename(partial)
    return partial


def _swap_in(partial: Path, output: Path, kind: Kind, force: bool) -> None:
    try:
        check_replaceable(output, kind, force)
    except (OutputError, StorageError) as error:
        raise type(error)(error.where, f"{error.problem}; the result stays in {partial.name}") from None
    if os.path.lexists(output):
        if kind.finished(output):
            mark(output, State.REPLACED, output)
            output.rename(replaced_path(output))
        else:
            if state_of(output, output) is None:
                mark(output, State.GROWING, output)
            _discard(output, output)
    partial.rename(output)
    sync(output.parent)


def _discard(folder: Path, output: Path) -> None:
    """Delete a marked folder so that it is never seen half deleted under its name."""
    temporary = free_temporary(output)
    folder.rename(temporary)
    _delete(temporary)


def _delete(folder: Path) -> None:
    """Delete a marked folder, its mark last: whatever is left by a crash still says whose it is."""
    empty(folder)
    (folder / MARK).unlink()
    folder.rmdir()
