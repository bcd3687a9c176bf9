"""Tell where max pooling stands in networks whose layers are numbered among all their modules."""

import re
from collections.abc import Sequence
from itertools import pairwise

from mnfn_cli.weightspace.layout import Layout
from mnfn_cli.weightspace.naming import UnsettledError

POOL, NO_POOL = "max2:before", "none"
"""Pooling over windows of 2x2 pixels, before the activation as in the published networks; and no pooling."""


def pools_of(layout: Layout, where: str) -> tuple[str, ...]:
    """Return the pooling after each convolution of a network of Schürholt et al., from the numbers of its layers.

    The modules between two layers are, in this order: max pooling or none, the activation, dropout in some networks,
    and a flattening before the first dense layer. So the number of modules between two convolutions tells whether one
    of them is a pooling, and that between two dense layers whether there is dropout.

    Args:
        layout: the layers, such as ``module_list.0`` and ``module_list.3``.
        where: the name of the file for errors.

    Returns:
        a text for each convolution, in the form of ``Pooling.parse``.

    Raises:
        UnsettledError: the numbers fit no such network, or more than one.
    """
    numbers = [int(found[0]) if (found := re.search(r"\d{1,9}$", layer.name)) else -1 for layer in layout.layers]
    between = [b - a - 1 for a, b in pairwise(numbers)]
    convolutions = sum(len(layer.shape) == 4 for layer in layout.layers)
    if not convolutions:
        return ()
    dense = set(between[convolutions:])
    if min(numbers) < 0 or len(numbers) == convolutions or not dense <= {1, 2} or len(dense) != 1:
        raise _unclear(numbers, where)
    dropout = dense.pop() - 1
    pools = [_pool(count - dropout, numbers, where) for count in between[: convolutions - 1]]
    last = between[convolutions - 1] - 1  # one of the modules flattens the map
    if last == 1:  # no dropout follows the last convolution of the smaller networks
        return (*pools, NO_POOL)
    if dropout and last == 2:
        raise _unclear(numbers, where)
    return (*pools, _pool(last - dropout, numbers, where))


def _pool(modules: int, numbers: Sequence[int], where: str) -> str:
    if modules not in (1, 2):
        raise _unclear(numbers, where)
    return POOL if modules == 2 else NO_POOL


def _unclear(numbers: Sequence[int], where: str) -> UnsettledError:
    listed = ", ".join(map(str, numbers))
    return UnsettledError(where, f"layers numbered {listed} do not tell where pooling stands; say --pool")
