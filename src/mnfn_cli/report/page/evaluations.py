"""The section of an evaluation: its figure over group elements, its tables, and what the paper has."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mnfn_cli.report.page.charts import SERIES, robustness
from mnfn_cli.report.page.markup import Content, Markup
from mnfn_cli.report.page.section import Section, block, details, figure, figures
from mnfn_cli.report.page.tables import data_table
from mnfn_cli.report.stored_evaluation import StoredEvaluation
from mnfn_cli.tasks.seed_means import means_over_seeds
from mnfn_cli.tasks.task import task_class

_COLUMNS = {
    "run": "run",
    "model": "model",
    "reads": "reads",
    "networks": "test networks",
    "VALUE": "",
    "low": "low 95 %",
    "high": "high 95 %",
    "r2": "R²",
    "l1": "mean absolute error",
    "coverage": "coverage",
    "flagged": "flagged",
    "largest_change": "largest change",
    "reordered_pairs": "pairs reordered",
    "reordered_apart": "at most apart",
}


def evaluation_section(stored: StoredEvaluation, name: str) -> Section:
    """Return the section of an evaluation; the names of its charts begin with ``name``."""
    evaluation = stored.evaluation
    figure_name = evaluation.figure
    task = task_class(evaluation.task)
    labels = dict.fromkeys(evaluation.label_of(row) for row in evaluation.rows)
    worst = max((row.largest_change for row in evaluation.rows), default=0.0)
    facts = {
        "runs": str(len({row.run for row in evaluation.rows})),
        "test networks": f"{evaluation.count:,}",
        "versions of them": str(len({row.condition for row in evaluation.rows})),
        f"largest change of a {task.seen}": f"{worst:.1e}",
    }
    body: list[Content] = []
    if evaluation.rows:
        left = f" The first {SERIES} of {len(labels)} are drawn." if len(labels) > SERIES else ""
        said = f"{figure_name} before and after random elements of the symmetry group act on the test networks.{left}"
        body.append(figures(figure("Robustness", robustness(f"{name}-robustness", evaluation), said)))
    names = _names([row.run for row in evaluation.rows])
    rows = [row.to_json(figure_name) | {"run": names[row.run]} for row in evaluation.rows]
    body.append(block("Every run and version", _table(rows, figure_name, "Versions")))
    means = [mean.to_json(figure_name) for mean in means_over_seeds(evaluation) if mean.seeds > 1]
    if means:
        columns = {"model": "model", "zoos": "zoos", "networks": "test networks", "seeds": "seeds"}
        columns |= {figure_name: figure_name, f"{figure_name}_sd": "deviation", "largest_change": "largest change"}
        body.append(block("Means over seeds", data_table(means, columns, "Means", formats=_CHANGE)))
    within = [
        {"run": names[row.run], "networks": row.condition.label, "space": str(part.spec), "count": part.networks}
        | {figure_name: part.test[figure_name].value}
        for row in evaluation.rows
        for part in row.by_weight_space
        if figure_name in part.test
    ]
    if within:
        columns = {"run": "run", "networks": "test networks", "space": "weight space", "count": "networks"}
        body.append(
            block("Within each weight space", data_table(within, columns | {figure_name: figure_name}, "Spaces"))
        )
    if stored.published:
        columns = {"model": "model", "trained_on": "trained on", "networks": "test networks", "tau": "tau"}
        title = "Published, and measured on another data set"
        body.append(block(title, data_table(stored.published, columns, "Published")))
    about = {"what counts": task.meaning, "split": evaluation.split_protocol, "made by": stored.command}
    body.append(block("How it was made", details(about)))
    return Section("evaluation", stored.path, facts, body, task=evaluation.task)


def _names(runs: Sequence[str]) -> dict[str, str]:
    """Return the name of each run's folder by its path, or the path where two folders have one name."""
    names = {run: Path(run).name for run in runs}
    return names if len(set(names.values())) == len(names) else dict(zip(runs, runs, strict=True))


_CHANGE = {"largest_change": ".1e", "reordered_apart": ".1e"}


def _table(rows: list[dict[str, Any]], figure_name: str, caption: str) -> Markup:
    columns = {figure_name if key == "VALUE" else key: title or figure_name for key, title in _COLUMNS.items()}
    columns = {key: title for key, title in columns.items() if any(key in row for row in rows)}
    if len({row["run"] for row in rows}) == 1:
        columns.pop("run")
    return data_table(rows, columns, caption, formats=_CHANGE)
