"""Intervals around predicted numbers that hold the true number with a promised probability: split conformal prediction.

Let n calibration networks, which neither trained nor chose the functional, and a new network be exchangeable. The score
of a network is its error over the spread of errors at its prediction, s = |y - p| / spread(p). Let q be the k-th
smallest score of the calibration networks, k = ceil((n + 1) level). The rank of the new score among all n + 1 is
uniform (ties only help), so it is at most k, and the score at most q, with probability k / (n + 1) >= level: the true
number then lies in [p - q spread(p), p + q spread(p)]. Nothing is assumed of the functional, of the spread or of the
distribution of errors (Vovk et al. 2005; Lei et al. 2018).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mnfn_cli.storage.records import Record

Vector = NDArray[np.float64]
Bounds = tuple[float, float]

LEVEL = 0.9
"""The probability with which an interval holds the true number."""
NEAREST = 0.3
"""The share of the selecting networks, those with the nearest predictions, whose mean error is the spread."""
LEAST = 10
"""With fewer selecting networks than this the spread is taken to be the same for all predictions."""
FLOOR = 0.1
"""The smallest spread, as a share of the mean error."""


def rank(count: int, level: float = LEVEL) -> int:
    """Return the rank of the score that bounds intervals, ``ceil((count + 1) level)``; it may exceed ``count``.

    >>> rank(99), rank(9), rank(8)
    (90, 9, 9)
    """
    return ceil(round((count + 1) * level, 9))


def fewest(level: float = LEVEL) -> int:
    """Return the smallest number of calibration networks for which there is an interval.

    >>> fewest()
    9
    """
    return next(count for count in range(1, 10**6) if rank(count, level) <= count)


class IntervalFigures(Record):
    """What intervals promise, and what they did on the test networks.

    Attributes:
        level: the promised probability that an interval holds the true number.
        calibration: the number of networks that calibrated the intervals.
        test: the number of families of test networks (a network with its copies is one).
        coverage: the fraction of test networks whose true number lies in their interval.
        median_width: the median width of the test networks' intervals, in units of the target.
        two_standard_errors: ``2 sqrt(level (1 - level) (1 / calibration + 1 / test))``: how far the coverage may lie
            from the level by chance.
    """

    level: float
    calibration: int
    test: int
    coverage: float
    median_width: float
    two_standard_errors: float

    def __str__(self) -> str:
        return (
            f"{self.level:.0%} intervals hold {self.coverage:.3f} of the test networks (within ±"
            f"{self.two_standard_errors:.3f} by chance), median width {self.median_width:.3f}"
        )


@dataclass(frozen=True)
class Intervals:
    """Calibrated intervals around predictions.

    Args:
        knots: predictions in ascending order, at which the spread is known.
        spreads: the spread of errors at the knots, positive, in units of the target; interpolated between them.
        factor: the score that bounds the intervals: their half width in spreads.
        calibration: the number of networks that calibrated them.
        bounds: the smallest and the largest number that the target can be; None where it is unbounded.
    """

    knots: Vector
    spreads: Vector
    factor: float
    calibration: int
    bounds: Bounds | None = None

    @classmethod
    def fit(
        cls, selection: tuple[Vector, Vector], calibration: tuple[Vector, Vector], bounds: Bounds | None
    ) -> "Intervals":
        """Learn the spread from the networks that chose the model, and calibrate the factor on the others.

        Args:
            selection, calibration: predicted and true numbers of the networks of each part.
            bounds: the bounds of the target, to which intervals are clipped.

        Raises:
            ValueError: there are fewer calibration networks than ``fewest()``.
        """
        count = len(calibration[0])
        if rank(count) > count:
            raise ValueError(f"{count} calibration networks; at least {fewest()} are needed")
        knots, spreads = _spread(*selection)
        scores = np.abs(calibration[1] - calibration[0]) / np.interp(calibration[0], knots, spreads)
        return cls(knots, spreads, float(np.sort(scores)[rank(count) - 1]), count, bounds)

    def around(self, predicted: Vector) -> tuple[Vector, Vector]:
        """Return the lower and the upper ends of the intervals around predictions ``(networks,)``."""
        half = self.factor * np.interp(predicted, self.knots, self.spreads)
        low, high = predicted - half, predicted + half
        return (low, high) if self.bounds is None else (np.clip(low, *self.bounds), np.clip(high, *self.bounds))

    def coverage(self, predicted: Vector, true: Vector) -> float:
        """Return the fraction of networks whose true number lies in the interval around the predicted one."""
        low, high = self.around(predicted)
        return float(((low <= true) & (true <= high)).mean())

    def figures(self, predicted: Vector, true: Vector, families: int) -> IntervalFigures:
        """Return what the intervals did on test networks of this number of families."""
        low, high = self.around(predicted)
        return IntervalFigures(
            level=LEVEL,
            calibration=self.calibration,
            test=families,
            coverage=self.coverage(predicted, true),
            median_width=float(np.median(high - low)),
            two_standard_errors=2 * sqrt(LEVEL * (1 - LEVEL) * (1 / self.calibration + 1 / families)),
        )

    def to_tensors(self) -> dict[str, Tensor]:
        """Return the intervals as tensors by name, which ``from_tensors`` reads."""
        bounds = () if self.bounds is None else self.bounds
        return {
            "knots": torch.from_numpy(self.knots),
            "spreads": torch.from_numpy(self.spreads),
            "factor": torch.tensor(self.factor, dtype=torch.float64),
            "calibration": torch.tensor(float(self.calibration), dtype=torch.float64),
            "bounds": torch.tensor(bounds, dtype=torch.float64),
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> "Intervals":
        """Return the intervals of ``to_tensors``; raises KeyError or ValueError if something is missing or wrong."""
        knots, spreads = tensors["knots"].numpy(), tensors["spreads"].numpy()
        if knots.ndim != 1 or knots.shape != spreads.shape or not len(knots) or not (np.diff(knots) >= 0).all():
            raise ValueError("knots and spreads do not fit")
        bounds = tensors["bounds"].tolist()
        return cls(
            knots,
            spreads,
            float(tensors["factor"]),
            int(tensors["calibration"]),
            (bounds[0], bounds[1]) if bounds else None,
        )


def _spread(predicted: Vector, true: Vector) -> tuple[Vector, Vector]:
    """Return predictions in ascending order, and at each the mean error of the networks with the nearest ones."""
    order = np.argsort(predicted, kind="stable")
    knots, errors = predicted[order], np.abs(true - predicted)[order]
    mean = float(errors.mean()) or 1.0
    if len(knots) < LEAST:
        return knots[:1], np.array([mean])
    near = max(LEAST, round(NEAREST * len(knots)))
    starts = np.clip(np.arange(len(knots)) - near // 2, 0, len(knots) - near)
    sums = np.concatenate([[0.0], errors.cumsum()])
    return knots, np.maximum((sums[starts + near] - sums[starts]) / near, FLOOR * mean)
