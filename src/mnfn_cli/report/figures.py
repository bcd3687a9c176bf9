"""Draw the figures of runs, evaluations and parameter counts as PNG files, without a display."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from mnfn_cli.recipe import load_recipe
from mnfn_cli.regular_files import read_regular
from mnfn_cli.report.counting import CHANNELS, Size
from mnfn_cli.report.pictures import draw_grid, grid_image
from mnfn_cli.tasks.evaluation import Evaluation
from mnfn_cli.tasks.figure import Confusion, Figure, Grid, Scatter
from mnfn_cli.tasks.result import read_result
from mnfn_cli.tasks.seed_means import Mean, means_over_seeds
from mnfn_cli.tasks.task import task_class, task_of_run
from mnfn_cli.training.run_folder import RunFolder

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mnfn_cli.report.plot import Plot

COLOUR = "#1f6f8b"
ACCENT = "#c8553d"


@dataclass(frozen=True)
class Palette:
    """The colours of a plot: of data, of what stands back, such as a diagonal, and of marks that need a legend."""

    data: str = COLOUR
    behind: str = "0.7"
    mark: str = "0.4"


def draw_run(folder: Path) -> None:
    """Draw the figures of a run into its folder: those of its task, and the course of its training.

    Raises:
        DataError: a file of the run is missing or cannot be read.
        StorageError: a figure cannot be written.
    """
    result = read_result(folder)
    run = RunFolder(folder)
    record = run.record
    task = task_of_run(record.task, load_recipe(str(run.recipe)), record.specs, record.facts, record.inr, folder)
    for name, figure in task.figures(folder, result).items():
        draw_figure(figure, folder / name)
    draw_training(run.metrics, folder / "training.png", int(result.validation["step"] or 0))


def draw_figure(figure: Figure, picture: Path) -> None:
    """Draw a figure of a task into the PNG file ``picture``."""
    if isinstance(figure, Grid):
        draw_grid(figure.rows, picture)
    else:
        plot(figure).save(picture)


def plot(figure: Figure) -> "Plot":
    """Draw a figure of a task."""
    match figure:
        case Scatter():
            return _plot_scatter(figure)
        case Confusion():
            return _plot_confusion(figure)
        case Grid():
            return _plot_grid(figure)


def _plot_grid(figure: Grid) -> "Plot":
    image = grid_image(figure.rows)
    axes = new_axes(image.width / 100, image.height / 100)
    axes.imshow(np.asarray(image))
    axes.set_axis_off()
    return plot_of(axes)


def _plot_scatter(figure: Scatter) -> "Plot":
    axes = new_axes(4.6, 4.6)
    plot_scatter(figure, axes)
    axes.set_title(figure.title, fontsize=10)
    return plot_of(axes)


def plot_scatter(figure: Scatter, axes: "Axes", palette: Palette = Palette()) -> None:
    """Draw predicted against true numbers on axes, without a title, with the diagonal behind them."""
    numbers = [*figure.true, *figure.predicted]
    low, high = figure.bounds or (min(numbers), max(numbers))
    margin = 0.0 if figure.bounds else 0.05 * (high - low) or 1.0
    limits = (low - margin, high + margin)
    axes.plot(limits, limits, color=palette.behind, linewidth=1, zorder=0)
    axes.scatter(figure.true, figure.predicted, s=14, alpha=0.6, color=palette.data, linewidths=0)
    axes.set(xlim=limits, ylim=limits, aspect="equal")
    axes.set(xlabel=figure.labels[0], ylabel=figure.labels[1])


def _plot_confusion(figure: Confusion) -> "Plot":
    matrix, names = np.array(figure.counts), figure.names
    axes = new_axes(4.6, 4.6)
    axes.imshow(matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1), cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(matrix):
        if count:
            shade = "white" if count > matrix[row].sum() / 2 else "black"
            axes.text(column, row, str(count), ha="center", va="center", fontsize=7, color=shade)
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="predicted from the weights", ylabel="true class")
    axes.set_title(figure.title, fontsize=10)
    return plot_of(axes)


def draw_training(metrics: Path, picture: Path, best_step: int) -> None:
    """Draw the plot of ``plot_training`` into the PNG file ``picture``."""
    plot_training(metrics, best_step).save(picture)


def plot_training(metrics: Path, best_step: int) -> "Plot":
    """Draw the training and validation loss over epochs, and the figure that chooses the model if it is another one.

    Args:
        metrics: the file metrics.jsonl of a run.
        best_step: the step of the best validation, which a vertical line marks.
    """
    lines = [json.loads(line) for line in read_regular(metrics).splitlines()]
    epochs = [line["epoch"] for line in lines]
    loss, figure = validation_figures(lines[0])
    axes = new_axes(6.0, 3.6)
    axes.plot(epochs, [_number(line["train_loss"]) for line in lines], color="0.6", label="training loss")
    axes.plot(epochs, [line[loss] for line in lines], color=COLOUR, label="validation loss")
    axes.set(xlabel="epoch", ylabel="mean squared error" if figure is None else "cross-entropy")
    if figure is None:
        axes.set_yscale("log")
    marked = axes
    if figure is not None:
        marked = axes.twinx()
        name = figure.removeprefix("val_")
        values = [_number(line[figure]) for line in lines]
        marked.plot(epochs, values, color=ACCENT, label=f"validation {name}")
        marked.set_ylabel("Kendall's tau" if name == "tau" else name, color=ACCENT)
        marked.spines["top"].set_visible(False)
    best = next(line["epoch"] for line in lines if line["step"] == best_step)
    marked.axvline(best, color=ACCENT, linewidth=0.8, linestyle=":")
    marked.figure.legend(loc="outside upper center", ncols=3, fontsize=8, frameon=False)
    return plot_of(axes)


def validation_figures(line: Mapping[str, Any]) -> tuple[str, str | None]:
    """Return the keys, in a line of metrics.jsonl, of the validation loss and of the figure that chooses the model.

    The second is None where the loss chooses it.
    """
    loss = "val_loss" if "val_loss" in line else "val_mse"
    return loss, next((name for name in ("val_tau", "val_accuracy") if name in line), None)


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def draw_robustness(evaluation: Evaluation, picture: Path) -> None:
    """Draw the figure of an evaluation over its conditions, or over the zoos of its runs, into a PNG file."""
    robustness(evaluation).save(picture)


def robustness(evaluation: Evaluation) -> "Plot":
    """Draw the figure of an evaluation, as :func:`plot_robustness` does."""
    axes = new_axes(6.2, 3.8)
    plot_robustness(evaluation, axes)
    return plot_of(axes)


def plot_robustness(evaluation: Evaluation, axes: "Axes", palette: Palette = Palette()) -> None:
    """Draw the plot of :func:`draw_robustness` on axes.

    If all runs were trained on the same zoos, it is drawn over the conditions, else over the zoos, on their networks as
    they are. There is a line for each label of runs: with its interval for one run, with the standard deviation for
    several seeds. A cross at the bottom of the axes marks where tau is undefined because all predictions are equal.
    """
    means = means_over_seeds(evaluation)
    over_zoos = len({mean.zoos for mean in means}) > 1
    means = [mean for mean in means if not (over_zoos and mean.condition.acted)]
    places = list(dict.fromkeys(_place(mean, over_zoos) for mean in means))
    labels = list(dict.fromkeys(mean.label for mean in means))
    crossed = 0
    for number, label in enumerate(labels):
        line = [mean for mean in means if mean.label == label]
        positions = [places.index(_place(mean, over_zoos)) for mean in line]
        colour = f"C{number}" if len(labels) > 1 else palette.data
        axes.fill_between(positions, [m.low for m in line], [m.high for m in line], color=colour, alpha=0.15)
        axes.plot(positions, [mean.value for mean in line], color=colour, marker="o", label=label)
        if undefined := [place for place, mean in zip(positions, line, strict=True) if mean.value != mean.value]:
            heights = [0.03 + 0.04 * crossed] * len(undefined)
            axes.plot(undefined, heights, color=colour, marker="x", linestyle="", transform=axes.get_xaxis_transform())
            crossed += 1
    if crossed:
        axes.plot(
            [], [], color=palette.mark, marker="x", linestyle="", label="tau undefined: all predictions are equal"
        )
    axes.set_xticks(range(len(places)), [place.replace(" and ", "\nand ") for place in places], fontsize=8)
    shuffled = " and a random permutation" if evaluation.permuted else ""
    changed = {"scale": "factors", "sign": "signs", "permutation": "order"}
    what = " and ".join(changed[group] for group in evaluation.group.split(" and ")) + " of hidden neurons"
    figure = "Kendall's tau" if evaluation.figure == "tau" else evaluation.figure
    spread = "standard deviation over seeds" if any(mean.seeds > 1 for mean in means) else "95 % interval"
    axes.set(xlabel="zoo" if over_zoos else what + shuffled, ylabel=f"{figure}, {spread}")
    axes.set_ylim(min(0.0, *(mean.low for mean in means if mean.low == mean.low), 0.0))
    if not task_class(evaluation.task).smaller_is_better:
        axes.set_ylim(top=1)
    columns = len(labels) if not crossed and len("".join(labels)) < 60 else 1
    axes.figure.legend(loc="outside upper center", ncols=columns, fontsize=8, frameon=False)


def _place(mean: Mean, over_zoos: bool) -> str:
    return mean.zoos if over_zoos else replace(mean.condition, permuted=False).label


def plot_growth(sizes: Mapping[str, Sequence[Size]]) -> "Plot":
    """Draw the number of parameters of one layer of each kind, over the networks' depth and over their width.

    The axes of the depth are linear, those of the width logarithmic. The dense layer between flattened weights is drawn
    over the width only.

    Args:
        sizes: the result of ``report.counting.growth``.
    """
    left = new_axes(8.4, 3.6)
    grid = left.figure.add_gridspec(1, 2)
    left.set_subplotspec(grid[0])
    right = left.figure.add_subplot(grid[1])
    right.spines[["top", "right"]].set_visible(False)
    deep, wide = sizes["depth"], sizes["width"]
    for number, kind in enumerate(deep[0].parameters):
        if kind != "no symmetry":
            left.plot([s.depth for s in deep], [s.parameters[kind] for s in deep], f"C{number}o-", label=kind)
        right.plot([s.width for s in wide], [s.parameters[kind] for s in wide], f"C{number}o-", label=kind)
    left.set(xlabel=f"depth of networks of width {deep[0].width}", ylabel="parameters of one layer", ylim=(0, None))
    left.yaxis.set_major_formatter("{x:,.0f}")
    right.set(xlabel=f"hidden width of networks of depth {wide[0].depth}", xscale="log", yscale="log")
    right.set_xticks([size.width for size in wide], [str(size.width) for size in wide])
    right.minorticks_off()
    left.set_title(f"{CHANNELS} to {CHANNELS} channels", fontsize=10)
    handles, labels = right.get_legend_handles_labels()
    left.figure.legend(handles, labels, loc="outside right upper", fontsize=8, frameon=False)
    return plot_of(left)


def new_axes(width: float, height: float) -> "Axes":
    """Return axes of a new ``Plot`` of this size in inches."""
    from mnfn_cli.report.plot import Plot

    axes = Plot(width, height).add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def plot_of(axes: "Axes") -> "Plot":
    """Return the plot of axes that ``new_axes`` returned."""
    return cast("Plot", axes.figure)
