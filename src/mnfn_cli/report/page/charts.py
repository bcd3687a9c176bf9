"""The charts of the page: histograms, predicted against true numbers, curves, robustness, and points."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnfn_cli.report.figures import Palette, plot_robustness, plot_scatter
from mnfn_cli.report.page.markup import Markup
from mnfn_cli.report.page.svg import COLOUR, charting
from mnfn_cli.report.page.tables import short
from mnfn_cli.tasks.evaluation import Evaluation
from mnfn_cli.tasks.figure import Scatter

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BINS = 20
SERIES = 8
"""The largest number of lines in a chart: as many as there are colours."""
POINTS = 1000
"""The largest number of points that are drawn; of more, every second or every tenth is."""
LABEL = 26
"""The largest number of characters of the name of a line or a bar."""
LARGEST = 1e100
"""The size of the largest number that is drawn; axes beyond it would not be finite."""
AXIS = 40
"""The largest number of characters of the label of an axis."""

_PALETTE = Palette(data=COLOUR["c0"], behind=COLOUR["line"], mark=COLOUR["faint"])


def drawable(values: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Return numbers with NaN in place of those that are not finite, or larger than ``LARGEST``."""
    known = np.asarray(values, dtype=float)
    return np.where(np.abs(known) <= LARGEST, known, np.nan)


