"""Bootstrap intervals of Kendall's tau, all resamples at once, against scipy's tau of one resample after another."""

import argparse
import time

import numpy as np
from scipy.stats import kendalltau

from mnfn_cli.tasks.metrics import BOOTSTRAP_SAMPLES, kendall_tau, with_interval
from rows import Row, record
from timing import interleaved

TARGETS = {400: 12, 100_000: 12}
"""How many times as fast as the loop, by the number of networks: a second became a tenth, and minutes are seconds."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    random = np.random.default_rng(0)
    for networks, target in TARGETS.items():
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
        note = f"{BOOTSTRAP_SAMPLES} resamples: {seconds['ours']:.2f} s; the loop, from {part} of them, {whole:.1f} s"
        name = f"bootstrap interval of tau, {networks:,} networks"
        record(Row(name, "scipy's tau, one by one", whole / seconds["ours"], target, "higher", note))


if __name__ == "__main__":
    main()
