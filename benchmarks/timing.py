"""Interleaved timing: the machine is noisy, so candidates take turns and medians are compared."""

import multiprocessing
import statistics
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection


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


class Apart:
    """A function that runs in a process of its own, each time that it is called. It ends with the ``with`` block.

    Args:
        prepare: a function of a module, which returns the function.
        arguments: its arguments.
    """

    def __init__(self, prepare: Callable[..., Callable[[], object]], *arguments: object) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_answer, args=(theirs, prepare, arguments), daemon=True)

    def __enter__(self) -> "Apart":
        self._process.start()
        self._pipe.recv()
        return self

    def __call__(self) -> None:
        """Run the function and wait for its end."""
        self._pipe.send(True)
        self._pipe.recv()

    def __exit__(self, *_: object) -> None:
        self._pipe.send(False)
        self._process.join()


def _answer(pipe: Connection, prepare: Callable[..., Callable[[], object]], arguments: tuple[object, ...]) -> None:
    run = prepare(*arguments)
    pipe.send(True)
    while pipe.recv():
        run()
        pipe.send(True)
