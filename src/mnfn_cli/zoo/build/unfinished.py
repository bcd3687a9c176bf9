"""A build that was interrupted is continued by the command that began it, and by no other."""

import json
from pathlib import Path
from typing import Any

from mnfn_cli.errors import OutputError
from mnfn_cli.storage.atomic import write_json
from mnfn_cli.storage.folders import empty

FILE = "build.json"


def claim_build(folder: Path, identity: dict[str, Any]) -> None:
    """Go on with the build that grows in ``folder``, or begin one there.

    Args:
        folder: what ``new_folder`` yields to a caller that continues.
        identity: all that decides what comes out; two builds with one identity give one zoo.

    Raises:
        OutputError: another build is unfinished there, or it is damaged.
    """
    file, ours = folder / FILE, json.loads(json.dumps(identity))
    if not file.exists():
        # Killed before the first chunk, or after the last one was used up: nothing in it can be relied upon.
        empty(folder)
        write_json(file, identity)
        return
    try:
        other = dict(json.loads(file.read_text("utf-8")))
    except (ValueError, TypeError):
        raise OutputError(folder, "is left from a build and damaged; remove it and build again") from None
    if other != ours:
        wrong = ", ".join(sorted(key for key in ours if other.get(key) != ours[key]))
        raise OutputError(folder, f"holds an unfinished build with other {wrong}; finish that one or remove the folder")


def clear_build(folder: Path) -> None:
    """Remove the files that only an unfinished build needs, its identity last; the zoo in ``folder`` is complete."""
    for chunk in folder.glob("chunk-*.safetensors"):
        chunk.unlink()
    (folder / FILE).unlink()
