"""Apply a finished run to networks, for every task: read checkpoints, compute answers, write a table or networks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from mnfn_cli.errors import MnfnError, NumericError, UsageError
from mnfn_cli.runtime.context import Context
from mnfn_cli.storage.folders import new_folder
from mnfn_cli.storage.outputs import Output, check_outputs
from mnfn_cli.storage.tensors import map_tensors
from mnfn_cli.task_list import TASKS
from mnfn_cli.tasks.familiarity import FALSE_ALARMS
from mnfn_cli.tasks.finished_run import NO_INTERVALS, Run, load_run
from mnfn_cli.tasks.task import Report
from mnfn_cli.training.run_folder import RUN
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.layout import Reading
from mnfn_cli.zoo.checkpoints import Checkpoints, Wanted, load_checkpoints
from mnfn_cli.zoo.contents import ZOO
from mnfn_cli.zoo.inr_design import START_FILE
from mnfn_cli.zoo.single_files import CHECKPOINTS, SUFFIXES, list_files, write_manifest
from mnfn_cli.zoo.store import Zoo
from mnfn_cli.zoo.table import SPACE_COLUMN, write_table
from mnfn_cli.zoo.writer import save_zoo

if TYPE_CHECKING:
    import polars as pl

FEW = 20
"""With fewer networks whose true value is known, metrics mean little, and a remark says so."""


@dataclass(frozen=True, kw_only=True)
class Application(Report):
    """The report about some networks, in the order of the checkpoints, with the answers; ``network`` holds the names.

    Args:
        answers: the answers as a tensor ``(networks, ...)``, or the new weights of the networks.
        skipped: an error for each network that was left out because it cannot be used.
    """

    answers: Tensor | WeightSpaceFeatures
    skipped: Sequence[MnfnError]

    @property
    def names(self) -> Sequence[str]:
        """The networks' names."""
        names: Sequence[str] = self.columns["network"]
        return names

    def to_csv(self) -> str:
        """Return the table as CSV."""
        return self.table().write_csv()

    def write_csv(self, path: Path) -> None:
        """Write the table as CSV, some rows at a time; raises the errors of ``write_table``."""
        write_table(path, self.table())

    def table(self) -> "pl.DataFrame":
        """Return the table with a row for each network."""
        import polars as pl

        return pl.DataFrame(dict(self.columns), strict=False)

    def to_rows(self) -> list[dict[str, Any]]:
        """Return the table as a list with one dict for each network, for JSON."""
        plain = {
            name: getattr(column, "tolist", lambda column=column: list(column))()
            for name, column in self.columns.items()
        }
        return [dict(zip(plain, row, strict=True)) for row in zip(*plain.values(), strict=True)]


