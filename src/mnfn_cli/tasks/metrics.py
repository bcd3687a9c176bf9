"""Metrics of predictions, and their bootstrap intervals."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnfn_cli.storage.records import Record
from mnfn_cli.tasks.rank_correlation import Counts, ResampledTau, Vector

BOOTSTRAP_SAMPLES = 1000
FEWEST_SAMPLES = 100
NUMBERS_AT_ONCE = 1 << 22
"""The largest number of counts of resampled networks that are held at a time."""


@dataclass(frozen=True)
class Statistic:
    """A number about predicted and true values, of the networks as they are and of resamples of them.

    Args:
        prepare: a function of both vectors, ``(networks,)``. It returns a function of how often each network occurs in
            each of some resamples, ``(resamples, networks)``, which returns the number for each, ``(resamples,)``; NaN
            where it is undefined.
    """

    prepare: Callable[[Any, Any], Callable[[Counts], Vector]]

    def __call__(self, predicted: Any, true: Any) -> float:
        """Return the number; NaN where it is undefined."""
        return float(self.prepare(predicted, true)(np.ones((1, len(true))))[0])


def _mean(values: Vector) -> Callable[[Counts], Vector]:
    return lambda counts: counts @ values / counts.sum(axis=1)


def _r_squared(predicted: Vector, true: Vector) -> Callable[[Counts], Vector]:
    error, from_middle = _mean((predicted - true) ** 2), true - true.mean()
    mean, square = _mean(from_middle), _mean(from_middle**2)

    def resampled(counts: Counts) -> Vector:
        spread = square(counts) - mean(counts) ** 2
        # A spread of rounding errors is none.
        spread = np.where(spread > 1e-14 * square(counts), spread, np.nan)
        result: Vector = 1 - error(counts) / spread
        return result

    return resampled


kendall_tau = Statistic(ResampledTau)
"""Kendall's tau-b, a rank correlation in [-1, 1]; NaN where one of the vectors is constant."""
r_squared = Statistic(_r_squared)
"""The coefficient of determination; NaN where the true values are constant."""
l1_error = Statistic(lambda predicted, true: _mean(np.abs(predicted - true)))
"""The mean absolute error."""
accuracy = Statistic(lambda predicted, true: _mean((predicted == true).astype(float)))
"""The fraction of equal entries."""
mean_difference = Statistic(lambda errors, baseline: _mean(errors - baseline))
"""The mean of ``errors - baseline``; with a baseline of zeros the mean error."""

METRICS: Mapping[str, Statistic] = {"tau": kendall_tau, "r2": r_squared, "l1": l1_error}


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
    if len(first) < 2:
        return Reordered(0, 0.0)
    # In the order of the second prediction, a network is furthest from the largest first prediction before it.
    sorted_first = first[np.lexsort((-first, second))]
    apart = np.maximum.accumulate(sorted_first)[:-1] - sorted_first[1:]
    return Reordered(ResampledTau(first, second).reordered(), float(apart.max(initial=0.0)))


class Metric(Record):
    """A metric's value with its 95 % bootstrap interval.

    Args:
        value, interval, defined: the attributes.

    Attributes:
        value: the metric's value; None where it is undefined.
        interval: the ends of the interval, low and high; None where no bootstrap sample has a defined value.
        defined: whether the value is defined.

    >>> from mnfn_cli import Metric
    >>> str(Metric(value=0.5, interval=(0.25, 0.75), defined=True))
    '0.500 [0.250, 0.750]'
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
    statistic: Statistic,
    predicted: Any,
    true: Any,
    groups: Sequence[Hashable] | None = None,
    seed: int = 0,
) -> Metric:
    """Compute a statistic with its 95 % percentile bootstrap interval.

    There are 1000 resamples of up to 100,000 networks, and fewer of more, but at least 100.

    Args:
        statistic: the statistic.
        predicted: the predicted values, one for each network.
        true: the true values, one for each network.
        groups: a label for each network. Networks with the same label, such as INRs of the same picture, are resampled
            together. By default each network is resampled on its own.
        seed: the seed of the resampling.
    """
    random = np.random.default_rng(seed)
    numbers = np.arange(len(true)) if groups is None else _numbered(groups)
    size, resampled = int(numbers.max()) + 1, statistic.prepare(predicted, true)
    at_once = max(1, NUMBERS_AT_ONCE // len(true))
    found = []
    samples = min(BOOTSTRAP_SAMPLES, max(FEWEST_SAMPLES, 100_000 * BOOTSTRAP_SAMPLES // len(true)))
    for start in range(0, samples, at_once):
        draws = range(start, min(start + at_once, samples))
        counts = np.empty((len(draws), len(true)))
        for row in counts:
            row[:] = np.bincount(random.integers(0, size, size), minlength=size)[numbers]
        found.append(resampled(counts))
    drawn = np.concatenate(found)
    usable = drawn[~np.isnan(drawn)]
    low, high = (float(q) for q in np.quantile(usable, [0.025, 0.975])) if len(usable) else (None, None)
    value = statistic(predicted, true)
    defined = value == value
    return Metric(value=value if defined else None, interval=(low, high), defined=defined)


def _numbered(groups: Sequence[Any]) -> NDArray[np.int64]:
    """Return the index of each entry among the sorted distinct entries."""
    numbers = {group: number for number, group in enumerate(sorted(set(groups)))}
    return np.array([numbers[group] for group in groups])
