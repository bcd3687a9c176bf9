"""Find the networks of a zoo that are one another up to the group; across splits they are leaks."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.spatial import cKDTree

from mnfn_cli.errors import DataError, NumericError
from mnfn_cli.runtime.context import Context
from mnfn_cli.runtime.threads import in_threads
from mnfn_cli.weightspace.alignment import align, block_size, twin_tolerance
from mnfn_cli.weightspace.fingerprint import fingerprint, twin_distance
from mnfn_cli.zoo.store import Zoo, open_zoo


@dataclass(frozen=True)
class Twins:
    """Two networks of a zoo that are the same up to the group.

    Args:
        ids: their ids, in the order of the zoo.
        splits: their splits.
        distance: what is left between them in canonical form (``Alignment.residual``).
        declared: whether the column ``source_id`` says that one is a copy of the other, or both of a third.

    >>> from mnfn_cli.zoo import Twins
    >>> Twins(ids=("a", "b"), splits=("train", "test"), distance=1e-7, declared=False).leak
    True
    """

    ids: tuple[str, str]
    splits: tuple[str, str]
    distance: float
    declared: bool

    @property
    def leak(self) -> bool:
        """Whether they lie in different splits, so that what is learned from one is tested on the other."""
        return self.splits[0] != self.splits[1]

    @property
    def expected(self) -> bool:
        """Whether they are copies that say so and share a split."""
        return self.declared and not self.leak

    def to_json(self) -> dict[str, Any]:
        """Return the pair as a JSON object."""
        return {
            "ids": list(self.ids),
            "splits": list(self.splits),
            "distance": self.distance,
            "leak": self.leak,
            "declared": self.declared,
        }


def find_twins(zoo: Zoo | str | Path, context: Context | None = None) -> list[Twins]:
    """Return all pairs of networks that are twins: leaks first, then in the order of the zoo.

    Networks whose fingerprints lie as near to one another as those of twins must are aligned, block by block. Only the
    fingerprints of all networks are in memory at once. Networks of different weight spaces are no twins.

    Args:
        zoo: the zoo, open or by path; its weights must be finite.
        context: where progress is reported and interrupts are noticed.

    Returns:
        the pairs.

    Raises:
        NumericError: a canonical form exceeds the range of float64; all such networks are named.
        InterruptedRun: the user interrupted the search.

    >>> from mnfn_cli.zoo import find_twins
    >>> from mnfn_cli.testing import example_zoo
    >>> find_twins(example_zoo())
    []
    """
    found = [pair for part in open_zoo(zoo).parts for pair in _twins_of(part, context or Context())]
    return sorted(found, key=lambda pair: not pair.leak)


def _twins_of(part: Zoo, context: Context) -> Iterator[Twins]:
    """Yield the twins of a zoo with one weight space."""
    if len(part) < 2:
        return
    ids, splits, origins = part.ids, part.table["split"].to_list(), _origins(part)
    tolerance = twin_tolerance(part.read(slice(0, 1)))

    def compare(pairs: list[tuple[int, int]]) -> list[float]:
        a, b = ([pair[side] for pair in pairs] for side in (0, 1))
        return align(part.spec, part.read(a), part.read(b)).residual.tolist()

    for pairs, residuals in in_threads(lambda pairs: (pairs, compare(pairs)), _candidates(part, tolerance, context)):
        for (i, j), residual in zip(pairs, residuals, strict=True):
            if residual <= tolerance:
                yield Twins((ids[i], ids[j]), (splits[i], splits[j]), residual, origins[i] == origins[j])
        context.progress.advance(len(pairs))


def _origins(part: Zoo) -> list[str]:
    """Return the id of the network from which each one derives by copies of copies; its own id if it is no copy."""
    sources = part.table["source_id"].to_list() if "source_id" in part.table.columns else part.ids
    source_of = dict(zip(part.ids, sources, strict=True))
    origins = []
    for name in part.ids:
        passed = set()
        while name not in passed and (source := source_of.get(name)) is not None:
            passed.add(name)
            name = source
        origins.append(name)
    return origins


def _candidates(part: Zoo, tolerance: float, context: Context) -> Iterator[list[tuple[int, int]]]:
    """Yield blocks of pairs of rows whose fingerprints lie as near to one another as those of twins."""
    prints = _fingerprints(part, context)
    tree, reach = cKDTree(prints), twin_distance(part.spec, tolerance)
    counts = tree.query_ball_point(prints, reach, return_length=True)
    context.progress.start("comparing", int(counts.sum() - len(prints)) // 2)
    pairs = (
        (int(row), other)
        for row in np.flatnonzero(counts > 1)
        for other in tree.query_ball_point(prints[row], reach, return_sorted=True)
        if other > row
    )
    while block := list(islice(pairs, block_size(part.spec))):
        context.interruption.check(part.path, "nothing was changed")
        yield block


def _fingerprints(part: Zoo, context: Context) -> np.ndarray:
    """Return the fingerprint of every network, ``(networks, numbers)``."""
    context.progress.start("reading", len(part))
    block, found = block_size(part.spec), []
    rows = [slice(start, start + block) for start in range(0, len(part), block)]
    for prints in in_threads(lambda chosen: fingerprint(part.spec, part.read(chosen)), rows):
        context.interruption.check(part.path, "nothing was changed")
        found.append(prints)
        context.progress.advance(len(prints))
    prints = torch.cat(found)
    ids = part.ids
    beyond = torch.nonzero(~torch.isfinite(prints).all(dim=1)).flatten().tolist()
    if beyond:
        if faults := part.faults(beyond):
            raise DataError.together(faults.values())
        raise NumericError.together(
            NumericError(f"{part.path}:{ids[row]}", "the weights are too large to be compared in float64")
            for row in beyond
        )
    return prints.numpy()
