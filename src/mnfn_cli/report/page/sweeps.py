"""The section of a sweep: every run and its state, means over seeds, and curves of validation."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mnfn_cli.report.page.charts import SERIES, Curve, curves, dots
from mnfn_cli.report.page.markup import Content, element
from mnfn_cli.report.page.runs import FIGURE_NAMES, headline, read_metrics, require_known, state_of, validation_curve
from mnfn_cli.report.page.section import Section, block, figure, figures
from mnfn_cli.report.page.tables import data_table
from mnfn_cli.tasks.sweep import summarise
from mnfn_cli.tasks.sweep_results import SweptRun, read_sweep
from mnfn_cli.training.run_folder import RUN_FILE, RunFolder
from mnfn_cli.weightspace.naming import natural_key

GROUPS = 24
"""The largest number of recipes and variants whose figures are drawn."""


def sweep_section(path: Path, name: str) -> Section:
    """Return the section of a sweep, finished or not; the names of its charts begin with ``name``.

    Raises:
        DataError: results.json or a run cannot be read.
    """
    results = read_sweep(path)
    runs = runs_in(path)
    open_ = [run for run in runs if not run.done]
    groups = {(one.recipe, *one.variant): None for one in results}
    facts = {"runs": f"{len(runs):,}", "finished": f"{len(results):,}", "recipes and variants": f"{len(groups):,}"}
    if sizes := [one.parameters for one in results]:
        facts["learned numbers"] = " – ".join(f"{size:,}" for size in dict.fromkeys((min(sizes), max(sizes))))
    means: list[Content] = []
    if results:
        rows = summarise([one.to_json() for one in results])
        names = list(dict.fromkeys(key.removesuffix("_sd") for row in rows for key in row if key.endswith("_sd")))
        columns = {"recipe": "recipe", "variant": "variant", "parameters": "parameters", "seeds": "seeds"}
        columns |= {key: title for one in names for key, title in ((one, one), (f"{one}_sd", f"{one} sd"))}
        columns |= {"seconds": "seconds a run"}
        undefined = [{key: None if value != value else value for key, value in row.items()} for row in rows]
        means = [block("Means over seeds", data_table(undefined, columns, "Means over seeds", formats=_formats(names)))]
    body = [
        _unfinished(open_) if open_ else None,
        figures(*_dots(results, name), *_curves(runs, name)),
        *means,
        block("Runs", _runs(results, open_)),
    ]
    states = [state_of(run) for run in runs]
    state = next((one for one in ("running", "stopped") if one in states), "done")
    return Section("sweep", path, facts, body, state)


def runs_in(path: Path) -> list[RunFolder]:
    """Return the runs in a folder, in the natural order of their names.

    Raises:
        DataError: run.json of one cannot be read.
    """
    folders = [one for one in path.iterdir() if one.is_dir() and not one.name.startswith(".")]
    held = sorted((one for one in folders if (one / "run.json").exists()), key=lambda one: natural_key(one.name))
    return [RunFolder(one) for one in held]


def _unfinished(runs: Sequence[RunFolder]) -> Content:
    many = f"{len(runs)} runs are" if len(runs) > 1 else "1 run is"
    return element("p", f"{many} not finished; the command that began the sweep continues it.", class_="note")


def _dots(results: Sequence[SweptRun], name: str) -> list[Content]:
    """Return a chart of every seed for each figure that counts in a task of the sweep."""
    shown: list[Content] = []
    for key, words in FIGURE_NAMES.items():
        groups: dict[str, list[float]] = {}
        for one in results:
            if key == _counts(one):
                value = one.test[key].value
                label = " ".join([one.recipe.rpartition("/")[2], *one.variant])
                groups.setdefault(label, []).append(float("nan") if value is None else value)
        if groups:
            drawn = dict(list(groups.items())[:GROUPS])
            left = f" The first {GROUPS} of {len(groups)} are drawn." if len(groups) > GROUPS else ""
            said = f"{words} on test networks; a dot is a seed, a line their mean.{left}"
            shown.append(figure("Recipes compared", dots(f"{name}-{key}", drawn, f"test {words}"), said))
    return shown


def _counts(one: SweptRun) -> str | None:
    return next((key for key in FIGURE_NAMES if key in one.test), None)


def _curves(runs: Sequence[RunFolder], name: str) -> list[Content]:
    """Return a chart of the validation figure for each task of the sweep."""
    tasks: dict[str, list[RunFolder]] = {}
    for run in runs:
        require_known(run.record.task, run.path / RUN_FILE)
        tasks.setdefault(run.record.task, []).append(run)
    shown: list[Content] = []
    for task, some in tasks.items():
        lines = [(run, read_metrics(run)) for run in some[:SERIES]]
        drawn: list[Curve] = [
            validation_curve(read, task, run.path.name.removeprefix(f"{task}-")) for run, read in lines if len(read) > 1
        ]
        if not drawn:
            continue
        words = headline(task)
        left = (
            f"The figure that chooses the model, of the first {SERIES} of {len(some)} runs."
            if len(some) > SERIES
            else "The figure that chooses the model, of every run."
        )
        svg = curves(f"{name}-curves-{task}", drawn, ("epoch", f"validation {words}"), log=words.startswith("mean"))
        shown.append(figure("Validation", svg, left))
    return shown


def _runs(results: Sequence[SweptRun], open_: Sequence[RunFolder]) -> Content:
    rows: list[dict[str, Any]] = []
    for one in results:
        row: dict[str, Any] = {"recipe": one.recipe, "variant": " ".join(one.variant) or None, "seed": one.seed}
        row |= {"state": "done", "model": one.model, "reads": one.reads, "parameters": one.parameters}
        rows.append(row | {key: metric.value for key, metric in one.test.items()} | {"seconds": one.seconds.in_all})
    rows += [{"recipe": run.path.name, "state": state_of(run)} for run in open_]
    columns = {key: key for row in rows for key in row}
    return data_table(rows, columns, "Runs", formats=_formats(columns))


def _formats(names: Sequence[str] | dict[str, str]) -> dict[str, str]:
    return {"seconds": ".0f", "parameters": ","} | {
        key: ".4f" for one in names if one in FIGURE_NAMES for key in (one, f"{one}_sd")
    }
