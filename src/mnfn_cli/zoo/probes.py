"""Inputs on which networks are run to see whether they compute the same function, and the comparison of outputs."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mnfn_cli.runtime.seeds import generator
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.forward_pass import networks_at_once, run_networks
from mnfn_cli.weightspace.rendering import pixel_grid
from mnfn_cli.weightspace.spec import NetworkSpec

TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-4, torch.bfloat16: 0.5, torch.float16: 0.1}
"""By the dtype of the weights, the largest relative error max |f - g| / max |f| that rounding them may cause."""

CONSTANT = {torch.float64: 1e-12, torch.float32: 1e-5}
"""By the dtype of the outputs, the largest spread of an output, relative to max |f|, that rounding may cause."""

PROBES = 32
"""The number of inputs on which two networks are compared."""

REAL = 8
"""The number of real inputs among them, where some are known; the others are random."""

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
    f = network_outputs(spec, before, probes)
    return output_difference(f, network_outputs(spec, after, probes))


def network_outputs(
    spec: NetworkSpec, networks: WeightSpaceFeatures, probes: Sequence[Tensor], dtype: torch.dtype = torch.float64
) -> Tensor:
    """Return the outputs of networks, computed in ``dtype``, on all inputs: ``(networks, inputs, outputs)``."""
    outputs = []
    for probe in probes:
        at_once = networks_at_once(spec, probe)
        some = (networks.select(slice(start, start + at_once)) for start in range(0, networks.batch, at_once))
        outputs.append(torch.cat([run_networks(spec, part.to(dtype=dtype), probe) for part in some]))
    return torch.cat(outputs, dim=1)


def output_difference(f: Tensor, g: Tensor) -> OutputDifference:
    """Compare what ``network_outputs`` returned of networks that compute ``f`` and ``g``, in pairs.

    An output is called constant if it changes by no more than rounding changes it, in the dtype of the outputs.
    """
    difference = (f - g).abs().flatten(1).amax(dim=1)
    largest = f.abs().flatten(1).amax(dim=1)
    relative = torch.where(difference == 0, 0.0, difference / largest)
    spread = (f.amax(dim=1) - f.amin(dim=1)).amax(dim=1)
    absolute, relative = (t.nan_to_num(nan=torch.inf, posinf=torch.inf) for t in (difference, relative))
    return OutputDifference(absolute, relative, spread <= CONSTANT[f.dtype] * largest)


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


def proof_inputs(shape: Sequence[int], real: Tensor | None = None, seed: int = 0) -> Tensor:
    """Return the ``PROBES`` inputs on which augmented networks run beside their sources, in float64.

    Every fourth random input is four times as large, so that neurons with a bias far below 0 fire too. Together they
    find more wrong weights than twice as many inputs from a standard normal distribution.

    Args:
        shape: the shape of an input.
        real: real inputs, of which the first ``REAL`` are taken; None if there are none.
        seed: the seed of the random inputs.
    """
    real = torch.empty(0, *shape) if real is None else real[:REAL]
    random = random_inputs(shape, seed)[: PROBES - len(real)]
    random[::4] *= 4
    return torch.cat([random, real.double()])


def some_pixels(size: tuple[int, int], count: int = PROBES) -> Tensor:
    """Return the coordinates of up to ``count`` pixels of a picture, for INRs: ``(pixels, 2)`` in float64.

    Args:
        size: (height, width) of the picture in pixels.
        count: the largest number of pixels.
    """
    grid = pixel_grid(size, dtype=torch.float64)
    return grid[torch.linspace(0, len(grid) - 1, min(len(grid), count)).long()]
