"""Write an evaluation to disk as JSON, CSV, Markdown and a figure."""

from pathlib import Path
from typing import Any

from mnfn_cli.errors import DataError
from mnfn_cli.report.figures import draw_robustness
from mnfn_cli.report.published import DATA_SET, published_tau
from mnfn_cli.storage.atomic import write_json, write_text
from mnfn_cli.storage.folders import new_folder
from mnfn_cli.storage.kinds import Kind
from mnfn_cli.storage.outputs import Output, check_outputs
from mnfn_cli.storage.records import Record, read_record
from mnfn_cli.tasks.condition import Condition
from mnfn_cli.tasks.evaluation import Evaluation, Row
from mnfn_cli.tasks.seed_means import Mean, means_over_seeds
from mnfn_cli.tasks.task import task_class


class EvaluationRecord(Record):
    """The keys of evaluation.json by which a folder is recognised as an evaluation."""

    group: str
    rows: tuple[dict[str, Any], ...]


def _own_files(folder: Path) -> frozenset[str] | None:
    try:
        read_record(folder / "evaluation.json", EvaluationRecord)
    except (OSError, DataError):
        return None
    return frozenset({"evaluation.json", "evaluation.csv", "evaluation.md", "robustness.png"})


EVALUATION = Kind("evaluation", _own_files)
"""The kind of folder that holds an evaluation."""


def write_evaluation(evaluation: Evaluation, output: Path, *, command: str, force: bool = False) -> None:
    """Write ``evaluation.json``, ``evaluation.csv``, ``evaluation.md`` and ``robustness.png`` into a new folder.

    Args:
        evaluation: the scores to write.
        output: the folder to create.
        command: the command line that made the evaluation, for evaluation.json.
        force: replace an existing evaluation.

    Raises:
        OutputError: the folder exists, and ``force`` is not given or it holds something other than an evaluation.
        StorageError: the folder cannot be written.
    """
    import polars as pl

    document = to_document(evaluation)
    flat = [
        {name: value for name, value in row.items() if name != "by_weight_space"}
        | {"scale": row["scale"] and f"{row['scale'][0]:g}:{row['scale'][1]:g}"}
        for row in document["rows"]
    ]
    check_outputs([Output(output, EVALUATION)], evaluation.augmented, force=force)
    with new_folder(output, EVALUATION, force=force) as folder:
        write_json(folder / "evaluation.json", document | {"command": command})
        write_text(folder / "evaluation.csv", pl.DataFrame(flat, infer_schema_length=None).write_csv())
        write_text(folder / "evaluation.md", markdown(evaluation))
        draw_robustness(evaluation, folder / "robustness.png")


def to_document(evaluation: Evaluation) -> dict[str, Any]:
    """Return the evaluation as a dict for JSON, with ``means``, and ``published`` by ``published_rows``."""
    means = [mean.to_json(evaluation.figure) for mean in shown_means(evaluation)]
    return evaluation.to_json() | {"means": means, "published": published_rows(evaluation)}


def shown_means(evaluation: Evaluation) -> list[Mean]:
    """Return the means over seeds if there are runs that differ only in their seed, and else nothing."""
    means = means_over_seeds(evaluation)
    return means if any(mean.seeds > 1 for mean in means) else []


def published_rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Return the paper's tau for the evaluated models and conditions, measured on its data set."""
    if evaluation.figure != "tau":
        return []
    rows: dict[tuple[str, str, Condition], dict[str, Any]] = {}
    for row in evaluation.rows:
        augmented = evaluation.augmented[row.run]
        tau = published_tau(row.model, augmented, row.condition)
        if tau == tau:
            learned = "original and acted on" if augmented else "original"
            entry = {"data_set": DATA_SET, "model": row.model, "trained_on": learned, "networks": row.condition.label}
            rows[row.model, learned, row.condition] = entry | {"tau": tau}
    return list(rows.values())


def markdown(evaluation: Evaluation) -> str:
    """Return the evaluation as a Markdown table.

    Tables of means over seeds and of the figure within each weight space follow where there are several, and figures of
    the paper where it has some.
    """
    several = len(evaluation.augmented) > 1
    precision = evaluation.precision.removeprefix("torch.")
    figure, others = evaluation.figure, list(dict.fromkeys(name for row in evaluation.rows for name in _others(row)))
    seen = task_class(evaluation.task).seen
    heading = ["reads", "test networks", figure, "95 % interval", *map(_title, others), f"largest change of a {seen}"]
    ranked = any(row.reordered for row in evaluation.rows)
    heading += ["pairs reordered, at most so far apart"] if ranked else []
    heading = (["run", "model"] if several else []) + heading
    split = f" (split: {evaluation.split_protocol})" if evaluation.split_protocol else ""
    lines = [f"{evaluation.count} test networks{split}, {precision}", "", *_head(heading)]
    for row in evaluation.rows:
        value = "undefined (constant output)" if row.value != row.value else f"{row.value:.3f}"
        low_high = "-" if row.low != row.low else f"{row.low:.3f} to {row.high:.3f}"
        more = [f"{_others(row)[name]:.3f}" if name in _others(row) else "-" for name in others]
        cells = [row.reads, row.condition.label, value, low_high, *more, f"{row.largest_change:.1e}"]
        if ranked:
            cells.append(f"{row.reordered.pairs}, {row.reordered.apart:.1e}" if row.reordered else "-")
        lines.append(_line(([row.run, row.model] if several else []) + cells))
    if means := shown_means(evaluation):
        lines += ["", "Means over seeds, with standard deviations:", ""]
        lines += _head(["model", "zoos", "test networks", "seeds", figure, "largest change"])
        for mean in means:
            value = "undefined" if mean.value != mean.value else f"{mean.value:.3f}"
            value += f" ± {mean.high - mean.value:.3f}" if mean.seeds > 1 and mean.value == mean.value else ""
            cells = [mean.label, mean.zoos, mean.condition.label, str(mean.seeds), value, f"{mean.largest_change:.1e}"]
            lines.append(_line(cells))
    if within := [(row, figures) for row in evaluation.rows for figures in row.by_weight_space]:
        heading = (["run", "model"] if several else []) + ["test networks", "weight space", "networks", figure]
        lines += ["", "Within each weight space:", "", *_head(heading)]
        for row, figures in within:
            cells = [row.condition.label, str(figures.spec), str(figures.networks), str(figures.test[figure])]
            lines.append(_line(([row.run, row.model] if several else []) + cells))
    if published := published_rows(evaluation):
        lines += ["", f"Published, and measured on {DATA_SET}:", ""]
        lines += _head(["model", "trained on", "test networks", "tau"])
        lines += [_line([row["model"], row["trained_on"], row["networks"], f"{row['tau']:.3f}"]) for row in published]
    return "\n".join(lines) + "\n"


def _others(row: Row) -> dict[str, float]:
    return {**row.others} | ({} if row.flagged is None else {"flagged": row.flagged})


def _title(other: str) -> str:
    return other if other in ("coverage", "flagged") else other.upper()


def _head(cells: list[str]) -> list[str]:
    return [_line(cells), "|" + "---|" * len(cells)]


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
