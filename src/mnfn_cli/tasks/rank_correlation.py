"""Kendall's tau of many resamples of the same networks at once."""

from collections.abc import Iterator
from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Counts = NDArray[np.float64]
Numbers = NDArray[np.int32]

SMALLEST_BUCKET = 256
ROWS_AT_ONCE = 128
"""The rows of the table of buckets that are summed up at once, which then stay in a cache."""


class ResampledTau:
    """Compute Kendall's tau-b of two vectors, in which each entry occurs as often as is asked.

    Tau-b is ``(C - D) / sqrt((P - X) (P - Y))`` with the numbers ``C`` of pairs in the same order in both vectors,
    ``D`` of pairs in opposite orders, ``P`` of all pairs, and ``X`` and ``Y`` of pairs that are tied in one of them.
    The order of the entries does not depend on how often they occur, so all sorting is done once.

    The entries are put into some ``2 sqrt(n)`` buckets by each vector, and ``C - D`` is counted in three parts: of
    pairs in one bucket of the first vector, and of the others in one bucket of the second, by products with matrices of
    signs; and of pairs whose buckets both differ, by cumulative sums of the table that counts entries by both buckets.
    Each resample takes ``O(n sqrt(n))`` operations, nearly all of them in matrix products.

    Args:
        first, second: the vectors, ``(n,)``, without NaN.

    >>> tau = ResampledTau(np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0]))
    >>> tau(np.ones((1, 3))).round(3).tolist(), tau(np.array([[1.0, 2.0, 0.0]])).round(3).tolist()
    ([0.333], [1.0])
    """

    def __init__(self, first: Vector, second: Vector) -> None:
        self._ranks = [_ranked(vector) for vector in (first, second)]
        self._buckets = [_buckets(ranks) for ranks in self._ranks]
        self._members = [list(_members(*pair)) for pair in zip(self._buckets, self._ranks, strict=True)]

    def __call__(self, counts: Counts) -> Vector:
        """Return tau for each row of ``counts``, ``(resamples, n)``; NaN where all entries of a vector are equal."""
        pairs = _pairs(counts.sum(axis=1))
        tied = [_tied(ranks, counts) for ranks in self._ranks]
        with np.errstate(invalid="ignore", divide="ignore"):
            tau = self._difference(counts) / np.sqrt(pairs - tied[0]) / np.sqrt(pairs - tied[1])
        constant = (pairs == tied[0]) | (pairs == tied[1])
        return np.where(constant, np.nan, tau.clip(-1, 1))

    def reordered(self) -> int:
        """Return the number of pairs of entries that the two vectors put into different orders; a tie is an order."""
        once = np.ones((1, len(self._ranks[0])))
        both = self._ranks[0].astype(np.int64) * len(self._ranks[0]) + self._ranks[1]
        first, second, joint = (_tied(ranks, once)[0] for ranks in (*self._ranks, _ranked(both)))
        opposite = (_pairs(once.sum()) - first - second + joint - self._difference(once)[0]) / 2
        return int(opposite + first + second - 2 * joint)

    def _difference(self, counts: Counts) -> Vector:
        """Return ``C - D`` for each row of ``counts``."""
        difference = self._apart(counts)
        # Sums of counts in one bucket are whole numbers that float32 holds exactly.
        columns = counts.T.astype(np.float32, order="C")
        for vector in range(2):
            for entries in self._members[vector]:
                first, second = (ranks[entries].astype(np.float32) for ranks in self._ranks)
                signs = np.sign(first[:, None] - first) * np.sign(second[:, None] - second)
                if vector == 1:
                    bucket = self._buckets[0][entries]
                    signs[bucket[:, None] == bucket] = 0
                chosen = columns[entries]
                difference += np.einsum("ir,ir->r", signs @ chosen, chosen, dtype=np.float64) / 2
        return difference

    def _apart(self, counts: Counts) -> Vector:
        """Return ``C - D`` of the pairs whose buckets differ in both vectors."""
        rows, columns = (int(bucket.max()) + 1 for bucket in self._buckets)
        cell = self._buckets[0].astype(np.int64) * columns + self._buckets[1]
        difference = np.empty(len(counts))
        for number, weights in enumerate(counts):
            table = np.bincount(cell, weights, rows * columns).reshape(rows, columns)
            difference[number], higher = 0, np.zeros(columns)
            for some in np.split(table, range(ROWS_AT_ONCE, rows, ROWS_AT_ONCE)):
                with_own = some.cumsum(axis=0) + higher
                above, higher = with_own - some, with_own[-1]
                until = above.cumsum(axis=1)
                # Of the entries in the buckets above, those to the left minus those to the right.
                difference[number] += (some * (2 * until - above - until[:, -1:])).sum()
        return difference


def _ranked(values: NDArray[Any]) -> Numbers:
    """Return the index of each entry among the sorted distinct entries."""
    return np.unique(values, return_inverse=True)[1].astype(np.int32)


def _buckets(ranks: Numbers) -> Numbers:
    """Return for each entry the number of its bucket: neighbours in the order, and equal entries always together."""
    size = max(SMALLEST_BUCKET, isqrt(len(ranks)) // 2)
    sizes = np.bincount(ranks)
    starts = sizes.cumsum() - sizes
    # Entries that are equal, and more than a bucket should hold, have a bucket of their own.
    bucket = 2 * (starts // size) + (sizes > size)
    return _ranked(bucket)[ranks]


def _members(buckets: Numbers, ranks: Numbers) -> Iterator[Numbers]:
    """Yield the entries of each bucket whose ranks are not all equal."""
    order = np.argsort(ranks, kind="stable").astype(np.int32)
    for entries in np.split(order, np.nonzero(np.diff(buckets[order]))[0] + 1):
        if ranks[entries[0]] != ranks[entries[-1]]:
            yield entries


def _tied(ranks: Numbers, counts: Counts) -> Vector:
    """Return the number of pairs of entries that are equal in ``ranks``, for each row of ``counts``."""
    return np.array([_pairs(np.bincount(ranks, weights).astype(float)).sum() for weights in counts])


def _pairs(counts: Counts) -> Counts:
    return counts * (counts - 1) / 2
