"""An evaluation on disk: table, JSON, Markdown and picture."""

from pathlib import Path
from typing import Any

from mnfn_cli.report.figures import draw_robustness
from mnfn_cli.report.published import DATA_SET, published_tau
from mnfn_cli.storage.atomic import write_json, write_text
from mnfn_cli.storage.folders import new_folder
from mnfn_cli.tasks.evaluation import Evaluation, Row


def write_evaluation(evaluation: Evaluation, output: Path, *, command: str, force: bool = False) -> None:
    """Write ``evaluation.{json,csv,md}`` and ``robustness.png`` into a new folder; ``command`` made it.

    Raises:
        OutputError: the folder exists.
    """
    import polars as pl

    document = to_document(evaluation)
    flat = [row | {"scale": row["scale"] and f"{row['scale'][0]:g}:{row['scale'][1]:g}"} for row in document["rows"]]
    with new_folder(output, force=force) as folder:
        write_json(folder / "evaluation.json", document | {"command": command})
        write_text(folder / "evaluation.csv", pl.DataFrame(flat, infer_schema_length=None).write_csv())
        write_text(folder / "evaluation.md", markdown(evaluation))
        draw_robustness(evaluation, folder / "robustness.png")


def to_document(evaluation: Evaluation) -> dict[str, Any]:
    """Return the evaluation as a JSON object, with the paper's figures, None where it gives none, in a column apart."""
    document = evaluation.to_json()
    for entry, row in zip(document["rows"], evaluation.rows, strict=True):
        published = _published(evaluation, row)
        entry["published_tau"] = published if published == published else None
    return document | {"published_on": DATA_SET}


def markdown(evaluation: Evaluation) -> str:
    """Return the evaluation as a Markdown table."""
    several = len(evaluation.augmented) > 1
    published = [_published(evaluation, row) for row in evaluation.rows]
    known = any(tau == tau for tau in published)
    precision = evaluation.precision.removeprefix("torch.")
    heading = ["test networks", "tau", "95 % interval", "R2", "L1", "largest change of a prediction"]
    heading = (["run", "model"] if several else []) + heading
    heading += [f"published tau ({DATA_SET})"] if known else []
    lines = [f"{evaluation.count} test networks, {precision}", "", _line(heading), "|" + "---|" * len(heading)]
    for row, paper in zip(evaluation.rows, published, strict=True):
        tau = "undefined (constant output)" if row.tau != row.tau else f"{row.tau:.3f}"
        low_high = "-" if row.low != row.low else f"{row.low:.3f} to {row.high:.3f}"
        cells = [row.condition.label, tau, low_high, f"{row.r2:.3f}", f"{row.l1:.3f}", f"{row.largest_change:.1e}"]
        cells = ([row.run, row.model] if several else []) + cells
        cells += ([f"{paper:.3f}" if paper == paper else ""]) if known else []
        lines.append(_line(cells))
    return "\n".join(lines) + "\n"


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _published(evaluation: Evaluation, row: Row) -> float:
    return published_tau(row.model, evaluation.augmented[row.run], row.condition)
