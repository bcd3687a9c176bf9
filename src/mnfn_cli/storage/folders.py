"""Atomic folders: a folder gets its name when it is complete, and an older one is replaced only then.

A new folder is written as ``NAME.mnfn-partial``, with a mark inside. With ``--force`` the older ``NAME`` is marked and
renamed to ``NAME.mnfn-replaced``. Then the new folder is renamed to ``NAME``, the older one is deleted, and the mark is
removed. After a crash, the next command with the same output calls ``recover``: it brings the older folder back if the
new one does not have the name yet, and deletes it otherwise.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mnfn_cli.errors import DataError, MnfnError, NumericError, OutputError, StorageError
from mnfn_cli.storage.atomic import file_system_errors, free_temporary, remove_temporaries, sync, temporaries_of
from mnfn_cli.storage.kinds import Kind, check_replaceable
from mnfn_cli.storage.locks import is_left_locked, locked
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
    """Yield a new folder to write into, which is renamed to ``output`` if the block raises no error.

    Args:
        output: the final path. Call ``check_outputs`` first, before any work.
        kind: the kind of folder that is written.
        force: replace an existing folder of this kind. It is deleted when the new one is complete.
        continues: continue an unfinished folder of an earlier call if there is one, and keep the folder for the next
            call if the block raises an error, except NumericError, which would only be repeated.

    Raises:
        OutputError: another process writes the same output, the output exists, or a file of the user has a name that
            is needed.
        StorageError: the file system refuses.
    """
    with locked(output), growing_folder(output, kind, force=force, continues=continues) as folder:
        yield folder


@contextmanager
def growing_folder(output: Path, kind: Kind, *, force: bool = False, continues: bool = False) -> Iterator[Path]:
    """Do what ``new_folder`` does, for a caller that holds the lock of ``output``.

    If the folder is not finished by ``kind.finished`` when it is renamed, as a run whose training begins then, the
    older folder is kept until ``recover`` finds the new one finished.
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
    try:
        with file_system_errors(output):
            _swap_in(partial, output, kind, force)
    except StorageError:
        with suppress(MnfnError, OSError):
            recover(output, kind)  # the older folder gets its name back
            if not continues and partial.exists():
                _discard(partial, output)
        raise
    recover(output, kind)


def recover(output: Path, kind: Kind) -> None:
    """Complete or undo what a killed process left under the name ``output``. The caller must hold its lock.

    Raises:
        OutputError: a file of the user has a name that is needed, or both an older and an unrelated new output exist.
        StorageError: the file system refuses.
    """
    with file_system_errors(output):
        refuse_unmarked(output)
        for stray in temporaries_of(output):
            if state_of(stray, output) is not None:
                _delete(stray)
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
    """Return whether a killed process left something under the name ``output`` for ``recover`` to clean up."""
    if is_left_locked(output) or temporaries_of(output):
        return True
    return any(state_of(path, output) is not None for path in (output, replaced_path(output)))


def refuse_unfinished(output: Path, continues: bool) -> None:
    """Refuse to discard an unfinished folder that another command can continue.

    Raises:
        OutputError: there is such a folder, and ``continues`` is False.
    """
    if not continues and state_of(partial_path(output), output) is State.UNFINISHED:
        raise OutputError(
            partial_path(output), "is unfinished; end it with the command that began it, or remove that folder"
        )


def empty(folder: Path) -> None:
    """Delete everything in a marked folder except the mark. Of symbolic links only the link is deleted."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != MARK:
            path.unlink()


def existing_folder(path: Path, kind: str) -> Path:
    """Return ``path`` if it is a complete folder. Nothing on disk is changed.

    Args:
        path: the folder to read.
        kind: the word for its kind in errors, such as ``zoo``.

    Raises:
        DataError: the folder is missing, not a folder, incomplete, or set aside by a command that was killed.
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
    """Return the partial folder of ``output``: the one that is to be continued, or a new one with a mark."""
    partial = partial_path(output)
    state = State.UNFINISHED if continues else State.GROWING
    if os.path.lexists(partial):
        if continues and state_of(partial, output) is State.UNFINISHED:
            remove_temporaries(partial)
            return partial
        _discard(partial, output)
    # The mark is written before the folder is renamed to its partial name.
    temporary = free_temporary(output)
    temporary.mkdir()
    try:
        mark(temporary, state, output)
        temporary.rename(partial)
    except BaseException:
        with suppress(OSError):
            shutil.rmtree(temporary)
        raise
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
    """Delete a marked folder under a temporary name, so that nobody sees it half deleted."""
    temporary = free_temporary(output)
    folder.rename(temporary)
    _delete(temporary)


def _delete(folder: Path) -> None:
    """Delete a marked folder, its mark last, so that what a crash leaves can still be recognised."""
    empty(folder)
    (folder / MARK).unlink()
    folder.rmdir()
