"""A build that was interrupted is continued by the command that began it, and by no other."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mnfn_cli.errors import OutputError
from mnfn_cli.regular_files import read_regular
from mnfn_cli.runtime.processes import Processes
from mnfn_cli.storage.atomic import to_json, write_json
from mnfn_cli.storage.folders import empty, new_folder
from mnfn_cli.zoo.contents import ZOO

FILE = "build.json"


@contextmanager
def continued_build(output: Path, identity: Mapping[str, Any], processes: Processes, *, force: bool) -> Iterator[Path]:
    """Yield the folder in which a zoo grows, to several processes after rank 0 has made it.

    Args:
        output: the zoo, whose name the folder gets when the block ends without an error.
        identity: all that decides what comes out; two builds with one identity give one zoo.
        processes: the processes that share the build.
        force: replace an existing zoo.

    Raises:
        OutputError: the output exists, or another build is unfinished under its name, or it is damaged.
    """
    with processes.entered_by_first(lambda: new_folder(output, ZOO, force=force, continues=True)) as folder:
        if processes.first:
            _claim(folder, dict(identity))
        processes.meet()
        yield folder


def _claim(folder: Path, identity: dict[str, Any]) -> None:
    """Go on with the build that grows in ``folder``, or begin one there."""
    file, ours = folder / FILE, json.loads(to_json(identity))
    if not file.exists():
        # Killed before the first chunk, or after the last one was used up: nothing in it can be relied upon.
        empty(folder)
        write_json(file, identity)
        return
    try:
        other = dict(json.loads(read_regular(file)))
    except (OSError, ValueError, TypeError, RecursionError):
        raise OutputError(folder, "is left from a build and damaged; remove it and build again") from None
    if other != ours:
        wrong = ", ".join(sorted(key for key in ours if other.get(key) != ours[key]))
        raise OutputError(folder, f"holds an unfinished build with other {wrong}; finish that one or remove the folder")


def clear_build(folder: Path) -> None:
    """Remove the files that only an unfinished build needs, its identity last; the zoo in ``folder`` is complete."""
    for chunk in folder.glob("chunk-*.safetensors"):
        chunk.unlink()
    (folder / FILE).unlink()
