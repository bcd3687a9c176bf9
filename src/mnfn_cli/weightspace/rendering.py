"""Networks as pictures: an implicit neural representation maps a pixel's place to its colour."""

import torch
from torch import Tensor

from mnfn_cli.errors import UsageError
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.forward_pass import run_networks
from mnfn_cli.weightspace.spec import NetworkSpec


def is_inr(spec: NetworkSpec) -> bool:
    """Return whether networks of a spec draw pictures: SIRENs from two coordinates to one grey or three colours."""
    return spec.activation == "sin" and not spec.kernels and spec.widths[0] == 2 and spec.widths[-1] in (1, 3)


def pixel_grid(
    size: tuple[int, int], *, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
) -> Tensor:
    """Return the places of all pixels, row by row.

    They are spread linearly over [-1, 1], both ends included, as in the published SIREN data; a side of one pixel
    stands at -1.

    Args:
        size: (height, width) in pixels.
        dtype, device: of the result.

    Returns:
        ``(height * width, 2)``; the columns are y (top to bottom) and x (left to right).

    >>> pixel_grid((2, 3)).tolist()
    [[-1.0, -1.0], [-1.0, 0.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 0.0], [1.0, 1.0]]
    """
    y, x = (torch.linspace(-1, 1, side, dtype=dtype, device=device) for side in size)
    return torch.cartesian_prod(y, x)


def render(spec: NetworkSpec, features: WeightSpaceFeatures, size: tuple[int, int]) -> Tensor:
    """Draw the picture that every network holds; gradients flow back to the weights.

    Args:
        spec: the networks, ``2 -> ... -> channels``.
        features: raw weights of ``batch`` networks.
        size: (height, width) in pixels.

    Returns:
        ``(batch, channels, height, width)``, on the features' device and in their dtype.

    Raises:
        UsageError: the networks do not map two coordinates to colours.
    """
    if spec.kernels or spec.widths[0] != 2:
        raise UsageError("network spec", f"{spec} draws no picture; an INR maps 2 coordinates to colours")
    grid = pixel_grid(size, dtype=features.dtype, device=features.device)
    return run_networks(spec, features, grid).transpose(1, 2).unflatten(2, size)
