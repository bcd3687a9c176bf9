"""The section of a run, finished or not: its figures, curves, predictions, learned inputs, recipe and card."""

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from os.path import lexists
from pathlib import Path
from typing import Any

from pydantic import ValidationInfo, field_validator
from torch import Tensor

from mnfn_cli.errors import DataError
from mnfn_cli.regular_files import read_regular
from mnfn_cli.report.card import CARD_FILE
from mnfn_cli.report.figures import validation_figures
from mnfn_cli.report.page.charts import LARGEST, Curve, curves, drawable
from mnfn_cli.report.page.images import picture_table
from mnfn_cli.report.page.learned import learned_inputs
from mnfn_cli.report.page.markup import Content, element
from mnfn_cli.report.page.predictions import Predictions, charts, confusion_figure, predictions_table, read_predictions
from mnfn_cli.report.page.section import Section, block, details, figure, figures, folded
from mnfn_cli.report.page.tables import data_table, short
from mnfn_cli.storage.locks import is_left_locked
from mnfn_cli.storage.records import Record, json_value, parse_record
from mnfn_cli.storage.tensors import read_tensors
from mnfn_cli.task_list import TASKS
from mnfn_cli.tasks.editing import SHOWN
from mnfn_cli.tasks.metrics import Metric
from mnfn_cli.tasks.result import RESULT_FILE, Result, read_result
from mnfn_cli.tasks.target import Target
from mnfn_cli.tasks.task import task_class
from mnfn_cli.training.record import RunRecord
from mnfn_cli.training.run_folder import RUN_FILE, RunFolder

MOST_BYTES = 2**16
"""The largest number of bytes of a card or a recipe that are shown."""
FIGURE_NAMES = {"tau": "Kendall's tau", "accuracy": "accuracy", "mse": "mean squared error"}


class Matrix(Record):
    """The confusion matrix in the result.json of a classifier."""

    classes: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]

    @field_validator("confusion")
    @classmethod
    def _square(cls, value: tuple[tuple[int, ...], ...], info: ValidationInfo) -> tuple[tuple[int, ...], ...]:
        if any(len(row) != len(info.data.get("classes", ())) for row in (value, *value)):
            raise ValueError("is no matrix with a row and a column for each class")
        return value


def run_section(path: Path, name: str) -> Section:
    """Return the section of a run.

    Args:
        path: the folder of the run.
        name: the anchor of the section, with which the names of its charts begin.

    Raises:
        DataError: a file of the run cannot be read.
    """
    run = RunFolder(path)
    require_known(run.record.task, path / RUN_FILE)
    lines = read_metrics(run)
    if not run.done:
        return _unfinished(run, lines, name)
    result = read_result(path)
    require_known(result.task, path / RESULT_FILE)
    tables = [read_predictions(file) for one in ("predictions.csv", "errors.csv") if lexists(file := path / one)]
    body = [
        _settings(run.record, result),
        figures(
            *_curves(lines, name, result.validation.get("step")), *_answers(path, run.record, result, tables, name)
        ),
        *_edits(path),
        *learned_inputs(run, result, name),
        _measured(result),
        block("How it was made", _settings(run.record, result)),
        *(block("Test networks", predictions_table(table)) for table in tables),
        *_texts(run),
    ]
    return Section("run", path, _facts(result), body, "done", result.task)


def require_known(task: str, file: Path) -> None:
    """Raise ``DataError`` if a file names a task that there is not."""
    if task not in TASKS:
        raise DataError(f"{file}:task", f"is '{task}'; tasks are {', '.join(TASKS)}")


def read_metrics(run: RunFolder) -> list[dict[str, Any]]:
    """Return the lines of a run's metrics.jsonl; none if there is no such file.

    The last line of an unfinished run may be half written, and is left out then. What was fitted after the last step,
    and has no epoch, is given that of the line before it.

    Raises:
        DataError: the file cannot be read, or a line is no line of metrics.
    """
    try:
        content = read_regular(run.metrics)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DataError(run.metrics, f"cannot read: {error.strerror}") from None
    lines = content.splitlines()
    if not run.done and not content.endswith(b"\n"):
        lines = lines[:-1]
    found: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        try:
            entry = json_value(line.decode())
        except ValueError:
            entry = None
        if not isinstance(entry, dict) or not isinstance(entry.get("step"), int):
            raise DataError(f"{run.metrics}:line {number}", "is no line of metrics; the file is damaged")
        if not isinstance(entry.get("epoch"), int | float) or not isfinite(drawable([_float(entry["epoch"])])[0]):
            entry["epoch"] = found[-1]["epoch"] if found else 0.0
        found.append(entry)
    return found


