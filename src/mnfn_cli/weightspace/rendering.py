"""Implicit neural representations (INRs): networks that map the coordinates of a pixel to its colour."""

import torch
from torch import Tensor

from mnfn_cli.errors import UsageError
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.forward_pass import run_networks
from mnfn_cli.weightspace.spec import NetworkSpec


def pixel_grid(
    size: tuple[int, int], *, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
) -> Tensor:
    """Return the coordinates of all pixels, row by row.

    Each coordinate is spaced linearly over [-1, 1], both ends included, as in the published SIREN data. If a side has
    only one pixel, its coordinate is -1.

    Args:
        size: (height, width) in pixels.
        dtype: the dtype of the result.
        device: the device of the result.

    Returns:
        A tensor ``(height * width, 2)`` whose columns are y (from top to bottom) and x (from left to right).

    >>> pixel_grid((2, 3)).tolist()
    [[-1.0, -1.0], [-1.0, 0.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 0.0], [1.0, 1.0]]
    """
    y, x = (torch.linspace(-1, 1, side, dtype=dtype, device=device) for side in size)
    return torch.cartesian_prod(y, x)


def render(spec: NetworkSpec, features: WeightSpaceFeatures, size: tuple[int, int]) -> Tensor:
    """Return the picture that every network represents; the result is differentiable by the weights.

    Args:
        spec: the weight space, of dense networks with two inputs.
        features: the raw weights of ``batch`` networks.
        size: (height, width) in pixels.

    Returns:
        Pictures ``(batch, channels, height, width)``, with the device and the dtype of the features.

    Raises:
        UsageError: the networks have convolutions or do not have two inputs.

    >>> from mnfn_cli.weightspace import NetworkSpec, WeightSpaceFeatures, render
    >>> spec = NetworkSpec.mlp([2, 8, 8, 1], activation="sin", omega=15.0)
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2)
    >>> render(spec, networks, (16, 16)).shape
    torch.Size([2, 1, 16, 16])
    """
    if spec.kernels or spec.widths[0] != 2:
        raise UsageError("network spec", f"{spec} draws no picture; an INR maps 2 coordinates to colours")
    grid = pixel_grid(size, dtype=features.dtype, device=features.device)
    return run_networks(spec, features, grid).transpose(1, 2).unflatten(2, size)
