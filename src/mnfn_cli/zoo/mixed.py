"""Read networks of one or several weight spaces from zoos, in one order."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.mixed import Networks, Piece, join_networks
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.store import Zoo


def weight_spaces(zoos: Sequence[Zoo]) -> tuple[NetworkSpec, ...]:
    """Return the weight spaces of zoos, each once, in an order that does not depend on that of the zoos.

    A weight space with an unknown input size is the same as one that differs from it in the input size alone.
    """

    def order(spec: NetworkSpec) -> tuple[str, tuple[int, ...], str]:
        return spec.activation, spec.widths, spec.to_text()

    found: list[NetworkSpec] = []
    every = {space.spec for zoo in zoos for space in zoo.spaces}
    for spec in sorted(every, key=lambda spec: (spec.input_size is None, order(spec))):
        if place_of_spec(spec, found) is None:
            found.append(spec)
    return tuple(sorted(found, key=order))


def place_of_spec(spec: NetworkSpec, specs: Sequence[NetworkSpec]) -> int | None:
    """Return the number of a weight space among ``specs``, where an unknown input size fits any; None if none fits."""
    if spec in specs:
        return specs.index(spec)
    return next((number for number, known in enumerate(specs) if known.fits(spec)), None)


def read_networks(zoos: Sequence[Zoo], rows: Sequence[Sequence[int]], specs: Sequence[NetworkSpec]) -> Networks:
    """Read networks of one or several weight spaces.

    Args:
        zoos: the zoos to read from.
        rows: the rows of each zoo's table to read. The networks of the first zoo come first, in this order.
        specs: the weight spaces of the networks.

    Returns:
        the raw weights, ``(networks, 1, ...)``, with parts in the order of ``specs`` if there are several. They are
        read when they are used, as in ``Zoo.read``.
    """
    pieces: list[Piece] = []
    start = 0
    for zoo, chosen in zip(zoos, rows, strict=True):
        wanted = np.asarray(chosen, dtype=np.int64)
        for part in zoo.parts:
            if not len(part):
                continue
            own = np.searchsorted(part.numbers, wanted).clip(max=len(part) - 1)
            positions = np.flatnonzero(part.numbers[own] == wanted)
            if len(positions) and (number := place_of_spec(part.spec, specs)) is not None:
                pieces.append((number, start + positions, _read(part, own[positions])))
        start += len(wanted)
    return join_networks(pieces, specs)


def _read(part: Zoo, rows: NDArray[np.int64]) -> WeightSpaceFeatures:
    """Return networks of a part; neighbours as a slice, which is no copy inside a shard."""
    if (np.diff(rows) == 1).all():
        return part.read(slice(int(rows[0]), int(rows[-1]) + 1))
    return part.read(rows)
