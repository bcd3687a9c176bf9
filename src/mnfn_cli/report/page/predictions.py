"""Tables of predictions: those of runs, and those that ``mnfn predict`` and ``mnfn classify`` wrote."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mnfn_cli.errors import DataError
from mnfn_cli.report.page.charts import POINTS, drawable, every, histogram, scatter
from mnfn_cli.report.page.markup import Content, Markup, element
from mnfn_cli.report.page.section import Section, block, figure, figures
from mnfn_cli.report.page.tables import ROWS, Whole, data_table, short
from mnfn_cli.tasks.figure import Scatter
from mnfn_cli.tasks.metrics import METRICS
from mnfn_cli.weightspace.naming import natural_key
from mnfn_cli.zoo.table import read_table

if TYPE_CHECKING:
    import polars as pl

MOST_CLASSES = 100
"""The largest number of classes whose confusion matrix is shown."""
_GUESS, _TRUTH, _ERROR = "predicted_", "true_", "mse"


@dataclass(frozen=True)
class Predictions:
    """A table with a row for each network and the answers about it.

    Args:
        path: the file.
        table: its contents.
        what: what was predicted, such as ``accuracy`` or ``class``; ``mse`` for a table of errors of edits.
    """

    path: Path
    table: "pl.DataFrame"
    what: str

    @property
    def of_classes(self) -> bool:
        """Whether classes were predicted, and not numbers."""
        return self.what == "class"

    @property
    def guesses(self) -> str:
        """The name of the column of predictions, or of errors."""
        return self.what if self.what.startswith(_ERROR) else _GUESS + self.what

    @property
    def truths(self) -> str | None:
        """The name of the column of true values; None if there is none."""
        return name if (name := _TRUTH + self.what) in self.table.columns else None

    def numbers(self, column: str) -> NDArray[np.float64]:
        """Return a column of numbers, NaN where a cell is empty.

        Raises:
            DataError: a cell holds something else.
        """
        import polars as pl

        values = self.table[column].cast(pl.Float64, strict=False)
        if values.null_count() > self.table[column].null_count():
            raise DataError(f"{self.path}:{column}", "holds text where numbers are needed")
        return values.fill_null(float("nan")).to_numpy()

    def texts(self, column: str) -> list[str | None]:
        """Return a column as texts."""
        return [None if value is None else str(value) for value in self.table[column].to_list()]

    def known(self) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """Return the rows whose prediction and true number are finite, the predictions in them, and the numbers."""
        if self.truths is None or self.of_classes:
            return np.empty(0, dtype=np.int64), np.empty(0), np.empty(0)
        predicted, true = self.numbers(self.guesses), self.numbers(self.truths)
        rows = np.flatnonzero(np.isfinite(drawable(predicted)) & np.isfinite(drawable(true)))
        return rows, predicted[rows], true[rows]


def read_predictions(path: Path) -> Predictions:
    """Read a table of predictions.

    Raises:
        DataError: the file cannot be read, or is no table of predictions.
    """
    table = read_table(path, ("network", "predicted_class", "true_class", "weight_space", "picture"))
    names = [name.removeprefix(_GUESS) for name in table.columns if name.startswith(_GUESS)]
    names += [name for name in table.columns if name in (_ERROR, f"{_ERROR}_after")]
    if "network" not in table.columns or not names:
        problem = f"is no table of predictions: its columns are {', '.join(table.columns[:8])}"
        raise DataError(path, problem)
    return Predictions(path, table, names[0])


def predictions_section(found: Predictions, name: str) -> Section:
    """Return the section of a table of predictions; the names of its charts begin with ``name``."""
    table = found.table
    facts = {"networks": f"{table.height:,}", "predicted": found.what.replace("_", " ")}
    if found.of_classes and found.truths:
        pairs = zip(found.texts(found.guesses), found.texts(found.truths), strict=True)
        known = [guess == truth for guess, truth in pairs if truth is not None]
        facts |= {"accuracy": f"{np.mean(known):.3f}"} if known else {}
    rows, predicted, true = found.known()
    if len(rows) > 1:
        facts |= {"known": f"{len(rows):,}"} | {_WORDS[key]: f"{m(predicted, true):.3f}" for key, m in METRICS.items()}
        if (held := _held(found, rows, true)) is not None:
            facts["held by their intervals"] = f"{held:.1%}"
    if "unlike" in table.columns:
        facts["unlike the training zoo"] = f"{(table['unlike'].cast(str) == 'true').sum():,}"
    body = [figures(*charts(found, name)), block("Networks", predictions_table(found))]
    return Section("predictions", found.path, facts, body)


_WORDS = {"tau": "Kendall's tau", "r2": "R²", "l1": "mean absolute error"}


def _held(found: Predictions, rows: NDArray[np.int64], true: NDArray[np.float64]) -> float | None:
    ends = _ends(found)
    if ends is None:
        return None
    low, high = ends
    return float(((low[rows] <= true) & (true <= high[rows])).mean())


def _ends(found: Predictions) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    if not {"low", "high"} <= {*found.table.columns}:
        return None
    return found.numbers("low"), found.numbers("high")


def charts(found: Predictions, name: str, bounds: tuple[float, float] | None = None) -> list[Content]:
    """Return the figures of a table of predictions: a confusion matrix, a scatter plot, or a histogram.

    Args:
        found: the table.
        name: what the names of the charts begin with.
        bounds: between which numbers predicted numbers lie; by default 0 and 1 for accuracies, and unknown for others.
    """
    if not found.table.height:
        return []
    if found.of_classes:
        return _confusion(found)
    words = found.what.replace("_", " ")
    bounds = bounds or ((0.0, 1.0) if found.what == "accuracy" else None)
    rows, predicted, true = found.known()
    if not len(rows):
        values = found.numbers(found.guesses)
        values = values[np.isfinite(drawable(values))]
        if not len(values):
            return []
        label = f"predicted {words}" if found.guesses != found.what else "mean squared error"
        svg = histogram(f"{name}-predicted", {"networks": values}, label, bounds)
        return [figure("Answers", svg, f"All {len(values):,} networks.")]
    tau = METRICS["tau"](predicted, true) if len(rows) > 1 else float("nan")
    plot = Scatter(
        true.tolist(), predicted.tolist(), (f"true {words}", f"predicted {words}"), f"{len(rows):,} networks", bounds
    )
    ends = _ends(found)
    svg = scatter(f"{name}-scatter", plot, None if ends is None else (ends[0][rows].tolist(), ends[1][rows].tolist()))
    said = [f"{len(rows):,} networks" + (f", Kendall's tau {tau:.3f}." if tau == tau else ".")]
    if ends is not None:
        said.append("A line is the interval that promises to hold the true number with a probability of 90 %.")
    if every(len(rows)) > 1:
        said.append(f"At most {POINTS:,} are drawn, here one in {every(len(rows))}.")
    return [figure("Predicted and true", svg, " ".join(said))]


def _confusion(found: Predictions) -> list[Content]:
    if found.truths is None:
        return []
    pairs = list(zip(found.texts(found.truths), found.texts(found.guesses), strict=True))
    names = sorted({name for pair in pairs for name in pair if name is not None}, key=natural_key)
    if not 1 < len(names) <= MOST_CLASSES:
        return []
    places = {name: place for place, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)), dtype=int)
    for truth, guess in pairs:
        if truth is not None and guess is not None:
            counts[places[truth], places[guess]] += 1
    right = np.trace(counts) / max(counts.sum(), 1)
    return [confusion_figure(counts.tolist(), names, f"{counts.sum():,} networks, {right:.1%} right.")]


def confusion_figure(counts: Sequence[Sequence[int]], names: Sequence[str], said: str) -> Content:
    """Return a confusion matrix as a table, whose cells are as dark as their share of their row is large."""
    rows: list[Content] = []
    for truth, row in zip(names, counts, strict=True):
        whole = max(sum(row), 1)
        cells = [element("td", count or "", class_=f"h{round(8 * count / whole)}") for count in row]
        rows.append(element("tr", element("th", short(truth, 16), scope="row"), cells))
    head = element("tr", element("td"), [element("th", short(one, 16), scope="col") for one in names])
    table = element("table", element("caption", "Confusion matrix"), element("thead", head), element("tbody", rows))
    box = element("div", table, class_="wide confusion", tabindex=0, role="region", aria_label="Confusion matrix")
    return figure("True and predicted classes", box, f"{said} Rows are true classes, columns predicted ones.")


def predictions_table(found: Predictions) -> Markup:
    """Return the table of networks, to sort."""
    rows: list[dict[str, Any]] = found.table.head(ROWS).to_dicts()
    columns = {name: name.replace("_", " ") for name in found.table.columns}
    whole = Whole(found.path, found.table.height, len(columns))
    formats = {name: ".3f" for name in columns if name.startswith("probability_")}
    return data_table(rows, columns, "Answers about networks", formats=formats, whole=whole)