def validation_curve(lines: Sequence[Mapping[str, Any]], task: str, name: str) -> Curve:
    """Return the curve, over epochs, of the validation figure that chooses the model."""
    return _curve(lines, task_class(task).criterion, name)


def headline(task: str) -> str:
    """Return the name of the figure that counts in a task, in words."""
    return FIGURE_NAMES.get(figure := task_class(task).headline(), figure)


def state_of(run: RunFolder) -> str:
    """Return ``done``, ``running`` if a process is at work on the run or was killed, or ``stopped``."""
    return "done" if run.done else "running" if is_left_locked(run.path) else "stopped"


def _unfinished(run: RunFolder, lines: Sequence[Mapping[str, Any]], name: str) -> Section:
    state = state_of(run)
    criterion = task_class(run.record.task).criterion
    facts = {"validations": str(len(lines))}
    if lines:
        facts |= {"epoch": f"{lines[-1]['epoch']:g}", "step": f"{lines[-1]['step']:,}"}
        if isinstance(last := lines[-1].get(criterion), int | float):
            facts[f"last validation {criterion.removeprefix('val_')}"] = f"{last:.4g}"
    what = "A process is at work on this run, or was killed." if state == "running" else "This run was interrupted."
    note = element(
        "p", f"{what} It has no result yet; continue it with: ", element("code", _resume(run)), class_="note"
    )
    made = block("How it is made", _settings(run.record, None))
    body = [note, figures(*_curves(lines, name, None)), made, *_texts(run)]
    return Section("run", run.path, facts, body, state, run.record.task)


def _resume(run: RunFolder) -> str:
    return f"mnfn train --resume {run.path}"


def _facts(result: Result) -> dict[str, str]:
    found = {"model": result.model}
    main = task_class(result.task).headline()
    if main in result.test:
        found[f"test {headline(result.task)}"] = str(result.test[main])
    found["reads"] = result.reads
    found["test networks"] = f"{result.data.networks.get('test', 0):,}"
    if result.intervals is not None:
        found[f"held by {result.intervals.level:.0%} intervals"] = f"{result.intervals.coverage:.1%}"
    found["learned numbers"] = f"{result.parameters:,}"
    found["time"] = f"{result.seconds.in_all:,.0f} s"
    return found


def _settings(record: RunRecord, result: Result | None) -> Content:
    counts = ", ".join(f"{count:,} {split}" for split, count in record.networks.items())
    pairs: dict[str, object] = {
        "reads networks": "; ".join(map(str, record.specs)),
        "trained on": f"{', '.join(zoo.path for zoo in record.zoos)}: {counts} networks",
        "split": None if result is None else result.data.split_protocol,
        "made by": record.command,
        "left out": f"{len(record.skipped)} networks that could not be used" if record.skipped else None,
        "intervals": None if result is None or result.intervals is None else str(result.intervals),
        "remarks": None if result is None else "; ".join(_remarks(result)),
        "versions": f"mnfn {record.versions.mnfn}, torch {record.versions.torch}, Python {record.versions.python}",
    }
    return details({term: short(str(text), 1000) if text else None for term, text in pairs.items()})


def _remarks(result: Result) -> list[str]:
    found = (result.model_extra or {}).get("remarks", ())
    return [str(remark) for remark in found] if isinstance(found, list | tuple) else []


def _curves(lines: Sequence[Mapping[str, Any]], name: str, best_step: float | None) -> Iterator[Content]:
    if len(lines) < 2:  # a functional that is fitted in closed form has one line, which is no curve
        return
    loss, chosen = validation_figures(lines[0])
    best = next((line["epoch"] for line in lines if best_step and line["step"] == best_step), None)
    marked = "The dotted line marks the model that was kept." if best is not None else None
    what = "mean squared error" if chosen is None else "loss"
    shown = [_curve(lines, "train_loss", "training"), _curve(lines, loss, "validation")]
    yield figure("Training", curves(f"{name}-loss", shown, ("epoch", what), best, log=chosen is None), marked)
    if chosen is not None:
        words = FIGURE_NAMES.get(bare := chosen.removeprefix("val_"), bare)
        svg = curves(f"{name}-validation", [_curve(lines, chosen, words)], ("epoch", f"validation {words}"), best)
        yield figure("Validation", svg, marked)


