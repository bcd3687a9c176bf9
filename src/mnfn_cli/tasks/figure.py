"""Pictures as data: a task says what is to be seen, and ``report.figures`` draws it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Scatter:
    """Predicted against true numbers in [0, 1], a point for each network.

    Args:
        true, predicted: the numbers.
        labels: names of the two axes, the true one first.
        title: above the picture.
    """

    true: Sequence[float]
    predicted: Sequence[float]
    labels: tuple[str, str]
    title: str


@dataclass(frozen=True)
class Confusion:
    """A confusion matrix: rows are true classes, columns are predicted ones.

    Args:
        counts: for each true class, the number of networks that were given each class.
        names: the classes.
        title: above the picture.
    """

    counts: Sequence[Sequence[int]]
    names: Sequence[str]
    title: str


@dataclass(frozen=True)
class Grid:
    """Named rows of pictures, one below the other; ``(pictures, channels, height, width)`` on [-1, 1]."""

    rows: Mapping[str, Tensor]


Figure = Scatter | Confusion | Grid
