"""Read an evaluation back from its folder."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator

from mnfn_cli.errors import DataError
from mnfn_cli.storage.records import OpenRecord, Record, read_record
from mnfn_cli.symmetry import Access
from mnfn_cli.task_list import TASKS
from mnfn_cli.tasks.condition import Condition, Range
from mnfn_cli.tasks.evaluation import Evaluation, Row
from mnfn_cli.tasks.metrics import Reordered
from mnfn_cli.tasks.result import SpaceFigures

OTHERS = ("r2", "l1", "coverage")
"""The figures that a row holds beside the one that counts."""

_LARGEST = 1e100


class _Row(OpenRecord):
    run: str
    model: str
    networks: str
    reads: Access = "weights alone"
    low: float | None
    high: float | None
    largest_change: float | None
    scale: tuple[float, float] | None = None
    log_uniform: bool = False
    shifts: int = 0
    flagged: float | None = None
    reordered_pairs: int | None = None
    reordered_apart: float | None = None
    by_weight_space: tuple[SpaceFigures, ...] = ()


class _Document(Record):
    group: Annotated[str, Field(pattern="^(scale|sign|permutation)( and (scale|sign|permutation))*$")]
    count: int
    precision: str
    permuted: bool
    augmented: dict[str, bool]
    rows: tuple[_Row, ...]
    split_protocol: str = ""
    task: str = "generalization"
    zoos: Annotated[dict[str, str], Field(default_factory=dict)]
    labels: Annotated[dict[str, str], Field(default_factory=dict)]
    command: str = ""
    published: tuple[dict[str, Any], ...] = ()

    @field_validator("task")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in TASKS:
            raise ValueError(f"is '{value}'; tasks are {', '.join(TASKS)}")
        return value


@dataclass(frozen=True)
class StoredEvaluation:
    """An evaluation in a folder.

    Args:
        path: the folder.
        evaluation: the evaluation.
        command: the command line that made it.
        published: the paper's figures for the same models and conditions, as ``published_rows`` returns them.
    """

    path: Path
    evaluation: Evaluation
    command: str
    published: tuple[Mapping[str, Any], ...]


def read_evaluation(folder: Path) -> StoredEvaluation:
    """Read evaluation.json of a folder.

    Raises:
        DataError: there is none, it cannot be read, or a key of it is missing or of the wrong type.
    """
    file = folder / "evaluation.json"
    try:
        document = read_record(file, _Document)
    except FileNotFoundError:
        raise DataError(folder, "no evaluation: it holds no evaluation.json") from None
    known = {name: getattr(document, name) for name in ("group", "count", "precision", "permuted", "augmented")}
    known |= {name: getattr(document, name) for name in ("split_protocol", "task", "zoos", "labels")}
    evaluation = Evaluation(rows=tuple(_row(row, document) for row in document.rows), **known)
    return StoredEvaluation(folder, evaluation, document.command, document.published)


def _row(row: _Row, document: _Document) -> Row:
    acted = row.networks != "original"
    scale = None if row.scale is None else Range(*row.scale, row.log_uniform)
    figure = TASKS[document.task].load().headline()
    more = row.model_extra or {}
    pairs = row.reordered_pairs
    return Row(
        row.run,
        row.model,
        Condition(document.group, acted, scale, acted and document.permuted, row.shifts),
        _number(more.get(figure)),
        _number(row.low),
        _number(row.high),
        {name: _number(more[name]) for name in OTHERS if name in more},
        _number(row.largest_change),
        row.by_weight_space,
        row.reads,
        row.flagged,
        None if pairs is None else Reordered(pairs, _number(row.reordered_apart)),
    )


def _number(value: Any) -> float:
    """Return a number of a JSON file; NaN for null, for another value, and for what is no finite float."""
    if not isinstance(value, int | float) or not -_LARGEST < value < _LARGEST:
        return float("nan")
    return float(value)