def _curve(lines: Sequence[Mapping[str, Any]], key: str, name: str) -> Curve:
    values = [line.get(key) for line in lines]
    known = [_float(value) if isinstance(value, int | float) else float("nan") for value in values]
    return Curve(name, [float(line["epoch"]) for line in lines], known)


def _float(value: float) -> float:
    """Return a number as a float; NaN for a whole number that none can hold."""
    try:
        return float(value)
    except OverflowError:
        return float("nan")


def _answers(path: Path, record: RunRecord, result: Result, tables: Sequence[Predictions], name: str) -> list[Content]:
    """Return the figures of the answers about test networks."""
    facts = parse_record(record.facts, path / RUN_FILE, task_class(record.task).Facts)
    given = facts.bounds if isinstance(facts, Target) else None
    given = given if given is not None and -LARGEST < given[0] < given[1] < LARGEST else None
    if tables:
        return [shown for table in tables for shown in charts(table, name, given)]
    # Runs that come with mnfn hold no table, but the matrix.
    more = result.model_extra or {}
    if "confusion" not in more:
        return []
    matrix = parse_record(more, path / RESULT_FILE, Matrix)
    return [confusion_figure(matrix.confusion, matrix.classes, f"{sum(map(sum, matrix.confusion)):,} test networks.")]


def _edits(path: Path) -> Iterator[Content]:
    """Yield the pictures that an editor changed, if the run holds examples."""
    if not lexists(file := path / "examples.safetensors"):
        return
    tensors, _ = read_tensors(file)
    rows: dict[str, Tensor] = {
        name: tensors[name][:SHOWN].float() for name in ("before", "after", "target") if name in tensors
    }
    shapes = {tuple(pictures.shape) for pictures in rows.values()}
    if len(shapes) != 1 or len(shape := shapes.pop()) != 4 or shape[1] not in (1, 3):
        raise DataError(file, "holds no rows of pictures of one shape")
    caption = "Pictures of test networks before and after the edit, and its target"
    yield block("Edits", picture_table(rows, caption))


def _measured(result: Result) -> Content:
    rows = [
        {"networks": "all", "figure": name.replace("_", " "), **_numbers(metric)}
        for name, metric in result.test.items()
    ]
    for within in result.by_weight_space:
        rows += [
            {"networks": str(within.spec), "figure": name.replace("_", " "), **_numbers(metric)}
            for name, metric in within.test.items()
        ]
    columns = {"networks": "test networks", "figure": "figure", "value": "value"}
    columns |= {"low": "low 95 %", "high": "high 95 %"}
    if not result.by_weight_space:
        columns.pop("networks")
    tables = [figure("Measured on test networks", data_table(rows, columns, "Figures", formats=_FOUR))]
    if result.invariance:
        seen = task_class(result.task).seen
        changes = [entry.to_json() for entry in result.invariance]
        heads = {"condition": "networks after", "largest_change": f"largest change of a {seen}"}
        tables.append(figure("Invariance", data_table(changes, heads, "Invariance", formats={"largest_change": ".1e"})))
    return figures(*tables)


_FOUR = {"value": ".4f", "low": ".4f", "high": ".4f"}


def _numbers(metric: Metric) -> dict[str, Any]:
    low, high = metric.interval
    return {"value": metric.value, "low": low, "high": high}


def _texts(run: RunFolder) -> Iterator[Content]:
    """Return the recipe and the card as they are, folded."""
    for title, file in (("Recipe", run.recipe), ("Model card", run.path / CARD_FILE)):
        try:
            content = read_regular(file, MOST_BYTES + 1)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise DataError(file, f"cannot read: {error.strerror}") from None
        rest = f"\n... the whole is in {file}" if len(content) > MOST_BYTES else ""
        yield folded(title, content[:MOST_BYTES].decode("utf-8", "replace") + rest)
