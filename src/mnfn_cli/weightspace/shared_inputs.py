"""The forward pass of many networks on inputs that all of them share, by few large matrix products.

Feature maps are kept as ``(batch, channels, inputs, height, width)``. A convolution is then one product of the kernels
``(out, in * taps)`` with the columns ``(in * taps, inputs * positions)``. The columns of the first layer depend on no
weight, so they are taken once for all networks.
"""

from dataclasses import dataclass
from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mnfn_cli.errors import UsageError
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.forward_pass import activate, normalized
from mnfn_cli.weightspace.spec import NetworkSpec, Pair
from mnfn_cli.weightspace.spec_checks import check_input_size

NUMBERS_AT_ONCE = 1 << 23
"""The largest number of entries of one layer's columns that are held in memory at a time, if gradients are not."""


@dataclass(frozen=True)
class Responses:
    """What networks compute on some inputs.

    Args:
        outputs: ``(batch, inputs, n_L)``.
        hidden: for each hidden layer its outputs after activation and pooling, ``(batch, neurons, inputs,
            positions)``; a dense layer has one position.

    >>> import torch
    >>> from mnfn_cli.weightspace import NetworkSpec, WeightSpaceFeatures, run_on_shared_inputs
    >>> spec = NetworkSpec.mlp([2, 5, 4, 3], activation="relu")
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2)
    >>> found = run_on_shared_inputs(spec, networks, torch.rand(6, 2))
    >>> found.outputs.shape, [tuple(layer.shape) for layer in found.hidden]
    (torch.Size([2, 6, 3]), [(2, 5, 6, 1), (2, 4, 6, 1)])
    """

    outputs: Tensor
    hidden: list[Tensor]


def run_on_shared_inputs(spec: NetworkSpec, features: WeightSpaceFeatures, inputs: Tensor) -> Responses:
    """Evaluate every network of a batch on the same inputs, in the features' dtype.

    The outputs are those of ``run_networks`` up to rounding, and they can be differentiated by the inputs.

    Args:
        spec: the weight space.
        features: the raw weights (one channel) of ``batch`` networks.
        inputs: ``(inputs, n_0)``, or for CNNs ``(inputs, n_0, height, width)``, before the normalisation that the
            specification states.

    Returns:
        the outputs ``(batch, inputs, n_L)`` and those of every hidden layer.

    Raises:
        UsageError: the inputs have another shape, or pictures do not have the size that the network reads.

    >>> import torch
    >>> from mnfn_cli.weightspace import NetworkSpec, WeightSpaceFeatures, run_on_shared_inputs
    >>> spec = NetworkSpec.cnn([1, 4, 4], kernel=3, stride=2, outputs=10, activation="relu")
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2)
    >>> run_on_shared_inputs(spec, networks, torch.rand(6, 1, 16, 16)).outputs.shape
    torch.Size([2, 6, 10])
    """
    if inputs.dim() != (4 if spec.kernels else 2) or inputs.shape[1] != spec.widths[0]:
        raise UsageError("inputs", f"shape {tuple(inputs.shape)} does not fit a network of {spec.widths[0]} inputs")
    if spec.kernels:
        check_input_size(spec, (inputs.shape[-2], inputs.shape[-1]))
    batch, last = features.batch, len(features) - 1
    x = normalized(inputs.to(features.dtype), spec).transpose(0, 1)
    hidden = []
    size: tuple[int, ...]
    for i, (weight, bias) in enumerate(zip(features.weights, features.biases, strict=True)):
        size = (len(inputs),)
        if i < len(spec.kernels):
            x, size = _columns(x, spec.kernels[i], spec.strides[i], spec.paddings[i])
        kernels = weight[:, 0].flatten(2)
        if i == 0:
            x = torch.addmm(bias.reshape(-1, 1), kernels.flatten(0, 1), x).unflatten(0, (batch, -1))
        else:
            x = torch.baddbmm(bias[:, 0, :, None], kernels, x)
        x = x.unflatten(-1, size)
        pool = spec.pools[i] if i < len(spec.pools) else None
        if pool is not None and pool.before:
            x = pool(x)
        if i != last:
            x = activate(x, spec)
        if pool is not None and not pool.before:
            x = pool(x)
        if i != last:
            hidden.append(x.flatten(3) if i < len(spec.kernels) else x[..., None])
        if i == len(spec.kernels) - 1:
            x = x.mean(dim=(-2, -1))
    outputs = x.transpose(1, 2)
    return Responses(outputs + spec.output_offset if spec.output_offset else outputs, hidden)


def networks_at_once(spec: NetworkSpec, inputs: Tensor) -> int:
    """Return how many networks to run at once so that no layer's columns have more than ``NUMBERS_AT_ONCE`` entries."""
    maps = spec.feature_map_sizes((inputs.shape[-2], inputs.shape[-1])) if spec.kernels else []
    positions = [prod(size) for size in maps] + [1] * (spec.num_layers - len(maps))
    columns = [
        count * max(prod(shape[1:]) if i else 0, shape[0])
        for i, (count, shape) in enumerate(zip(positions, spec.weight_shapes, strict=True))
    ]
    return max(1, NUMBERS_AT_ONCE // (len(inputs) * max(columns)))


def _columns(x: Tensor, kernel: Pair, stride: Pair, padding: Pair) -> tuple[Tensor, tuple[int, ...]]:
    """Return what a convolution reads of maps ``(..., in, inputs, height, width)``.

    Returns:
        the columns ``(..., in * taps, inputs * positions)``, and (inputs, height, width) of the new map.
    """
    if any(padding):
        x = F.pad(x, (padding[1], padding[1], padding[0], padding[0]))
    height, width = ((x.shape[axis] - kernel[axis]) // stride[axis] + 1 for axis in (-2, -1))
    if height == width == 1:
        return x[..., : kernel[0], : kernel[1]].movedim(-3, -1).flatten(-4, -2), (x.shape[-3], 1, 1)
    columns: Tensor = _Taps.apply(x, kernel, stride, (height, width))
    return columns.flatten(-3).flatten(-3, -2), (x.shape[-3], height, width)


class _Taps(torch.autograd.Function):
    """Take the entries under each tap of a kernel: ``(..., inputs, height, width)`` to ``(..., taps, inputs, ...)``.

    Autograd would fill a whole map with zeros for every tap on the way back; this adds all taps into one.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Pair, stride: Pair, size: Pair) -> Tensor:
        ctx.shape, ctx.places = x.shape, _places(kernel, stride, size)
        return torch.stack([x[place] for place in ctx.places], dim=-4)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        whole = gradients[0].new_zeros(ctx.shape)
        for place, gradient in zip(ctx.places, gradients[0].unbind(-4), strict=True):
            whole[place] += gradient
        return whole, None, None, None


def _places(kernel: Pair, stride: Pair, size: Pair) -> list[tuple[Any, ...]]:
    """Return for each tap the index of the entries of a map that it meets at the positions of the new map."""

    def under(tap: int, axis: int) -> slice:
        return slice(tap, tap + stride[axis] * (size[axis] - 1) + 1, stride[axis])

    return [(..., under(i, 0), under(j, 1)) for i in range(kernel[0]) for j in range(kernel[1])]
