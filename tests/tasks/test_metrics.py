"""Statistics of resamples are those of the resampled vectors, and intervals are those of a plain loop."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from mnfn_cli.tasks.metrics import METRICS, accuracy, kendall_tau, l1_error, mean_difference, r_squared, with_interval

PLAIN = {
    kendall_tau: lambda p, t: np.nan if np.ptp(p) == 0 or np.ptp(t) == 0 else kendalltau(p, t).statistic,
    r_squared: lambda p, t: np.nan if np.ptp(t) == 0 else 1 - ((p - t) ** 2).sum() / ((t - t.mean()) ** 2).sum(),
    l1_error: lambda p, t: np.abs(p - t).mean(),
    accuracy: lambda p, t: (p == t).mean(),
    mean_difference: lambda p, t: (p - t).mean(),
}


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.sampled_from([1, 2, 5, 10**6]))
@pytest.mark.parametrize("statistic", PLAIN, ids=["tau", "r2", "l1", "accuracy", "difference"])
def test_resamples(statistic, seed, count, values):
    random = np.random.default_rng(seed)
    predicted, true = random.integers(0, values, (2, count)) / 7
    counts = np.stack([np.bincount(random.integers(0, count, count), minlength=count) for _ in range(8)])
    found = statistic.prepare(predicted, true)(counts.astype(float))
    for each, number in zip(counts, found, strict=True):
        rows = np.repeat(np.arange(count), each)
        plain = PLAIN[statistic](predicted[rows], true[rows])
        if statistic is kendall_tau:
            assert number == plain or (np.isnan(number) and np.isnan(plain))
        else:
            assert number == pytest.approx(plain, rel=1e-9, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("name", METRICS)
def test_an_interval_is_that_of_a_plain_loop(name, grouped):
    random = np.random.default_rng(3)
    true = random.random(30)
    predicted = true + 0.3 * random.random(30)
    groups = [f"picture {number}" for number in random.integers(0, 9, 30)] if grouped else list(range(30))
    members = [[row for row in range(30) if groups[row] == group] for group in sorted(set(groups))]
    draws, again = [], np.random.default_rng(0)
    for _ in range(1000):
        rows = np.concatenate([members[draw] for draw in again.integers(0, len(members), len(members))])
        draws.append(PLAIN[METRICS[name]](predicted[rows], true[rows]))
    found = with_interval(METRICS[name], predicted, true, groups if grouped else None)
    assert found.interval == pytest.approx(np.quantile(draws, [0.025, 0.975]), rel=1e-9)
    assert found.value == pytest.approx(PLAIN[METRICS[name]](predicted, true), rel=1e-12)


def test_values_as_good_as_equal_have_no_coefficient_of_determination():
    found = with_interval(r_squared, np.linspace(0, 1, 50), np.full(50, 0.3))
    assert (found.value, found.interval, found.defined) == (None, (None, None), False)