def apply_run(
    run: Path | Run,
    checkpoints: Path | Zoo | WeightSpaceFeatures,
    *,
    task: str | None = None,
    split: str | None = None,
    skip_bad: bool = False,
    reading: Reading = Reading(),
    output: Path | None = None,
    force: bool = False,
    context: Context | None = None,
) -> Application:
    """Read networks, compute a run's answer about each, and write new networks if the task makes some.

    Several processes share the computation; rank 0 writes.

    Args:
        run: the folder of a finished run, or a run that was loaded, which is moved to the device.
        checkpoints: a file in safetensors' or PyTorch's format, a folder of such files, or a zoo; or an open zoo,
            some networks of one, or raw weights ``(networks, 1, ...)``, whose names are their numbers.
        task: the task that the run must have been trained for; any task by default.
        split: the split of the zoo to read, ``train``, ``val`` or ``test``; all networks by default.
        skip_bad: leave out networks that cannot be used, instead of raising an error.
        reading: what the user says about files that their tensors do not tell.
        output: where new networks are written, for a task that makes some: a zoo from a zoo, and a folder of files from
            a folder of files. One file gives one file if ``output`` ends in .safetensors, .pt or .pth, else a folder
            with that file.
        force: replace an existing output of the same kind.
        context: the device on which to compute, and the command to record in a new zoo.

    Raises:
        DataError: the run or a network cannot be read, a network has a weight space that the run does not read, a file
            does not say which of several it has, or an INR was fitted from other initial weights than the run's; all
            such networks are named.
        UsageError: the run was trained for another task, or its model comes from a plugin that is not loaded.
        NumericError: an answer is not finite; all such networks are named, and nothing is written. With ``skip_bad``
            they are left out, unless no network is left.
        OutputError: the output exists, or it is equal to, inside or around an input.
    """
    context = context or Context()
    if output is not None and context.processes.first:
        read = [run.folder.path if isinstance(run, Run) else run, *_paths(checkpoints)]
        check_outputs([written(checkpoints, output)], read, force=force, kinds=(ZOO, RUN, CHECKPOINTS))
    loaded = run.require_task(task) if isinstance(run, Run) else load_run(run, task)
    loaded.to(device=context.device)
    known = loaded.task
    layouts = loaded.folder.record.layouts
    wanted = Wanted(
        loaded.specs, known.label, known.parse_label, loaded.start, reading, layouts, known.numbers, loaded.in_float32
    )
    networks = load_checkpoints(checkpoints, wanted, split=split, skip_bad=skip_bad)
    answers = loaded.predict(networks.features)
    if faults := _not_finite(answers, networks, next(iter(_paths(checkpoints)), "features"), known.answer):
        if not skip_bad or len(faults) == len(networks.names):
            raise NumericError.together(faults.values())
        kept = [position for position in range(len(networks.names)) if position not in faults]
        answers = answers.select(kept) if isinstance(answers, WeightSpaceFeatures) else answers[kept]
        networks = networks.keep(kept, list(faults.values()))
    added = []
    if output is not None and context.processes.first:
        added = _write(networks, answers, loaded, output, force, context.command)
    report = known.report(networks, answers, loaded.calibration.intervals)
    remarks = [*loaded.remarks, *_unknown_start(networks), *_no_intervals(loaded), *report.remarks]
    flags, share, flagged = _unlike(loaded, networks)
    remarks += flagged
    if added:
        remarks.append(f"{len(added)} networks got biases that they did not have, such as {added[0]}")
    if 0 < report.known < FEW:
        remarks.append(f"only {report.known} networks with a known truth: figures and intervals say little")
    return Application(
        columns={"network": networks.names, **report.columns, **flags},
        answers=answers,
        figures=report.figures,
        known=report.known,
        summary=report.summary,
        shown=["network", *report.shown, *flags],
        facts={**report.facts, **share},
        pictures=report.pictures,
        remarks=remarks,
        figure=report.figure,
        skipped=networks.skipped,
    )


def _paths(checkpoints: Path | Zoo | WeightSpaceFeatures) -> list[Path]:
    if isinstance(checkpoints, WeightSpaceFeatures):
        return []
    return [checkpoints if isinstance(checkpoints, Path) else checkpoints.path]


def written(checkpoints: Path | Zoo | WeightSpaceFeatures, output: Path) -> Output:
    """Return the output that a task makes which changes networks.

    It is a zoo if ``checkpoints`` is a zoo, and a folder of files if it is a folder of several files. For one file it
    is a file if ``output`` ends in .safetensors, .pt or .pth, else a folder with that file.

    Raises:
        DataError: ``checkpoints`` holds no checkpoint files.
        UsageError: ``checkpoints`` are weights in memory.
    """
    if isinstance(checkpoints, WeightSpaceFeatures):
        raise UsageError("out", "weights in memory have no form on disk; leave it out, and write them with save_zoo")
    if isinstance(checkpoints, Zoo) or (checkpoints / "zoo.json").exists():
        return Output(output, ZOO)
    one = output.suffix in SUFFIXES and len(list_files(checkpoints)) == 1
    return Output(output, None if one else CHECKPOINTS)


