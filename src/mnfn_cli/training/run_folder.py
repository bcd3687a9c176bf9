"""The folder of a training run: creating, opening and completing it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mnfn_cli.errors import DataError, UsageError
from mnfn_cli.runtime.context import Interruption
from mnfn_cli.runtime.plugins import find_plugin
from mnfn_cli.runtime.processes import current
from mnfn_cli.storage.atomic import file_system_errors, remove_temporaries, sha256, write_text
from mnfn_cli.storage.folders import existing_folder, growing_folder, needs_recovery, recover
from mnfn_cli.storage.kinds import Kind
from mnfn_cli.storage.locks import locked
from mnfn_cli.storage.outputs import Output, check_outputs
from mnfn_cli.storage.records import read_record, write_record
from mnfn_cli.training.events import EVENTS_FILE
from mnfn_cli.training.record import RunRecord
from mnfn_cli.zoo.inr_design import START_FILE

RUN_FILE = "run.json"
CALIBRATION_FILE = "calibration.safetensors"
CHANGED = "checksum differs from run.json; the file was changed or damaged"
STATES = "step-*.safetensors"
"""The pattern of the names of training states in the folder ``checkpoints``."""

CONCLUDING = frozenset(
    {"result.json", CALIBRATION_FILE, "training.png", "README.md", "predictions.csv", "predicted-vs-true.png"}
    | {"confusion.png", "errors.csv", "examples.safetensors", "edits.png"}
)
"""The files that any run may get after its model is trained."""

_FILES = CONCLUDING | {RUN_FILE, "recipe.yaml", "model.safetensors", "metrics.jsonl", START_FILE, EVENTS_FILE}
"""The files that any run may hold. Runs of format 1 do not list theirs in run.json."""


def _own_files(folder: Path) -> frozenset[str] | None:
    try:
        record = _read_run(folder)
    except (OSError, DataError):
        return None
    states = {f"checkpoints/{state.name}" for state in (folder / "checkpoints").glob(STATES)}
    return _FILES | states | {"checkpoints/", *record.files}


def _is_finished(folder: Path) -> bool:
    return _read_run(folder).state == "done"


RUN = Kind("run", _own_files, _is_finished, "mnfn train --resume")
"""The kind of folder that holds a run, finished or not."""


class RunFolder:
    """A training run on disk.

    ``run.json`` holds the run's state (``running`` or ``done``), the weight space of its networks, the fingerprints of
    its zoos and the versions of the software. ``recipe.yaml`` is the recipe with all defaults and overrides.
    ``metrics.jsonl`` has one line for each validation.

    Args:
        path: the folder.

    Raises:
        DataError: there is no run in it, or its run.json cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.record = _read_run(path)

    @property
    def done(self) -> bool:
        """Whether the run is finished."""
        return self.record.state == "done"

    @property
    def recipe(self) -> Path:
        """The file of the recipe, with all defaults and overrides written out."""
        return self.path / "recipe.yaml"

    @property
    def model(self) -> Path:
        """The file of the best model, which is written when training has ended."""
        return self.path / "model.safetensors"

    @property
    def metrics(self) -> Path:
        """The file with one JSON object for each validation, without times: a resumed run writes the same bytes."""
        return self.path / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        """The folder that holds training states until the run is finished."""
        return self.path / "checkpoints"

    def require_plugins(self) -> list[str]:
        """Check that the user's own code, from which the run's model comes, is loaded.

        Returns:
            a sentence for each plugin that changed since the run was trained.

        Raises:
            UsageError: a plugin is not loaded.
        """
        remarks = []
        for known in self.record.plugins:
            plugin = find_plugin(known.name)
            if plugin is None:
                raise UsageError(self.path, f"its model is code of your own; run that code with --plugin {known.name}")
            if plugin.sha256 != known.sha256:
                remarks.append(f"{plugin.name} changed since the run {self.path} was trained")
        return remarks

    def changed_files(self) -> list[Path]:
        """Return the files of the run that are not what run.json says; those that it does not list are taken on trust.

        Raises:
            DataError: a file cannot be read.
        """
        try:
            return [self.path / name for name, known in self.record.sha256.items() if sha256(self.path / name) != known]
        except OSError as error:
            raise DataError(error.filename or self.path, f"cannot read: {error.strerror}") from None

    def check_interruption(self, interruption: Interruption) -> None:
        """Raise ``InterruptedRun`` if a signal has come; everything that is needed to resume must be on disk.

        Several processes ask at the same place, and all of them raise it if a signal has come to one.
        """
        current().agree(interruption)
        interruption.check(self.path, f"continue with: mnfn train --resume {self.path}")

    def finish(self, files: Iterable[str] = ()) -> None:
        """Mark the run as done, and delete its training states and the older run that it replaces.

        Args:
            files: the names of the run's files beyond those that every run has.
        """
        sums = {**self.record.sha256, **_checksums(self.path, (self.model.name, CALIBRATION_FILE))}
        self.record = self.record.changed(state="done", files=tuple(sorted(files)), sha256=sums)
        write_record(self.path / RUN_FILE, self.record)
        self.clear()

    def clear(self) -> None:
        """Delete what a finished run no longer needs; the caller holds its lock."""
        for state in self.checkpoints.glob(STATES):
            state.unlink()
        if self.checkpoints.is_dir() and not any(self.checkpoints.iterdir()):
            self.checkpoints.rmdir()
        recover(self.path, RUN)


