"""What a command is about to write, checked once, before any work, against all that it reads."""

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
    """Something that a command writes.

    Args:
        path: the path to write.
        kind: the kind of folder; None for a single file.
        continues: the command goes on in an unfinished folder that it began before.
        in_place: the command works on in a folder of that kind that is there, and replaces nothing.
    """

    path: Path
    kind: Kind | None = None
    continues: bool = False
    in_place: bool = False


def check_outputs(
    outputs: Sequence[Output], inputs: Iterable[str | Path] = (), *, force: bool = False, kinds: Sequence[Kind] = ()
) -> None:
    """Check that everything a command writes can be written and touches nothing else; make the folders above it.

    What a killed writer of the same output left is put in order first, under the output's lock.

    Args:
        outputs: all that the command writes.
        inputs: all that it reads: zoos, runs, checkpoints, recipes, pictures.
        force: whether an output may replace what has its name: a regular file, or a folder of the same kind that holds
            nothing else.
        kinds: the kinds of folders whose own files no output may replace.

    Raises:
        OutputError: an output exists, is equal to, inside or around an input or another output, is a part of a folder
            of ``kinds``, or something that mnfn did not make has a name that it needs.
        StorageError: the folder of an output cannot be made or written.
    """
    read = [Path(given) for given in inputs]
    for output in outputs:
        with file_system_errors(output.path):
            _check_name(output.path)
            for given in read:
                _check_apart(output.path, given, f"input {given.name or given}")
            _check_parent(output.path)
            refuse_part_of_another(output.path, kinds)
            if output.kind is not None:
                refuse_unmarked(output.path)
                refuse_foreign_lock(output.path)
                refuse_unfinished(output.path, output.continues)
    for one, other in combinations(outputs, 2):
        _check_apart(one.path, other.path, f"other output {other.path.name}")
    for output in outputs:
        with file_system_errors(output.path):
            if output.in_place and output.kind is not None:
                check_in_place(output.path, output.kind)
                continue
            if output.kind is not None and needs_recovery(output.path):
                with locked(output.path):
                    recover(output.path, output.kind)
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
