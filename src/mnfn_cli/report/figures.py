"""Pictures of runs, drawn without a screen."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnfn_cli.storage.atomic import replacing
from mnfn_cli.tasks.evaluation import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOUR = "#1f6f8b"
ACCENT = "#c8553d"


def draw_run(folder: Path) -> None:
    """Draw a generalization run's pictures into its folder: predicted against true accuracy, and training."""
    result = json.loads((folder / "result.json").read_text("utf-8"))
    draw_predictions(folder / "predictions.csv", folder / "predicted-vs-true.png", result["test"]["tau"])
    draw_training(folder / "metrics.jsonl", folder / "training.png", result["validation"]["step"])


def draw_predictions(predictions: Path, picture: Path, tau: dict[str, Any] | None = None) -> None:
    """Draw predicted against true accuracy of each network in a predictions CSV.

    Args:
        predictions: columns ``predicted_accuracy`` and ``true_accuracy``.
        picture: the PNG to write.
        tau: value and interval, for the title.
    """
    import polars as pl

    table = pl.read_csv(predictions, schema_overrides={"network": pl.String})
    with _figure(picture, 4.6, 4.6) as axes:
        axes.plot([0, 1], [0, 1], color="0.7", linewidth=1, zorder=0)
        axes.scatter(table["true_accuracy"], table["predicted_accuracy"], s=14, alpha=0.6, color=COLOUR, linewidths=0)
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        axes.set(xlabel="true test accuracy", ylabel="predicted from the weights")
        title = f"{table.height} networks"
        if tau is not None and tau["value"] is not None:
            low, high = tau["interval"]
            title += f", tau {tau['value']:.3f} [{low:.3f}, {high:.3f}]"
        axes.set_title(title, fontsize=10)


def draw_training(metrics: Path, picture: Path, best_step: int) -> None:
    """Draw training and validation loss, and validation tau, over epochs."""
    lines = [json.loads(line) for line in metrics.read_text("utf-8").splitlines()]
    epochs = [line["epoch"] for line in lines]
    with _figure(picture, 6.0, 3.6) as axes:
        axes.plot(epochs, [line["train_loss"] for line in lines], color="0.6", label="training loss")
        axes.plot(epochs, [line["val_loss"] for line in lines], color=COLOUR, label="validation loss")
        axes.set(xlabel="epoch", ylabel="binary cross-entropy")
        right = axes.twinx()
        taus = [float("nan") if line["val_tau"] is None else line["val_tau"] for line in lines]
        right.plot(epochs, taus, color=ACCENT, label="validation tau")
        right.set_ylabel("Kendall's tau", color=ACCENT)
        right.spines["top"].set_visible(False)
        best = next(line["epoch"] for line in lines if line["step"] == best_step)
        right.axvline(best, color=ACCENT, linewidth=0.8, linestyle=":")
        right.figure.legend(loc="outside upper center", ncols=3, fontsize=8, frameon=False)


def draw_robustness(rows: Sequence[Row], picture: Path, label: str) -> None:
    """Draw tau with its interval against the range of the factors; the original networks stand first."""
    positions = range(len(rows))
    names = ["original" if row.networks == "original" else row.networks.replace(", permuted", "") for row in rows]
    with _figure(picture, 5.6, 3.6) as axes:
        axes.fill_between(positions, [r.low for r in rows], [r.high for r in rows], color=COLOUR, alpha=0.15)
        axes.plot(positions, [row.tau for row in rows], color=COLOUR, marker="o", label=label)
        axes.set_xticks(list(positions), names, fontsize=8)
        axes.set(xlabel="factors of hidden neurons, with a random permutation", ylabel="Kendall's tau, 95 % interval")
        axes.set_ylim(min(0.0, *(row.low for row in rows)), 1)
        axes.legend(loc="lower left", fontsize=8, frameon=False)


@contextmanager
def _figure(picture: Path, width: float, height: float) -> Iterator["Axes"]:
    """Yield axes, and write the picture, atomically, when the block ends well."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    yield axes
    with replacing(picture) as temporary:
        # No date and no version inside: the same data give the same bytes.
        figure.savefig(temporary, format="png", dpi=150, metadata={"Software": None})
