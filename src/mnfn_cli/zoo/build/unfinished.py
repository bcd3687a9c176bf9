"""A build that was interrupted is continued by the command that began it, and by no other."""

import json
from pathlib import Path
from typing import Any

from mnfn_cli.errors import OutputError
from mnfn_cli.storage.atomic import write_json
from mnfn_cli.storage.folders import partial_path

FILE = "build.json"


def refuse_other_build(output: Path, identity: dict[str, Any]) -> None:
    """Look whether an unfinished build under the same name is another one.

    Args:
        output: the folder to make.
        identity: all that decides what comes out; two builds with one identity give one zoo.

    Raises:
        OutputError: it is another one, or damaged.
    """
    file = partial_path(output) / FILE
    if not file.exists():
        return
    try:
        other = json.loads(file.read_text("utf-8"))
    except ValueError:
        raise OutputError(partial_path(output), "is left from a build and damaged; remove it and build again") from None
    if other != json.loads(json.dumps(identity)):
        wrong = ", ".join(sorted(key for key in identity if other.get(key) != json.loads(json.dumps(identity[key]))))
        raise OutputError(
            partial_path(output), f"holds an unfinished build with other {wrong}; finish that one or remove the folder"
        )


def mark_build(folder: Path, identity: dict[str, Any]) -> None:
    """Write down whose build grows in ``folder``."""
    write_json(folder / FILE, identity)


def clear_build(folder: Path) -> None:
    """Remove the files that only an unfinished build needs: its chunks and its identity."""
    for chunk in folder.glob("chunk-*.safetensors"):
        chunk.unlink()
    (folder / FILE).unlink()
