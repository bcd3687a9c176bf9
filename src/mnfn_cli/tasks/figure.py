"""The contents of figures: a task returns them, and ``report.figures`` draws them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Scatter:
    """A scatter plot of predicted against true numbers, with a point for each network.

    Args:
        true: the true numbers, one for each network.
        predicted: the predicted numbers, one for each network.
        labels: the labels of the axes: first of the true numbers, then of the predicted ones.
        title: the title above the plot.
        bounds: the lowest and the highest number on both axes; None for those of the points.
    """

    true: Sequence[float]
    predicted: Sequence[float]
    labels: tuple[str, str]
    title: str
    bounds: tuple[float, float] | None = (0.0, 1.0)


@dataclass(frozen=True)
class Confusion:
    """A confusion matrix, whose rows are true classes and whose columns are predicted classes.

    Args:
        counts: the number of networks of each true class (row) that were given each class (column).
        names: the names of the classes.
        title: the title above the matrix.
    """

    counts: Sequence[Sequence[int]]
    names: Sequence[str]
    title: str


@dataclass(frozen=True)
class Grid:
    """Rows of pictures, one below the other.

    Args:
        rows: by the row's name, pictures ``(pictures, channels, height, width)`` on [-1, 1].
    """

    rows: Mapping[str, Tensor]


Figure = Scatter | Confusion | Grid
