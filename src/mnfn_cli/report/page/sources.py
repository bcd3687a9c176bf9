"""Find what paths lead to, and turn it into sections: zoos, runs, sweeps, evaluations, tables of predictions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os.path import lexists
from pathlib import Path

from mnfn_cli.errors import DataError, MnfnError
from mnfn_cli.regular_files import check_regular_file
from mnfn_cli.report.page.evaluations import evaluation_section
from mnfn_cli.report.page.predictions import predictions_section, read_predictions
from mnfn_cli.report.page.runs import run_section
from mnfn_cli.report.page.section import Section
from mnfn_cli.report.page.sweeps import sweep_section
from mnfn_cli.report.page.zoos import zoo_section
from mnfn_cli.report.stored_evaluation import read_evaluation
from mnfn_cli.runtime.context import Context
from mnfn_cli.storage.folders import existing_folder
from mnfn_cli.training.run_folder import RUN_FILE
from mnfn_cli.weightspace.naming import natural_key
from mnfn_cli.zoo.store import open_zoo

_KINDS: dict[str, Callable[[Path, str], Section]] = {
    "zoo.json": lambda path, name: zoo_section(open_zoo(path), name),
    RUN_FILE: run_section,
    "results.json": sweep_section,
    "evaluation.json": lambda path, name: evaluation_section(read_evaluation(path), name),
}
"""By the file that a folder holds, how its section is made, in the order of the page."""

_TABLE = ".csv"


@dataclass(frozen=True)
class Source:
    """Something to report.

    Args:
        path: the file or folder.
        section: the function that makes its section, given the path and the anchor of the section.
    """

    path: Path
    section: Callable[[Path, str], Section]


def find_sources(paths: Sequence[Path]) -> list[Source]:
    """Return what paths lead to. A folder that is nothing by itself stands for what it holds.

    What it holds is ordered by kind, and then by name; anything else in it is passed over.

    Raises:
        DataError: a path leads to nothing that can be reported; all such paths are named.
    """
    found: list[Source] = []
    faults: list[MnfnError] = []
    for path in paths:
        try:
            found += _sources(path)
        except MnfnError as fault:
            faults.append(fault)
    _raise(faults)
    return list({source.path: source for source in found}.values())


def sections_of(sources: Sequence[Source], context: Context) -> list[Section]:
    """Return a section for each source, whose anchor is ``part-1`` and so on.

    Args:
        sources: what to report.
        context: where progress is reported and interrupts are noticed.

    Raises:
        MnfnError: a source cannot be read; all that cannot are named.
    """
    made: list[Section] = []
    faults: list[MnfnError] = []
    context.progress.start("reading", len(sources))
    for number, source in enumerate(sources, 1):
        context.interruption.check("report", "nothing was written")
        try:
            made.append(source.section(source.path, f"part-{number}"))
        except MnfnError as fault:
            faults.append(fault)
        context.progress.advance()
    _raise(faults)
    return made


def _raise(faults: Sequence[MnfnError]) -> None:
    if faults:
        raise type(faults[0]).together(faults)


def _sources(path: Path) -> list[Source]:
    if path.suffix == _TABLE and not path.is_dir():
        check_regular_file(path)
        return [Source(path, _predictions)]
    if path.exists() and not path.is_dir():
        raise DataError(
            path, f"is no folder and no {_TABLE} file; name a zoo, a run, a sweep, an evaluation or a table"
        )
    folder = existing_folder(path, "zoo, run, sweep or evaluation")
    if (known := _known(folder)) is not None:
        return [known]
    inside = sorted(
        (one for one in folder.iterdir() if not one.name.startswith(".")), key=lambda one: natural_key(one.name)
    )
    held = [source for one in inside if one.is_dir() and (source := _known(one)) is not None]
    order = list(_KINDS.values())
    held.sort(key=lambda source: order.index(source.section))
    held += [Source(one, _predictions) for one in inside if one.suffix == _TABLE and one.is_file() and _is_table(one)]
    if not held:
        raise DataError(path, "is no zoo, run, sweep or evaluation, and holds none, and no table of predictions")
    return held


def _known(folder: Path) -> Source | None:
    section = next((made for name, made in _KINDS.items() if lexists(folder / name)), None)
    return None if section is None else Source(folder, section)


def _is_table(file: Path) -> bool:
    try:
        read_predictions(file)
    except DataError:
        return False
    return True


def _predictions(path: Path, name: str) -> Section:
    return predictions_section(read_predictions(path), name)
