"""An evaluation on disk: table, JSON, Markdown and picture."""

from pathlib import Path

from mnfn_cli.report.figures import draw_robustness
from mnfn_cli.storage.atomic import write_json, write_text
from mnfn_cli.storage.folders import new_folder
from mnfn_cli.tasks.evaluation import Evaluation


def write_evaluation(evaluation: Evaluation, output: Path, *, force: bool = False) -> None:
    """Write ``evaluation.{json,csv,md}`` and ``robustness.png`` into a new folder.

    Raises:
        OutputError: the folder exists.
    """
    import polars as pl

    document = evaluation.to_json()
    with new_folder(output, force=force) as folder:
        write_json(folder / "evaluation.json", document)
        write_text(folder / "evaluation.csv", pl.DataFrame(document["rows"]).write_csv())
        write_text(folder / "evaluation.md", markdown(evaluation))
        draw_robustness(evaluation.rows, folder / "robustness.png", evaluation.model)


def markdown(evaluation: Evaluation) -> str:
    """Return the evaluation as a Markdown table."""
    lines = [
        f"{evaluation.count} test networks, model {evaluation.model}, {evaluation.precision.removeprefix('torch.')}",
        "",
        "| test networks | tau | 95 % interval | R2 | L1 | largest change of a prediction |",
        "|---|---|---|---|---|---|",
    ]
    for row in evaluation.rows:
        tau = "undefined (constant output)" if row.tau != row.tau else f"{row.tau:.3f}"
        interval = f"{row.low:.3f} to {row.high:.3f}"
        lines.append(
            f"| {row.networks} | {tau} | {interval} | {row.r2:.3f} | {row.l1:.3f} | {row.largest_change:.1e} |"
        )
    return "\n".join(lines) + "\n"
