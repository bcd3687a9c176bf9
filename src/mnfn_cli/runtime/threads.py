"""Compute parts of a job in threads."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield ``function(item)`` for every item, in order, with as many items at a time as torch has threads.

    Each item is computed in one thread. Many small operations take less time so than divided among the threads, which
    would wait for one another after each of them, for long where other programs use the same cores.

    Args:
        function: a function that only reads what several threads share.
        items: its arguments, which are taken from the iterable as they are needed.
    """
    threads = torch.get_num_threads()
    if threads == 1:
        yield from map(function, items)
        return
    waiting = iter(items)
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            while taken := list(islice(waiting, threads)):
                yield from pool.map(function, taken)
        finally:
            # Setting it in a thread also changed it for all others, in the library of matrix products that they share.
            torch.set_num_threads(threads)