def _not_finite(answers: Any, networks: Checkpoints, where: object, answer: str) -> dict[int, NumericError]:
    """Return an error for each network without a finite answer, by its position."""
    tensor = answers.flatten() if isinstance(answers, WeightSpaceFeatures) else answers
    finite = tensor.flatten(1).isfinite().all(dim=1) if tensor.dim() > 1 else tensor.isfinite()
    wrong = (~finite).nonzero().flatten().tolist()
    return {n: NumericError(f"{where}:{networks.names[n]}", f"{answer} not finite") for n in wrong}


def _unlike(run: Run, networks: Checkpoints) -> tuple[dict[str, Any], dict[str, float], list[str]]:
    """Return the columns, the fact and the remark on networks unlike the training zoo, if the run can tell them."""
    if run.calibration.familiarity is None:
        return {}, {}, []
    scores = run.calibration.familiarity.scores(networks.features)
    flags = scores > 1
    remarks = [
        f"{flags.sum()} of {len(flags)} networks ({flags.mean():.0%}) are unlike those of the training zoo, where "
        f"{FALSE_ALARMS:.0%} would be by chance: nothing is promised of them"
    ]
    columns = {"unlike": flags, "unlike_score": scores}
    return columns, {"unlike": float(flags.mean())}, remarks if flags.any() else []


def _no_intervals(run: Run) -> list[str]:
    """Say that a run has no intervals, unless its task has none or its recipe asked for none."""
    wanted = TASKS[run.recipe.task].calibration is not None and run.recipe.training.calibration != 0
    return [NO_INTERVALS] if wanted and run.calibration.intervals is None else []


def _unknown_start(networks: Checkpoints) -> list[str]:
    if not networks.unknown_start:
        return []
    return [
        f"{networks.unknown_start} networks do not say from which initial weights they were fitted; the run has "
        "learned from shared ones and means nothing for others (mnfn zoo build siren --like RUN fits from it)"
    ]


def _write(
    networks: Checkpoints, weights: WeightSpaceFeatures, run: Run, output: Path, force: bool, command: str
) -> list[str]:
    """Write the new weights in the form in which the old ones were read: a zoo, a folder of files, or a file.

    Returns:
        the path and name of a tensor that a file did not have before, for each file with such tensors.
    """
    if networks.zoo is not None:
        _write_zoo(networks, weights, run, output, force, command)
        return []
    files = networks.files or []
    if len(files) == 1 and output.suffix in SUFFIXES:
        return [f"{output}:{name}" for name in files[0].write(weights, output)[:1]]
    added = []
    with new_folder(output, CHECKPOINTS, force=force) as folder:
        for row, file in enumerate(files):
            more = file.write(weights.select([row]), folder / file.path.name)
            added += [f"{output / file.path.name}:{name}" for name in more[:1]]
        write_manifest(folder)
    return added


def _write_zoo(
    networks: Checkpoints, weights: WeightSpaceFeatures, run: Run, output: Path, force: bool, command: str
) -> None:
    zoo = networks.zoo
    assert zoo is not None and networks.rows is not None
    # These columns measured how well the old networks fit the zoo's pictures.
    stale = [name for name in ("psnr", "mse", SPACE_COLUMN) if name in zoo.table.columns]
    made = {
        "command": command,
        "source_zoo": zoo.record.made.to_json() | {"path": str(zoo.path), "fingerprint": zoo.fingerprint},
        "edited_by": {"run": str(run.folder.path)} | run.task.facts.to_json(),
        **zoo.record.fit,
    }
    start = zoo.path / START_FILE
    several = len(zoo.spaces) > 1
    save_zoo(
        output,
        run.spec if several else zoo.spaces,
        weights,
        zoo.table[networks.rows].drop(stale),
        made=made,
        images=zoo.record.images.to_json(),
        start=map_tensors(start) if start.exists() else None,
        force=force,
    )
