"""What the results pages share: tables in Markdown, the commands that made figures, and means over seeds."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

LABELS = {
    "monomial": "monomial",
    "monomial-complete": "monomial, complete",
    "statnn": "STATNN",
    "np": "NP",
    "hnp": "HNP",
    "gnn": "GNN",
    "mlp": "MLP",
}


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a Markdown table."""
    lines = ["| " + " | ".join(heading) + " |", "|" + "---|" * len(heading)]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows)]


def commands(*documents: Any) -> list[str]:
    """Return the commands that made the documents, each once, as a block of code."""
    found = [f"{row['command']} ".replace(" -q ", " ").rstrip() for rows in documents for row in rows]
    return ["", *(f"    {command}" for command in dict.fromkeys(found)), ""]


def taus(rows: Sequence[Mapping[str, Any]]) -> list[float]:
    """Return the test tau of each result of a sweep; NaN where it is undefined."""
    return [number(row["test"]["tau"]["value"]) for row in rows]


def number(value: float | None) -> float:
    """Return a figure, NaN where it is undefined."""
    return float("nan") if value is None else value


def show(values: Sequence[float]) -> str:
    """Return the mean, with the standard deviation over seeds where there are several, as text."""
    if not np.isfinite(values).all():
        return "undefined"
    spread = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{spread}"
