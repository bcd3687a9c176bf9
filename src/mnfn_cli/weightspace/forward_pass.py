"""The forward pass of many networks at once."""

from itertools import product
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor

from mnfn_cli.errors import UsageError
from mnfn_cli.runtime.precision import full_precision
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec, Pair
from mnfn_cli.weightspace.spec_checks import check_input_size

NUMBERS_AT_ONCE = 2**21
"""The largest number of entries of one layer's maps that ``networks_at_once`` has in memory at a time."""


def activate(x: Tensor, spec: NetworkSpec, *, overwrite: bool = False) -> Tensor:
    """Apply the activation of the networks to every entry of ``x``; for a SIREN this is ``sin(omega * x)``.

    Args:
        x: a tensor of any shape.
        spec: the weight space, which says the activation.
        overwrite: write the result to ``x`` where torch can and no gradient is recorded.
    """
    match spec.activation:
        case "sin":
            return torch.sin(spec.omega * x)
        case "tanh" | "sigmoid":
            return getattr(torch, spec.activation)(x)
        case "relu" | "leaky_relu" as name:
            return getattr(F, name)(x, inplace=overwrite and not x.requires_grad)
        case name:
            return getattr(F, name)(x)


def run_networks(spec: NetworkSpec, features: WeightSpaceFeatures, inputs: Tensor) -> Tensor:
    """Evaluate every network of a batch on every input, in the features' dtype, inside a mixed precision too.

    Args:
        spec: the weight space.
        features: the raw weights (one channel) of ``batch`` networks.
        inputs: the inputs of all networks, ``(inputs, n_0)``, or for CNNs ``(inputs, n_0, height, width)``, before the
            normalisation that the specification states. With another axis of size ``batch`` in front, each network has
            inputs of its own.

    Returns:
        The outputs ``(batch, inputs, n_L)``.

    Raises:
        UsageError: the features have more than one channel, the inputs have another shape, or pictures do not have the
            size that the network reads.
    """
    if features.channels != 1:
        raise UsageError("features", f"{features.channels} channels; only raw weights (1 channel) are networks")
    item_dims = 3 if spec.kernels else 1
    shared = inputs.dim() == item_dims + 1
    channel_axis = inputs.dim() - item_dims
    if inputs.dim() not in (item_dims + 1, item_dims + 2) or inputs.shape[channel_axis] != spec.widths[0]:
        raise UsageError("inputs", f"shape {tuple(inputs.shape)} does not fit a network of {spec.widths[0]} inputs")
    if spec.kernels:
        check_input_size(spec, (inputs.shape[-2], inputs.shape[-1]))
    with full_precision(features.device):
        return _run(spec, features, normalized(inputs.to(features.dtype), spec), shared)


def _run(spec: NetworkSpec, features: WeightSpaceFeatures, x: Tensor, shared: bool) -> Tensor:
    convolutions = len(spec.kernels)
    if convolutions and shared and x.device.type == "cpu":
        x = _convolve_shared(spec, features, x)
    else:
        x = x.expand(features.batch, *x.shape) if shared else x
        for i in range(convolutions):
            x = _convolve(x, features.weights[i][:, 0], features.biases[i][:, 0], spec.strides[i], spec.paddings[i])
            x = _pool_and_activate(spec, i, x)
        x = x.mean(dim=(-2, -1)) if convolutions else x
    for i in range(convolutions, len(features)):
        x = torch.baddbmm(features.biases[i], x, features.weights[i][:, 0].transpose(1, 2))
        x = activate(x, spec) if i < len(features) - 1 else x
    return x + spec.output_offset if spec.output_offset else x


