"""How good predictions are, with bootstrap intervals."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnfn_cli.storage.records import Record

Vector = NDArray[np.float64]

BOOTSTRAP_SAMPLES = 1000


def kendall_tau(predicted: Vector, true: Vector) -> float:
    """Return Kendall's tau-b; NaN where it is undefined because one side is constant."""
    from scipy.stats import kendalltau

    if np.ptp(predicted) == 0 or np.ptp(true) == 0:
        return float("nan")
    return float(kendalltau(predicted, true).statistic)


def r_squared(predicted: Vector, true: Vector) -> float:
    """Return the coefficient of determination; NaN where the truth is constant."""
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


class Metric(Record):
    """A figure with its 95 % bootstrap interval; None where it is undefined."""

    value: float | None
    interval: tuple[float | None, float | None]
    defined: bool

    def __str__(self) -> str:
        if self.value is None:
            return "undefined"
        low, high = self.interval
        return f"{self.value:.3f}" if low is None or high is None else f"{self.value:.3f} [{low:.3f}, {high:.3f}]"


def listed(figures: Mapping[str, Metric]) -> str:
    """Return figures in words, each with its interval.

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
    """Return a metric with its 95 % percentile bootstrap interval.

    Args:
        metric: a function of two vectors, predictions first.
        predicted, true: the vectors, one entry for each network.
        groups: what is drawn with all its networks, such as the picture that each network holds. By default every
            network is drawn for itself.
        seed: the seed of the bootstrap's draws.
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
    """Return the number of each entry's group; groups are numbered in sorted order."""
    numbers = {group: number for number, group in enumerate(sorted(set(groups)))}
    return np.array([numbers[group] for group in groups])
