"""Interleaved timing: the machine is noisy, so candidates take turns and medians are compared."""

import statistics
import time
from collections.abc import Callable, Mapping


def interleaved(
    candidates: Mapping[str, Callable[[], object]],
    rounds: int,
    warmup: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Return the median seconds of each candidate over ``rounds`` rounds, A B A B ..., after a warm-up.

    ``clock`` measures wall time. ``time.process_time`` measures the time that processors worked for this process.
    """
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(warmup + rounds):
        for name, run in candidates.items():
            started = clock()
            run()
            if turn >= warmup:
                seconds[name].append(clock() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}
