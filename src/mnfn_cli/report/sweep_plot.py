"""Draw the means of a sweep, with their spread over seeds."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mnfn_cli.errors import UsageError
from mnfn_cli.report.figures import COLOUR, new_axes, plot_of

if TYPE_CHECKING:
    from mnfn_cli.report.plot import Plot


def figures_of(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of the test figures in rows of ``summarise``."""
    return list(dict.fromkeys(name.removesuffix("_sd") for row in rows for name in row if name.endswith("_sd")))


def plot_sweep(rows: Sequence[Mapping[str, Any]], figure: str) -> "Plot":
    """Draw a point for the mean of each recipe and variant, and a bar of one standard deviation over seeds around it.

    Args:
        rows: the rows of ``tasks.sweep.summarise``.
        figure: the test figure to draw, such as ``tau``.

    Raises:
        UsageError: no recipe has such a figure.
    """
    shown = [row for row in rows if figure in row]
    if not shown:
        known = ", ".join(figures_of(rows)) or "none"
        raise UsageError("figure", f"the sweep has no {figure}; its figures are {known}")
    axes = new_axes(6.0, 1.2 + 0.35 * len(shown))
    for place, row in enumerate(shown):
        spread = row[f"{figure}_sd"]
        bar = spread if spread == spread else None
        axes.errorbar(row[figure], place, xerr=bar, marker="o", color=COLOUR, capsize=3, linestyle="")
    axes.set_yticks(range(len(shown)), [f"{row['recipe']} {row['variant']}".strip() for row in shown], fontsize=8)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xlabel(f"{figure}, mean and standard deviation over seeds")
    return plot_of(axes)
