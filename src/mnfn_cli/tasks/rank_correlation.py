"""Kendall's tau of many resamples of the same networks at once."""

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Counts = NDArray[np.float64]


class ResampledTau:
    """Compute Kendall's tau-b of two vectors, in which each entry occurs as often as is asked.

    Tau-b is ``(C - D) / sqrt((P - X) (P - Y))`` with the numbers ``C`` of pairs in the same order in both vectors,
    ``D`` of pairs in opposite orders, ``P`` of all pairs, and ``X`` and ``Y`` of pairs that are tied in one of them.
    The order of the entries does not depend on how often they occur, so all sorting is done once. For n entries it
    takes ``O(n log n)`` operations, and then as many for each resample: two entries whose ranks in the first vector
    first differ in bit k are counted in step k, where the entries with equal higher bits stand together and are sorted
    by the second vector (a merge sort, read from above).

    Args:
        first, second: the vectors, ``(n,)``, without NaN.

    >>> tau = ResampledTau(np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0]))
    >>> tau(np.ones((1, 3))).round(3).tolist(), tau(np.array([[1.0, 2.0, 0.0]])).round(3).tolist()
    ([0.333], [1.0])
    """

    def __init__(self, first: Vector, second: Vector) -> None:
        ranks = [np.unique(vector, return_inverse=True)[1] for vector in (first, second)]
        self._order = np.argsort(ranks[0], kind="stable")
        self._ranks = [rank[self._order] for rank in ranks]
        self._steps = [self._step(bit) for bit in range(int(self._ranks[0].max()).bit_length())]

    def __call__(self, counts: Counts) -> Vector:
        """Return tau for each row of ``counts``, ``(resamples, n)``; NaN where all entries of a vector are equal."""
        counts = counts[:, self._order]
        tied = [_pairs(_sums(counts[:, order], starts)).sum(axis=1) for order, starts in map(_groups, self._ranks)]
        difference = np.zeros(len(counts))
        for order, upper, starts, blocks in self._steps:
            ordered = counts[:, order]
            above = _sums(ordered * upper, starts)
            below = _sums(ordered, starts) - above
            until = below.cumsum(axis=1)
            # Of those below in the same block, the ones that come before minus the ones that come after.
            difference += np.einsum("ri,ri->r", above, 2 * until - below)
            ends = np.append(blocks[1:], below.shape[1]) - 1
            outside = until[:, blocks] - below[:, blocks] + until[:, ends]
            difference -= np.einsum("ri,ri->r", _sums(above, blocks), outside)
        pairs = _pairs(counts.sum(axis=1))
        with np.errstate(invalid="ignore", divide="ignore"):
            tau = difference / np.sqrt(pairs - tied[0]) / np.sqrt(pairs - tied[1])
        constant = (pairs == tied[0]) | (pairs == tied[1])
        return np.where(constant, np.nan, tau.clip(-1, 1))

    def _step(self, bit: int) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.int64], NDArray[np.int64]]:
        """Return the order of the entries, which of them are the upper ones, and where ties and blocks start.

        Ties are entries of one block that are equal in the second vector; blocks are given as numbers of ties.
        """
        first, second = self._ranks
        block = first >> (bit + 1)
        order = np.lexsort((second, block))
        changed = [np.diff(values[order], prepend=-1) != 0 for values in (block, second)]
        starts = np.nonzero(changed[0] | changed[1])[0]
        blocks = np.nonzero(changed[0][starts])[0]
        return order, (first[order] >> bit & 1).astype(bool), starts, blocks


def _groups(ranks: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    order = np.argsort(ranks, kind="stable")
    return order, np.nonzero(np.diff(ranks[order], prepend=-1))[0]


def _sums(counts: Counts, starts: NDArray[np.int64]) -> Counts:
    """Return the sums of the columns from each start to the next."""
    return counts if len(starts) == counts.shape[1] else np.add.reduceat(counts, starts, axis=1)


def _pairs(counts: Counts) -> Counts:
    return counts * (counts - 1) / 2
