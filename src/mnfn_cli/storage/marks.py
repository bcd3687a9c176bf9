"""Names and marks of incomplete and replaced folders. Folders without a mark are never changed or deleted."""

import json
import os
import stat
from enum import StrEnum
from pathlib import Path

from mnfn_cli.errors import OutputError
from mnfn_cli.storage.atomic import TEMPORARY_SUFFIX, write_bytes

MARK = ".mnfn-mark.json"
MANIFEST = ".mnfn-files.json"
_PARTIAL, _REPLACED, _LOCK = ".mnfn-partial", ".mnfn-replaced", ".mnfn-lock"
_LONGEST = 4096


class State(StrEnum):
    """The state of a marked folder."""

    GROWING = "growing"
    """It is being written, and is deleted if that fails."""
    UNFINISHED = "unfinished"
    """It is being written, and the command that began it can continue after an interruption."""
    REPLACED = "replaced"
    """It is a complete older output, kept until the new one that replaces it (``--force``) is complete."""


def partial_path(output: Path) -> Path:
    """Return the path under which ``output`` is written until it is complete, ``NAME.mnfn-partial``."""
    return output.with_name(output.name + _PARTIAL)


def replaced_path(output: Path) -> Path:
    """Return the path under which an older ``output`` is kept until the new one is complete, ``NAME.mnfn-replaced``."""
    return output.with_name(output.name + _REPLACED)


def lock_path(output: Path) -> Path:
    """Return the lock file of ``output``: ``.NAME.mnfn-lock``."""
    return output.with_name(f".{output.name}{_LOCK}")


def is_reserved(name: str) -> bool:
    """Return whether a name is reserved for mnfn's own files, so that no output may have it."""
    return name in (MARK, MANIFEST) or name.endswith((_PARTIAL, _REPLACED, _LOCK, TEMPORARY_SUFFIX))


def mark(folder: Path, state: State, output: Path) -> None:
    """Mark ``folder`` as belonging to ``output`` in this state."""
    # File names need not be UTF-8; JSON in ASCII escapes such characters.
    write_bytes(folder / MARK, json.dumps({"mnfn": state.value, "output": output.name}, allow_nan=False).encode())


def unmark(folder: Path) -> None:
    """Remove the mark of ``folder``, if it has one."""
    if _read(folder) is not None:
        (folder / MARK).unlink()


def state_of(folder: Path, output: Path) -> State | None:
    """Return the state in the mark of ``folder``; None if it has no mark, or a mark that belongs to another output."""
    found = _read(folder)
    return found[0] if found is not None and found[1] == output.name else None


def is_mark(file: Path) -> bool:
    """Return whether a file is a mark that mnfn wrote, for any output."""
    return file.name == MARK and _read(file.parent) is not None


def refuse_unmarked(output: Path) -> None:
    """Check that ``NAME.mnfn-partial`` and ``NAME.mnfn-replaced`` are unused, or carry a mark of mnfn.

    Raises:
        OutputError: one of them exists without a mark.
    """
    known = {
        partial_path(output): (State.GROWING, State.UNFINISHED),
        replaced_path(output): (State.REPLACED,),
    }
    for path, states in known.items():
        if os.path.lexists(path) and state_of(path, output) not in states:
            raise OutputError(path, "is in the way and not of mnfn's making; rename it, or choose another output")


def _read(folder: Path) -> tuple[State, str] | None:
    file = folder / MARK
    try:
        mode, size = file.lstat().st_mode, file.lstat().st_size
        if folder.is_symlink() or not stat.S_ISREG(mode) or size > _LONGEST:
            return None
        document = json.loads(file.read_bytes())
        return State(document["mnfn"]), str(document["output"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
