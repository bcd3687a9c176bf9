"""The finished runs that come with mnfn: ``pretrained/`` of a clone, ``mnfn_cli/_pretrained`` in an installed wheel.

They are found by the names of their folders, as recipes are, and are only read. Nothing here imports torch.
"""

import difflib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PACKAGE = Path(__file__).resolve().parent
FOLDERS = (_PACKAGE / "_pretrained", _PACKAGE.parents[1] / "pretrained")
"""Where the runs are looked for; the first of these folders that exists holds all of them."""


@dataclass(frozen=True)
class PretrainedRun:
    """A finished run that comes with mnfn.

    Attributes:
        name: the task and the run, such as ``generalization/digits-relu-hybrid``.
        path: its folder.

    >>> from mnfn_cli import list_pretrained
    >>> run = next(run for run in list_pretrained() if run.name == "generalization/digits-relu-hybrid")
    >>> run.result["task"], run.path.name
    ('generalization', 'digits-relu-hybrid')
    """

    name: str
    path: Path

    @property
    def result(self) -> dict[str, Any]:
        """The contents of its result.json."""
        found: dict[str, Any] = json.loads((self.path / "result.json").read_text("utf-8"))
        return found

    @property
    def size(self) -> int:
        """The size of its files, in bytes."""
        return sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file())


def list_pretrained() -> list[PretrainedRun]:
    """Return the runs that come with mnfn, sorted by name: ``mnfn pretrained``.

    Returns:
        the runs; ``load_run``, ``predict`` and the like take their names.

    >>> "generalization/digits-relu-hybrid" in [run.name for run in list_pretrained()]
    True
    """
    folder = next((folder for folder in FOLDERS if folder.is_dir()), None)
    if folder is None:
        return []
    paths = {file.parent.relative_to(folder).as_posix(): file.parent for file in folder.glob("*/*/run.json")}
    return [PretrainedRun(name, path) for name, path in sorted(paths.items())]


def find_run(name_or_path: str | Path) -> Path:
    """Return the folder of a run: the path if something is there, else that of the run of this name, else the path.

    Args:
        name_or_path: the path of a folder, or the name of a run that comes with mnfn.
    """
    path = Path(name_or_path)
    if _exists(path):
        return path
    return {run.name: run.path for run in list_pretrained()}.get(path.as_posix(), path)


def similar_run(name: str | Path) -> str | None:
    """Return the name of the run that comes with mnfn which is most similar to a name; None if none is similar."""
    near = difflib.get_close_matches(Path(name).as_posix(), [run.name for run in list_pretrained()], n=1)
    return near[0] if near else None


def _exists(path: Path) -> bool:
    try:
        return path.exists() or path.is_symlink()
    except (OSError, ValueError):  # a name too long or with a NUL byte is no folder either
        return False
