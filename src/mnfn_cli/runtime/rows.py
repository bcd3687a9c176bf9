"""The rows of a batch that this process computes, where several processes share a training step.

Dropout and other random draws are made for the whole batch by every process, which then takes the rows of its own. So
all processes keep the same random state, and a network meets the same draws whatever their number.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class Rows:
    """A block of consecutive rows of a batch.

    Args:
        total: the number of rows of the whole batch.
        start: the number of its rows before the block.
        parts: for a batch of several weight spaces, the block within the networks of each.
    """

    total: int
    start: int
    parts: tuple["Rows", ...] = ()


_current: ContextVar[Rows | None] = ContextVar("rows", default=None)


@contextmanager
def computing(rows: Rows | None) -> Iterator[None]:
    """Say inside the block that batches are blocks of rows of larger ones; None for whole batches."""
    token = _current.set(rows)
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def computing_part(number: int) -> Iterator[None]:
    """Say inside the block that batches hold networks of one of the weight spaces of the current batch."""
    rows = _current.get()
    with computing(rows if rows is None else rows.parts[number]):
        yield


@contextmanager
def computing_every(step: int, number: int, batch: int) -> Iterator[int]:
    """Say inside the block that batches hold those rows whose number in the whole batch is ``number`` modulo ``step``.

    Args:
        step, number: the rows ``number``, ``number + step``, ... of the whole batch.
        batch: the number of rows that this process has.

    Yields:
        the position of the first of them among the rows of this process; it may be beyond the last.
    """
    rows = _current.get() or Rows(batch, 0)
    inner = Rows(len(range(number, rows.total, step)), len(range(number, rows.start, step)))
    with computing(inner):
        yield (number - rows.start) % step


def whole_batch(batch: int) -> tuple[int, slice]:
    """Return the number of rows of the whole batch, and which of them this process has.

    Args:
        batch: the number of rows that it has.
    """
    rows = _current.get()
    return (batch, slice(None)) if rows is None else (rows.total, slice(rows.start, rows.start + batch))
