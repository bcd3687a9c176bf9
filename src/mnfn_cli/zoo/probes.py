"""Inputs on which networks are run to see whether they compute the same function, and the comparison of outputs."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mnfn_cli.runtime.seeds import generator
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.forward_pass import run_networks
from mnfn_cli.weightspace.rendering import pixel_grid
from mnfn_cli.weightspace.spec import NetworkSpec

TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-4, torch.bfloat16: 0.5, torch.float16: 0.1}
"""By the dtype of the weights, the largest relative error max |f - g| / max |f| that rounding them may cause."""

PROBES = 32
"""The number of random inputs, and of real ones, on which two networks are compared."""

LARGEST_SIDE = 1000
"""The largest height and width of a picture, in pixels, at which an input of unknown size is looked for."""


@dataclass(frozen=True)
class OutputDifference:
    """How much the functions ``f`` and ``g`` of two batches of networks differ on some inputs.

    Args:
        absolute: max |f - g| over all inputs and outputs, ``(batch,)``; infinite if an output is not finite.
        relative: max |f - g| / max |f|, ``(batch,)``; 0 where both are 0, infinite if an output is not finite.
        constant: whether f is constant, ``(batch,)``.
    """

    absolute: Tensor
    relative: Tensor
    constant: Tensor


def compare_outputs(
    spec: NetworkSpec, before: WeightSpaceFeatures, after: WeightSpaceFeatures, probes: Sequence[Tensor]
) -> OutputDifference:
    """Compare the functions of two batches of networks, in float64.

    Args:
        spec: the weight space of the networks.
        before, after: raw weights of the networks that compute ``f`` and ``g``, ``(batch, 1, ...)``.
        probes: batches of inputs, each ``(inputs, *input shape)``.
    """
    f, g = (
        torch.cat([run_networks(spec, networks.to(dtype=torch.float64), probe) for probe in probes], dim=1)
        for networks in (before, after)
    )
    difference = (f - g).abs().flatten(1).amax(dim=1)
    largest = f.abs().flatten(1).amax(dim=1)
    relative = torch.where(difference == 0, 0.0, difference / largest)
    spread = (f.amax(dim=1) - f.amin(dim=1)).amax(dim=1)
    absolute, relative = (t.nan_to_num(nan=torch.inf, posinf=torch.inf) for t in (difference, relative))
    return OutputDifference(absolute, relative, spread <= 1e-12 * largest)


def input_shape(spec: NetworkSpec) -> tuple[int, ...] | None:
    """Return the shape of an input that networks can read; None if there is none of at most ``LARGEST_SIDE`` pixels.

    For convolutions this is ``(channels, height, width)``. If the size is not known, it is twice the smallest one that
    leaves a map, or for a flattened map the smallest one that the dense layer fits.

    >>> input_shape(NetworkSpec.cnn([1, 16, 16, 16], stride=2, outputs=10))
    (1, 30, 30)
    """
    if not spec.kernels:
        return (spec.widths[0],)
    if spec.input_size is not None:
        return (spec.widths[0], *spec.input_size)
    sizes = [(side, spec.feature_map_sizes((side, side))) for side in range(1, LARGEST_SIDE + 1)]
    found = []
    for axis in (0, 1):
        fitting = (
            side
            for side, maps in sizes
            if min(size[axis] for size in maps) > 0 and (maps[-1][axis] == 1 or not spec.flatten)
        )
        found.append(next(fitting, None))
    height, width = found
    if height is None or width is None:
        return None
    return (spec.widths[0], height, width) if spec.flatten else (spec.widths[0], 2 * height, 2 * width)


def random_inputs(shape: Sequence[int], seed: int = 0) -> Tensor:
    """Return ``PROBES`` inputs of this shape from a standard normal distribution, in float64."""
    return torch.randn(PROBES, *shape, dtype=torch.float64, generator=generator(seed, "probes"))


def some_pixels(size: tuple[int, int]) -> Tensor:
    """Return the coordinates of up to ``PROBES`` pixels of a picture, for INRs: ``(pixels, 2)`` in float64.

    Args:
        size: (height, width) of the picture in pixels.
    """
    grid = pixel_grid(size, dtype=torch.float64)
    return grid[torch.linspace(0, len(grid) - 1, min(len(grid), PROBES)).long()]