def create_run(
    path: Path,
    recipe: str,
    record: RunRecord,
    *,
    force: bool,
    fill: Callable[[Path], None] = lambda folder: None,
) -> RunFolder:
    """Make the folder of a new run, in state ``running``; the caller holds its lock.

    Args:
        path: the folder to create.
        recipe: the text of recipe.yaml.
        record: the contents of run.json.
        force: replace an existing run, which is kept aside until the new one is done.
        fill: a function that writes further files of the run, given its folder.

    Raises:
        OutputError: the folder exists, and ``force`` is not given or it holds something other than a run.
        StorageError: the folder cannot be written.
    """
    with growing_folder(path, RUN, force=force) as folder:
        (folder / "checkpoints").mkdir()
        fill(folder)
        write_text(folder / "recipe.yaml", recipe)
        sums = _checksums(folder, ("recipe.yaml", START_FILE))
        write_record(folder / RUN_FILE, record.changed(sha256=sums))
    return RunFolder(path)


@contextmanager
def resuming(path: Path) -> Iterator[RunFolder]:
    """Hold the lock of an unfinished run inside the block, and first put in order what a killed process left.

    Of a finished run too, although that is refused.

    Raises:
        DataError: there is no run, or its training states are gone.
        UsageError: it is done.
        OutputError: another process is at work on it, or ``path`` is a link.
    """
    clear_finished(path)
    open_unfinished(path)
    check_outputs([Output(path, RUN, in_place=True)])
    with locked(path):
        recover(path, RUN)
        folder = open_unfinished(path)
        remove_temporaries(path)
        remove_temporaries(folder.checkpoints)
        yield folder


def _checksums(folder: Path, names: Iterable[str]) -> dict[str, str]:
    return {name: sha256(folder / name) for name in names if (folder / name).exists()}


def clear_finished(path: Path) -> None:
    """Put in order what a process left that was killed after the run in ``path`` was done; others stay as they are."""
    folder = RunFolder(path)
    if folder.done and (folder.checkpoints.exists() or needs_recovery(path)):
        check_outputs([Output(path, RUN, in_place=True)])
        with locked(path), file_system_errors(path):
            folder.clear()


def zoos_of(runs: Sequence[Path]) -> list[Path]:
    """Return the zoos that runs were trained on; none for a run that cannot be read."""
    zoos = []
    for run in runs:
        try:
            zoos += [Path(zoo.path) for zoo in _read_run(run).zoos]
        except DataError:  # whoever opens the run says so
            continue
    return zoos


def open_finished(path: Path) -> RunFolder:
    """Open a finished run.

    Raises:
        DataError: there is no run, it is not finished, or files in it are missing or were changed.
    """
    folder = RunFolder(path)
    if not folder.done:
        raise DataError(path, f"this run is not done; continue it with: mnfn train --resume {path}")
    gone = [file.name for file in (folder.recipe, folder.model) if not file.exists()]
    if gone:
        raise DataError(path, f"this run is incomplete: it holds no {' and no '.join(gone)}")
    if wrong := [file for file in folder.changed_files() if file != folder.recipe]:
        raise DataError.together(DataError(file, CHANGED) for file in wrong)
    return folder


def open_unfinished(path: Path) -> RunFolder:
    """Open an unfinished run, to resume it.

    Raises:
        DataError: there is no run.
        UsageError: the run is finished.
    """
    folder = RunFolder(path)
    if folder.done:
        raise UsageError(path, "this run is done; there is nothing to resume")
    if not folder.checkpoints.is_dir():
        raise DataError(folder.checkpoints, "gone, and the training states with it; train anew with --force")
    return folder


def _read_run(path: Path) -> RunRecord:
    try:
        return read_record(existing_folder(path, "run") / RUN_FILE, RunRecord)
    except FileNotFoundError:
        raise DataError(path, f"no run: it holds no {RUN_FILE}") from None
