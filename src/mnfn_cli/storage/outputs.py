"""Check the outputs of a command against its inputs and against existing files, before any work."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from mnfn_cli.errors import OutputError, StorageError
from mnfn_cli.storage.atomic import file_system_errors
from mnfn_cli.storage.folders import needs_recovery, recover, refuse_unfinished
from mnfn_cli.storage.kinds import Kind, check_in_place, check_replaceable, refuse_part_of_another
from mnfn_cli.storage.locks import locked, refuse_foreign_lock
from mnfn_cli.storage.marks import is_reserved, refuse_unmarked


@dataclass(frozen=True)
class Output:
    """A file or a folder that a command writes.

    Args:
        path: the path of the file or folder.
        kind: the kind of folder; None for a file.
        continues: whether the command continues an unfinished folder from an earlier call.
        in_place: whether the command adds to an existing folder of this kind instead of replacing it.
    """

    path: Path
    kind: Kind | None = None
    continues: bool = False
    in_place: bool = False


def check_outputs(
    outputs: Sequence[Output], inputs: Iterable[str | Path] = (), *, force: bool = False, kinds: Sequence[Kind] = ()
) -> None:
    """Check that all outputs can be written without damage to anything else, and create their parent folders.

    If an earlier command with the same output was killed, its leftovers are cleaned up first (``folders.recover``).

    Args:
        outputs: everything that the command writes.
        inputs: everything that it reads: zoos, runs, checkpoints, recipes, pictures.
        force: whether an output may replace an existing one: a file a regular file, a folder a folder of the same kind
            that holds only files of mnfn.
        kinds: the kinds of folders inside which no file of mnfn may be replaced.

    Raises:
        OutputError: an output exists; it is equal to, inside or around an input or another output; it is a file of a
            folder of ``kinds``; or a file of the user has a name that mnfn needs.
        StorageError: the parent folder of an output cannot be created or written.
    """
    read = [Path(given) for given in inputs]
    for output in outputs:
        with file_system_errors(output.path):
            _check_name(output.path)
            for given in read:
                _check_apart(output.path, given, f"input {given.name or given}")
            _check_parent(output.path)
            refuse_part_of_another(output.path, kinds)
            refuse_foreign_lock(output.path)
            if output.kind is not None:
                refuse_unmarked(output.path)
                refuse_unfinished(output.path, output.continues)
    for one, other in combinations(outputs, 2):
        _check_apart(one.path, other.path, f"other output {other.path.name}")
    for output in outputs:
        with file_system_errors(output.path):
            if needs_recovery(output.path):
                with locked(output.path):
                    if output.kind is not None:
                        recover(output.path, output.kind)
            if output.in_place and output.kind is not None:
                check_in_place(output.path, output.kind)
            else:
                check_replaceable(output.path, output.kind, force)
    for output in outputs:
        with file_system_errors(output.path):
            output.path.parent.mkdir(parents=True, exist_ok=True)


def _check_name(output: Path) -> None:
    if output.name in ("", ".."):
        raise OutputError(output, "is no name of an output; name the file or folder itself")
    if reserved := next((part for part in output.parts if is_reserved(part)), None):
        raise OutputError(output, f"'{reserved}' is a name that mnfn keeps for itself; choose another output")


def _check_apart(output: Path, other: Path, what: str) -> None:
    one, two = Path(os.path.realpath(output)), Path(os.path.realpath(other))
    if one == two or one in two.parents or (two in one.parents and not two.is_file()):
        raise OutputError(output, f"lies in, around or on the {what}; choose another output")


def _check_parent(output: Path) -> None:
    above = next(folder for folder in output.parents if os.path.lexists(folder))
    if not above.is_dir():
        raise StorageError(above, "is no folder; nothing can be written in it")
    if not os.access(above, os.W_OK | os.X_OK):
        raise StorageError(above, "cannot write: no permission")
