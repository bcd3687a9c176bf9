"""How good predictions are, with bootstrap intervals."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

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


def with_interval(
    metric: Callable[[Vector, Vector], float],
    predicted: Vector,
    true: Vector,
    groups: Sequence[str] | None = None,
    seed: int = 0,
) -> dict[str, float | list[float] | bool]:
    """Return a metric with its 95 % percentile bootstrap interval.

    Args:
        metric: of two vectors.
        predicted, true: the vectors, an entry a network.
        groups: what to draw with all its networks: pictures, say. By default every network for itself.
        seed: of the draws.

    Returns:
        ``value``, ``interval`` (low, high) and ``defined``: whether the value is a number.
    """
    random = np.random.default_rng(seed)
    numbers = np.arange(len(true)) if groups is None else np.unique(groups, return_inverse=True)[1]
    members = [np.nonzero(numbers == number)[0] for number in range(int(numbers.max()) + 1)]
    draws = []
    for _ in range(BOOTSTRAP_SAMPLES):
        rows = np.concatenate([members[draw] for draw in random.integers(0, len(members), len(members))])
        draws.append(metric(predicted[rows], true[rows]))
    usable = np.array([draw for draw in draws if draw == draw])
    interval = [float(q) for q in np.quantile(usable, [0.025, 0.975])] if len(usable) else [float("nan")] * 2
    value = metric(predicted, true)
    return {"value": value, "interval": interval, "defined": value == value}