def networks_at_once(spec: NetworkSpec, inputs: Tensor) -> int:
    """Return how many networks to run at once on shared inputs so that their feature maps stay in a cache."""
    size = (inputs.shape[-2], inputs.shape[-1]) if spec.kernels else None
    return max(1, NUMBERS_AT_ONCE // (len(inputs) * largest_layer(spec, size)))


def largest_layer(spec: NetworkSpec, size: Pair | None = None) -> int:
    """Return the number of outputs of a network's largest layer for one input.

    Args:
        spec: the weight space.
        size: the (height, width) of the pictures that convolutions read; dense networks need none.
    """
    maps = spec.feature_map_sizes(size) if size else []
    positions = [prod(size) for size in maps] + [1] * (spec.num_layers - len(maps))
    return max(count * width for count, width in zip(positions, spec.widths[1:], strict=True))


def normalized(x: Tensor, spec: NetworkSpec) -> Tensor:
    """Return ``(x - mean) / std`` of inputs ``(..., n_0)`` or ``(..., n_0, height, width)``, as ``spec`` says."""
    if not (spec.input_mean or spec.input_std):
        return x
    pictures = x.unflatten(-1, spec.input_size) if not spec.kernels and spec.input_size else x
    shape = (-1, 1, 1) if pictures is not x or spec.kernels else (-1,)
    mean, std = (
        torch.tensor(values, dtype=x.dtype, device=x.device).view(shape)
        for values in (spec.input_mean or (0.0,), spec.input_std or (1.0,))
    )
    return ((pictures - mean) / std).view(x.shape)


def _pool_and_activate(spec: NetworkSpec, i: int, x: Tensor) -> Tensor:
    """Apply what follows the convolution ``i`` to its maps ``(..., height, width)``."""
    pool = spec.pools[i] if i < len(spec.pools) else None
    if pool is not None and pool.before:
        x = pool(x)
    if i < spec.num_layers - 1:
        x = activate(x, spec, overwrite=pool is None)
    return pool(x) if pool is not None and not pool.before else x


def _convolve_shared(spec: NetworkSpec, features: WeightSpaceFeatures, pictures: Tensor) -> Tensor:
    """Apply all convolutions of every network to the same pictures ``(inputs, n_0, height, width)``.

    Maps are kept as ``(height, width, batch, channels, inputs)``. A pixel of a new map is then a sum of one product for
    each tap of the kernel, of matrices that lie in memory as they are needed; no patch is copied. The patches of the
    first layer depend on no network, so they are taken once.

    Returns:
        the averages over the last map, ``(batch, inputs, channels)``.
    """
    maps = pictures.permute(2, 3, 1, 0)[:, :, None]
    for i, (kernel, stride, (height, width)) in enumerate(zip(spec.kernels, spec.strides, spec.paddings, strict=True)):
        if width or height:
            maps = F.pad(maps, (0, 0, 0, 0, 0, 0, width, width, height, height))
        maps = maps.contiguous()
        rows, columns = ((maps.shape[axis] - kernel[axis]) // stride[axis] + 1 for axis in (0, 1))
        weight, bias = features.weights[i][:, 0], features.biases[i][:, 0, :, None]
        taps = list(product(range(kernel[0]), range(kernel[1])))
        if i == 0:
            seen = [
                maps[top : top + stride[0] * rows : stride[0], left : left + stride[1] * columns : stride[1], 0]
                for top, left in taps
            ]
            patches = torch.stack([under[:rows, :columns] for under in seen], dim=3).flatten(2, 3).flatten(0, 1)
            products = (weight.flatten(0, 1).flatten(1) @ patches).add_(bias.reshape(-1, 1))
            maps = products.view(rows, columns, features.batch, -1, len(pictures))
        else:
            by_tap = weight.permute(3, 4, 0, 1, 2).contiguous()
            new = bias.expand(rows, columns, *bias.shape[:2], len(pictures)).contiguous()
            for row, column, (top, left) in product(range(rows), range(columns), taps):
                under = maps[row * stride[0] + top, column * stride[1] + left]
                new[row, column].baddbmm_(by_tap[top, left], under)
            maps = new
        maps = _pool_and_activate(spec, i, maps.permute(2, 4, 3, 0, 1)).permute(3, 4, 0, 2, 1)
    return maps.mean(dim=(0, 1)).transpose(1, 2)


def _convolve(x: Tensor, weight: Tensor, bias: Tensor, stride: tuple[int, int], padding: tuple[int, int]) -> Tensor:
    """Convolve ``(batch, inputs, in, height, width)`` with the kernels of each network, as a grouped convolution."""
    batch, inputs, channels = x.shape[:3]
    grouped = x.transpose(0, 1).reshape(inputs, batch * channels, *x.shape[3:])
    y = F.conv2d(grouped, weight.flatten(0, 1), bias.flatten(), stride, padding, groups=batch)
    return y.view(inputs, batch, -1, *y.shape[2:]).transpose(0, 1)
