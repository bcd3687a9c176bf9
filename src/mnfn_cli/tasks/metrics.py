"""Metrics of predictions, and their bootstrap intervals."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnfn_cli.storage.records import Record

Vector = NDArray[np.float64]

BOOTSTRAP_SAMPLES = 1000


def kendall_tau(predicted: Vector, true: Vector) -> float:
    """Return Kendall's tau-b, a rank correlation in [-1, 1]; NaN where one of the vectors is constant."""
    from scipy.stats import kendalltau

    if np.ptp(predicted) == 0 or np.ptp(true) == 0:
        return float("nan")
    return float(kendalltau(predicted, true).statistic)


def r_squared(predicted: Vector, true: Vector) -> float:
    """Return the coefficient of determination; NaN where the true values are constant."""
    spread = float(((true - true.mean()) ** 2).sum())
    return 1 - float(((predicted - true) ** 2).sum()) / spread if spread > 0 else float("nan")


def l1_error(predicted: Vector, true: Vector) -> float:
    """Return the mean absolute error."""
    return float(np.abs(predicted - true).mean())


METRICS: Mapping[str, Callable[[Vector, Vector], float]] = {"tau": kendall_tau, "r2": r_squared, "l1": l1_error}


def accuracy(predicted: Vector, true: Vector) -> float:
    """Return the fraction of equal entries."""
    return float((predicted == true).mean())


def mean_difference(errors: Vector, baseline: Vector) -> float:
    """Return the mean of ``errors - baseline``; with a baseline of zeros the mean error."""
    return float((errors - baseline).mean())


class Reordered(NamedTuple):
    """Pairs of networks that two predictions put into different orders.

    Args:
        pairs: their number.
        apart: the largest distance between the first predictions of such a pair; 0 if there is none.
    """

    pairs: int
    apart: float


def reordered(first: Vector, second: Vector) -> Reordered:
    """Compare the orders of networks by two predictions; equal predictions are an order of their own.

    >>> reordered(np.array([0.1, 0.2, 0.5]), np.array([0.2, 0.1, 0.5]))
    Reordered(pairs=1, apart=0.1)
    """
    pairs, apart = 0, 0.0
    for row in range(1, len(first)):
        before = first[:row] - first[row]
        changed = np.sign(before) != np.sign(second[:row] - second[row])
        pairs += int(changed.sum())
        apart = max(apart, float(np.abs(before[changed]).max(initial=0.0)))
    return Reordered(pairs, apart)


class Metric(Record):
    """A metric's value with its 95 % bootstrap interval.

    Attributes:
        value: the metric's value; None where it is undefined.
        interval: the ends of the interval, low and high; None where no bootstrap sample has a defined value.
        defined: whether the value is defined.
    """

    value: float | None
    interval: tuple[float | None, float | None]
    defined: bool

    def __str__(self) -> str:
        if self.value is None:
            return "undefined"
        low, high = self.interval
        return f"{self.value:.3f}" if low is None or high is None else f"{self.value:.3f} [{low:.3f}, {high:.3f}]"


def listed(figures: Mapping[str, Metric]) -> str:
    """Return metrics in words, each with its interval.

    >>> listed({"r2": Metric(value=0.5, interval=(0.25, 0.75), defined=True)})
    'R2 0.500 [0.250, 0.750]'
    """
    words = {"r2": "R2", "l1": "mean absolute error"}
    return ", ".join(f"{words.get(name, name)} {metric}" for name, metric in figures.items())


def with_interval(
    metric: Callable[[Any, Any], float],
    predicted: Vector,
    true: Vector,
    groups: Sequence[Hashable] | None = None,
    seed: int = 0,
) -> Metric:
    """Compute a metric with its 95 % percentile bootstrap interval.

    Args:
        metric: a function of predicted and true values that returns a number, NaN where it is undefined.
        predicted: the predicted values, one for each network.
        true: the true values, one for each network.
        groups: a label for each network. Networks with the same label, such as INRs of the same picture, are resampled
            together. By default each network is resampled on its own.
        seed: the seed of the resampling.
    """
    random = np.random.default_rng(seed)
    numbers = np.arange(len(true)) if groups is None else _numbered(groups)
    members = [np.nonzero(numbers == number)[0] for number in range(int(numbers.max()) + 1)]
    draws = []
    for _ in range(BOOTSTRAP_SAMPLES):
        rows = np.concatenate([members[draw] for draw in random.integers(0, len(members), len(members))])
        draws.append(metric(predicted[rows], true[rows]))
    usable = np.array([draw for draw in draws if draw == draw])
    low, high = (float(q) for q in np.quantile(usable, [0.025, 0.975])) if len(usable) else (None, None)
    value = metric(predicted, true)
    defined = value == value
    return Metric(value=value if defined else None, interval=(low, high), defined=defined)


def _numbered(groups: Sequence[Any]) -> NDArray[np.int64]:
    """Return the index of each entry among the sorted distinct entries."""
    numbers = {group: number for number, group in enumerate(sorted(set(groups)))}
    return np.array([numbers[group] for group in groups])
