"""A run's folder: it explains itself, and it says whether it is done."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mnfn_cli.errors import DataError, OutputError, UsageError
from mnfn_cli.runtime.plugins import find_plugin
from mnfn_cli.storage.atomic import file_system_errors, sweep, write_text
from mnfn_cli.storage.folders import check_output, remove
from mnfn_cli.storage.locks import locked
from mnfn_cli.storage.records import read_record, write_record
from mnfn_cli.training.record import RunRecord

RUN_FILE = "run.json"


class RunFolder:
    """A training run on disk.

    ``run.json`` holds its state (``running`` or ``done``) and all that a reader needs beside the model: the spec, the
    zoo's fingerprint, versions. ``recipe.yaml`` is the resolved recipe, ``metrics.jsonl`` has one line a validation.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.record = _read_run(path)

    @property
    def done(self) -> bool:
        """Whether the run is complete."""
        return self.record.state == "done"

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

    def require_plugins(self) -> list[str]:
        """Check that code of the user's own, which the run's model comes from, was loaded.

        Returns:
            sentences about code that changed since the run was trained.

        Raises:
            UsageError: some of it was not loaded.
        """
        remarks = []
        for known in self.record.plugins:
            plugin = find_plugin(known.name)
            if plugin is None:
                raise UsageError(self.path, f"its model is code of your own; run that code with --plugin {known.name}")
            if plugin.sha256 != known.sha256:
                remarks.append(f"{plugin.name} changed since the run {self.path} was trained")
        return remarks

    def finish(self) -> None:
        """Say that everything is written; the checkpoints and an older run that this one replaces go."""
        self.record = self.record.changed(state="done")
        write_record(self.path / RUN_FILE, self.record)
        for leftover in (self.checkpoints, _replaced(self.path)):
            if leftover.exists():
                remove(leftover)


def create_run(path: Path, recipe: str, record: RunRecord, *, force: bool) -> RunFolder:
    """Make the folder of a new run, in state ``running``.

    With ``force`` an older run is moved aside, to ``NAME.old``, until the new one is done.

    Raises:
        OutputError: the folder exists.
        StorageError: the folder cannot be written.
    """
    if path.exists() and force:
        _set_aside(path)
    if path.exists() and (path / RUN_FILE).exists() and _read_run(path).state != "done":
        raise OutputError(path, "holds an unfinished run; continue it with train --resume, or replace it with --force")
    if path.exists():
        check_output(path, force=False)
    with file_system_errors(path):
        path.mkdir(parents=True)
        (path / "checkpoints").mkdir()
    write_text(path / "recipe.yaml", recipe)
    write_record(path / RUN_FILE, record)
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
    unfinished = (path / RUN_FILE).exists() and _read_run(path).state != "done"
    with file_system_errors(path):
        if unfinished:
            remove(path)
        else:
            if _replaced(path).exists():
                remove(_replaced(path))
            path.rename(_replaced(path))


def _read_run(path: Path) -> RunRecord:
    if not path.is_dir():
        raise DataError(path, "no such run" if not path.exists() else "is a file; a run is a folder")
    try:
        return read_record(path / RUN_FILE, RunRecord)
    except FileNotFoundError:
        raise DataError(path, f"no run: it holds no {RUN_FILE}") from None
