"""Names and marks of what mnfn grows or sets aside: a folder without a mark is never renamed, resumed or deleted."""

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
    """What a marked folder is."""

    GROWING = "growing"
    """It is being filled, and is worth nothing if that fails."""
    UNFINISHED = "unfinished"
    """It is being filled, and the command that began it goes on where it was interrupted."""
    REPLACED = "replaced"
    """It is a complete output that ``--force`` set aside until the new one is complete."""


def partial_path(output: Path) -> Path:
    """Return where ``output`` grows until it is complete: ``NAME.mnfn-partial``."""
    return output.with_name(output.name + _PARTIAL)


def replaced_path(output: Path) -> Path:
    """Return where an old ``output`` waits until the new one is complete: ``NAME.mnfn-replaced``."""
    return output.with_name(output.name + _REPLACED)


def lock_path(output: Path) -> Path:
    """Return the lock file of ``output``: ``.NAME.mnfn-lock``."""
    return output.with_name(f".{output.name}{_LOCK}")


def is_reserved(name: str) -> bool:
    """Return whether a name is one that mnfn keeps for itself, and that no output may have."""
    return name in (MARK, MANIFEST) or name.endswith((_PARTIAL, _REPLACED, _LOCK, TEMPORARY_SUFFIX))


def mark(folder: Path, state: State, output: Path) -> None:
    """Write into ``folder`` that it is ours, and what it is of ``output``."""
    # Names need not be UTF-8: ASCII JSON escapes what is not.
    write_bytes(folder / MARK, json.dumps({"mnfn": state.value, "output": output.name}).encode())


def unmark(folder: Path) -> None:
    """Remove the mark of ``folder``, if it has one."""
    if _read(folder) is not None:
        (folder / MARK).unlink()


def state_of(folder: Path, output: Path) -> State | None:
    """Return what ``folder`` is of ``output`` according to its mark; None for whatever does not carry one of ours."""
    found = _read(folder)
    return found[0] if found is not None and found[1] == output.name else None


def is_mark(file: Path) -> bool:
    """Return whether a file is a mark of ours, of whatever output."""
    return file.name == MARK and _read(file.parent) is not None


def refuse_unmarked(output: Path) -> None:
    """Refuse to work beside a ``NAME.mnfn-partial`` or ``NAME.mnfn-replaced`` that mnfn did not make.

    Raises:
        OutputError: there is one.
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
