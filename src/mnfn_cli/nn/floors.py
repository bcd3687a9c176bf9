"""Divisors with a floor, so that rounding errors of a constant are never divided by themselves."""

import torch
from torch import Tensor

FLOOR = 1e-6
"""The smallest divisor, in units of the root mean square of the layer that is divided."""

SMALLEST = 1e-30


def root_mean_square(numbers: Tensor) -> Tensor:
    """Return the root mean square of each entry of the first axis, ``(batch,)``, or ``SMALLEST`` if it is less."""
    return numbers.flatten(1).square().mean(dim=1).clamp_min(SMALLEST**2).sqrt()


def divided_by_spread(centred: Tensor, layer: Tensor) -> tuple[Tensor, Tensor]:
    """Divide numbers by their root mean square, with a floor of ``FLOOR`` times that of their layer.

    Args:
        centred: the numbers of which the mean was taken away, ``(batch, ...)``.
        layer: the numbers before that, whose size sets the floor.

    Returns:
        the quotients, and the divisors ``(batch,)``.
    """
    spread = torch.maximum(root_mean_square(centred), FLOOR * root_mean_square(layer))
    return centred / spread.view(-1, *[1] * (centred.dim() - 1)), spread
