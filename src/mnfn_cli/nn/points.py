"""Learned points at which INRs are run: near a regular grid at the start."""

import torch
from torch import Tensor, nn

JITTER = 0.05
"""The deviation of the points from a regular grid at the start, in coordinates of [-1, 1]."""


class ProbePoints(nn.Module):
    """Points with learned coordinates.

    Args:
        points: the number of points.
        axes: the number of coordinates of a point.

    Shapes:
        There is no input; the output is coordinates on about [-1, 1], ``(points, axes)``.

    Source:
        mnfn's own.

    >>> from mnfn_cli.nn import ProbePoints
    >>> ProbePoints(9, axes=2)().shape
    torch.Size([9, 2])
    """

    def __init__(self, points: int, axes: int) -> None:
        super().__init__()
        grid = grid_points(points, axes)
        self.coordinates = nn.Parameter(grid + JITTER * torch.randn(grid.shape))

    def forward(self) -> Tensor:
        """Return the points, ``(points, axes)``."""
        return self.coordinates


def grid_points(points: int, axes: int) -> Tensor:
    """Return points of a regular grid on ``[-1, 1]^axes``, ``(points, axes)``, the last coordinate fastest.

    The grid has as few points on each axis as will do. Of a grid with more points than are asked for, some that are
    evenly spaced in its order are left out.

    >>> grid_points(4, 2).tolist()
    [[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]]
    """
    side = 1
    while side**axes < points:
        side += 1
    ticks = [2 * place / (side - 1) - 1 if side > 1 else 0.0 for place in range(side)]
    chosen = [number * (side**axes - 1) // max(points - 1, 1) for number in range(points)]
    return torch.tensor([[ticks[place // side**axis % side] for axis in reversed(range(axes))] for place in chosen])
