"""Bootstrap intervals of Kendall's tau, all resamples at once, against scipy's tau of one resample after another."""

import argparse
import time

import numpy as np
from scipy.stats import kendalltau

from mnfn_cli.tasks.metrics import BOOTSTRAP_SAMPLES, kendall_tau, with_interval
from rows import Row, record
from timing import interleaved

LIMITS = {400: 0.1, 100_000: 10.0}
"""Seconds of one core to reach, by the number of networks."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    random = np.random.default_rng(0)
    for networks, limit in LIMITS.items():
        true = random.random(networks)
        predicted = true + 0.1 * random.normal(size=networks)
        part = max(5, BOOTSTRAP_SAMPLES * 400 // networks)

        def loop(count: int = part, predicted: np.ndarray = predicted, true: np.ndarray = true) -> None:
            for _ in range(count):
                rows = random.integers(0, len(true), len(true))
                kendalltau(predicted[rows], true[rows])

        jobs = {
            "ours": lambda predicted=predicted, true=true: with_interval(kendall_tau, predicted, true),
            "loop": loop,
        }
        seconds = interleaved(jobs, arguments.rounds, clock=time.process_time)
        whole = seconds["loop"] * BOOTSTRAP_SAMPLES / part
        note = f"{BOOTSTRAP_SAMPLES} resamples: {seconds['ours']:.2f} s; scipy's tau, one by one, {whole:.1f} s"
        name = f"bootstrap interval of tau, {networks:,} networks"
        record(Row(name, f"{limit:g} s of one core", seconds["ours"] / limit, 1, "lower", note))


if __name__ == "__main__":
    main()
