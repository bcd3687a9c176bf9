"""A run's folder: it explains itself, and it says whether it is done."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mnfn_cli.errors import DataError, OutputError, UsageError
from mnfn_cli.storage.atomic import file_system_errors, sweep, write_json, write_text
from mnfn_cli.storage.folders import check_output, remove
from mnfn_cli.storage.locks import locked

RUN_FORMAT = 2


class RunFolder:
    """A training run on disk.

    ``run.json`` holds its state (``running`` or ``done``) and all that a reader needs beside the model: the spec, the
    zoo's fingerprint, versions. ``recipe.yaml`` is the resolved recipe, ``metrics.jsonl`` has one line a validation.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.description = _read_json(path)

    @property
    def done(self) -> bool:
        """Whether the run is complete."""
        return self.description["state"] == "done"

    @property
    def recipe(self) -> Path:
        """The resolved recipe."""
        return self.path / "recipe.yaml"

    @property
    def model(self) -> Path:
        """The best model; there once the run is done."""
        return self.path / "model.safetensors"

    @property
    def metrics(self) -> Path:
        """One JSON object a validation, and no times: a resumed run writes the same bytes."""
        return self.path / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        """Where training states are kept until the run is done."""
        return self.path / "checkpoints"

    def finish(self) -> None:
        """Say that everything is written; the checkpoints and an older run that this one replaces go."""
        self.description["state"] = "done"
        write_json(self.path / "run.json", self.description)
        for leftover in (self.checkpoints, _replaced(self.path)):
            if leftover.exists():
                remove(leftover)


def create_run(path: Path, recipe: str, description: Mapping[str, Any], *, force: bool) -> RunFolder:
    """Make the folder of a new run, in state ``running``.

    With ``force`` an older run is moved aside, to ``NAME.old``, until the new one is done.

    Raises:
        OutputError: the folder exists.
        StorageError: the folder cannot be written.
    """
    if path.exists() and force:
        _set_aside(path)
    if path.exists() and (path / "run.json").exists() and not _read_json(path)["state"] == "done":
        raise OutputError(path, "holds an unfinished run; continue it with train --resume, or replace it with --force")
    if path.exists():
        check_output(path, force=False)
    with file_system_errors(path):
        path.mkdir(parents=True)
        (path / "checkpoints").mkdir()
    write_text(path / "recipe.yaml", recipe)
    write_json(path / "run.json", {"format": RUN_FORMAT, "state": "running", **description})
    return RunFolder(path)


@contextmanager
def working_on(path: Path) -> Iterator[None]:
    """Hold the run's lock, and sweep what a killed process left, inside the block."""
    with locked(path):
        sweep(path)
        sweep(path / "checkpoints")
        yield


def open_finished(path: Path) -> RunFolder:
    """Open a run that is done.

    Raises:
        DataError: there is no run, it is still running, or files of it are gone.
    """
    folder = RunFolder(path)
    if not folder.done:
        raise DataError(path, f"this run is not done; continue it with: mnfn train --resume {path}")
    gone = [file.name for file in (folder.recipe, folder.model) if not file.exists()]
    if gone:
        raise DataError(path, f"this run is incomplete: it holds no {' and no '.join(gone)}")
    return folder


def open_unfinished(path: Path) -> RunFolder:
    """Open a run to resume it.

    Raises:
        DataError: there is no run.
        UsageError: it is done.
    """
    folder = RunFolder(path)
    if folder.done:
        raise UsageError(path, "this run is done; there is nothing to resume")
    return folder


def _replaced(path: Path) -> Path:
    return path.with_name(f"{path.name}.old")


def _set_aside(path: Path) -> None:
    """Keep the last complete output as ``NAME.old``: an unfinished run does not push it out."""
    unfinished = (path / "run.json").exists() and _read_json(path)["state"] != "done"
    with file_system_errors(path):
        if unfinished:
            remove(path)
        else:
            if _replaced(path).exists():
                remove(_replaced(path))
            path.rename(_replaced(path))


def _read_json(path: Path) -> dict[str, Any]:
    file = path / "run.json"
    if not path.is_dir():
        raise DataError(path, "no such run" if not path.exists() else "is a file; a run is a folder")
    try:
        description = json.loads(file.read_text("utf-8"))
        if description["format"] != RUN_FORMAT or description["state"] not in ("running", "done"):
            raise DataError(file, "describes a run of another version of mnfn")
    except FileNotFoundError:
        raise DataError(path, "no run: it holds no run.json") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(file, f"cannot be read: {error}") from None
    return dict(description)