class Curve(NamedTuple):
    """A curve: its name, and the coordinates of its points, NaN where there is none."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


def histogram(
    name: str, groups: Mapping[str, NDArray[np.float64]], label: str, bounds: tuple[float, float] | None = None
) -> Markup:
    """Draw a histogram of finite numbers, in which the bars of groups stand on each other.

    Args:
        name: the name of the chart (``charting``).
        groups: the numbers of each group by its name.
        label: what the numbers are.
        bounds: the ends of the axis; None for those of the numbers.
    """
    from matplotlib.ticker import MaxNLocator

    everything = np.concatenate(list(groups.values()))
    edges = np.histogram_bin_edges(everything, BINS, bounds)
    counts = [np.histogram(values, edges)[0] for values in groups.values()]
    described = f"Histogram of {label}: {len(everything):,} networks, median {np.median(everything):.3g}."
    with charting(name, described) as chart:
        below = np.zeros(BINS)
        for number, (group, count) in enumerate(zip(groups, counts, strict=True)):
            width = np.diff(edges)
            colour = COLOUR[f"c{number}"]
            chart.axes.bar(
                edges[:-1], count, width * 0.92, below, align="edge", color=colour, label=short(group, LABEL)
            )
            below += count
        chart.axes.set(xlabel=short(label, AXIS), ylabel="networks", xlim=(edges[0], edges[-1]))
        chart.axes.xaxis.grid(False)
        chart.axes.yaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))
        if len(groups) > 1:
            _legend(chart.axes)
    return chart.svg


def bars(name: str, groups: Mapping[str, Mapping[str, int]], label: str) -> Markup:
    """Draw counts of texts, in which the bars of groups stand on each other.

    Args:
        name: the name of the chart (``charting``).
        groups: the counts of each group by text; the texts are those of the first group.
        label: what the texts are.
    """
    texts = list(next(iter(groups.values())))
    with charting(name, f"Number of networks by {label}, of {len(texts)}.", height=2.2) as chart:
        below = np.zeros(len(texts))
        for number, (group, counts) in enumerate(groups.items()):
            height = np.array([counts.get(one, 0) for one in texts])
            chart.axes.bar(range(len(texts)), height, 0.8, below, color=COLOUR[f"c{number}"], label=short(group, LABEL))
            below += height
        turned = 45 if sum(map(len, texts)) > 36 else 0
        chart.axes.set_xticks(range(len(texts)), [short(one, 12) for one in texts], rotation=turned)
        chart.axes.set(xlabel=short(label, AXIS), ylabel="networks")
        chart.axes.xaxis.grid(False)
        if len(groups) > 1:
            _legend(chart.axes)
    return chart.svg


def scatter(name: str, figure: Scatter, ends: tuple[Sequence[float], Sequence[float]] | None = None) -> Markup:
    """Draw predicted against true numbers, with the intervals around predictions if there are some.

    Args:
        name: the name of the chart (``charting``).
        figure: the numbers; of more than ``POINTS`` only some, evenly spaced, are drawn.
        ends: the lower and the upper end of each interval.
    """
    step = every(len(figure.true))
    labels = short(figure.labels[0], AXIS), short(figure.labels[1], AXIS)
    drawn = Scatter(figure.true[::step], figure.predicted[::step], labels, figure.title, figure.bounds)
    described = f"{figure.labels[1]} against {figure.labels[0]}: {figure.title}."
    with charting(name, described, height=3.4) as chart:
        if ends is not None:
            low, high = (drawable(end)[::step] for end in ends)
            chart.axes.vlines(drawn.true, low, high, color=COLOUR["c0"], alpha=0.25, linewidth=1)
        plot_scatter(drawn, chart.axes, _PALETTE)
    return chart.svg


def every(count: int) -> int:
    """Return the step by which so many points are drawn: 1 if all of them are.

    >>> every(1000), every(1001), every(100_000)
    (1, 2, 100)
    """
    return -(-count // POINTS) or 1


def curves(
    name: str, shown: Sequence[Curve], labels: tuple[str, str], best: float | None = None, log: bool = False
) -> Markup:
    """Draw curves.

    Args:
        name: the name of the chart (``charting``).
        shown: the curves, of which the first ``SERIES`` are drawn.
        labels: the labels of the axes.
        best: where a vertical line stands; None for none.
        log: whether the vertical axis is logarithmic.
    """
    from matplotlib.ticker import MaxNLocator

    named = ", ".join(short(curve.name, LABEL) for curve in shown[:SERIES])
    with charting(name, f"{labels[1]} over {labels[0]}: {named}.") as chart:
        for number, curve in enumerate(shown[:SERIES]):
            chart.axes.plot(
                drawable(curve.x), drawable(curve.y), color=COLOUR[f"c{number}"], label=short(curve.name, LABEL)
            )
        if best is not None:
            chart.axes.axvline(best, color=COLOUR["faint"], linewidth=1, linestyle=(0, (2, 2)))
        chart.axes.set(xlabel=short(labels[0], AXIS), ylabel=short(labels[1], AXIS))
        if all(float(x).is_integer() for curve in shown for x in curve.x):
            chart.axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
        if log:
            chart.axes.set_yscale("log")
        if len(shown) > 1:
            _legend(chart.axes)
    return chart.svg


def robustness(name: str, evaluation: Evaluation) -> Markup:
    """Draw the plot of an evaluation (``plot_robustness``) for the first ``SERIES`` labels of runs."""
    labels = list(dict.fromkeys(evaluation.label_of(row) for row in evaluation.rows))[:SERIES]
    described = f"{evaluation.figure} of {', '.join(short(label, LABEL) for label in labels)} for each version."
    with charting(name, described, height=3.2) as chart:
        axes = chart.axes
        plot_robustness(evaluation.of_labels(labels), axes, _PALETTE)
        ticks = [short(tick.get_text(), LABEL) for tick in axes.get_xticklabels()]
        axes.set_xticks(axes.get_xticks(), ticks, fontsize=8.5)
        if sum(map(len, ticks)) > 36:
            axes.set_xticklabels(ticks, rotation=35, ha="right", rotation_mode="anchor", fontsize=8)
        for legend in axes.figure.legends:
            for entry in legend.get_texts():
                entry.set_text(short(entry.get_text(), 44))
        if len(labels) == 1 and not any(row.value != row.value for row in evaluation.rows):
            axes.figure.legends.clear()
    return chart.svg


def dots(name: str, groups: Mapping[str, Sequence[float]], label: str) -> Markup:
    """Draw a line of dots for each group, such as the figure of every seed of a recipe, and their mean.

    Args:
        name: the name of the chart (``charting``).
        groups: the numbers of each group by its name; NaN is left out.
        label: what the numbers are.
    """
    names = list(groups)
    height = 0.9 + 0.3 * len(names)
    described = f"{label} of every run: " + "; ".join(
        f"{short(one, LABEL)} {', '.join(f'{value:.3f}' for value in groups[one])}" for one in names
    )
    with charting(name, described, height=height) as chart:
        for place, one in enumerate(names):
            values = drawable(groups[one])
            values = values[np.isfinite(values)]
            if not len(values):
                continue
            chart.axes.plot(values, np.full(len(values), place), "o", color=COLOUR["c0"], alpha=0.7, markersize=6)
            chart.axes.plot([values.mean()] * 2, [place - 0.25, place + 0.25], color=COLOUR["ink"], linewidth=2)
        chart.axes.set_yticks(range(len(names)), [short(one, LABEL) for one in names])
        chart.axes.set(xlabel=short(label, AXIS), ylim=(len(names) - 0.5, -0.5))
        chart.axes.yaxis.grid(False)
    return chart.svg


def points(name: str, coordinates: NDArray[np.float64]) -> Markup:
    """Draw points ``(points, 2)`` of the square [-1, 1], given as (y, x) with y downwards."""
    with charting(name, f"{len(coordinates)} learned points on the picture.", height=3.4) as chart:
        y, x = coordinates.T
        chart.axes.plot(x, y, "o", color=COLOUR["c0"], alpha=0.8, markersize=4)
        reach = max(1.05, float(np.abs(coordinates).max()) * 1.05)
        chart.axes.set(xlim=(-reach, reach), ylim=(reach, -reach), aspect="equal", xlabel="x", ylabel="y")
    return chart.svg


def _legend(axes: "Axes") -> None:
    entries = axes.get_legend_handles_labels()
    room = sum(len(label) + 6 for label in entries[1])
    axes.figure.legend(*entries, loc="outside upper left", ncols=len(entries[1]) if room < 52 else 1)
