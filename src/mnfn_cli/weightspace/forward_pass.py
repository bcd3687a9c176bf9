"""The forward pass of many networks at once."""

from functools import lru_cache
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor

from mnfn_cli.errors import UsageError
from mnfn_cli.runtime.precision import full_precision
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec, Pair
from mnfn_cli.weightspace.spec_checks import check_input_size

NUMBERS_AT_ONCE = 2**20
"""The largest number of entries of one layer's maps that ``networks_at_once`` has in memory at a time."""

MOST_REPEATED = 2.5
"""How often a pixel of a map may be computed, on average, instead of being copied for every kernel that reads it."""


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

    >>> import torch
    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures, run_networks
    >>> spec = NetworkSpec.cnn([1, 4, 4], kernel=3, stride=2, outputs=10, activation="relu")
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2)
    >>> run_networks(spec, networks, torch.rand(6, 1, 16, 16)).shape
    torch.Size([2, 6, 10])
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

    Maps are kept as ``(batch, channels, height, width, inputs)``. A convolution is then one product for each network,
    of its kernels ``(out, in * taps)``, as they are stored, with columns ``(in * taps, positions * inputs)``. The
    columns of the first layer depend on no network, so they are taken once.

    Returns:
        the averages over the last map, ``(batch, inputs, channels)``.
    """
    maps = pictures.permute(1, 2, 3, 0)[None]
    for i, (taken, size) in enumerate(_pixels_in_order(spec, (pictures.shape[2], pictures.shape[3]))):
        weight, bias = features.weights[i][:, 0].flatten(2), features.biases[i][:, 0, :, None]
        if taken is not None:
            height, width = spec.paddings[i]
            padded = F.pad(maps, (0, 0, width, width, height, height)) if height or width else maps
            maps = padded.flatten(2, 3).index_select(2, taken.to(maps.device))
        columns = maps.reshape(len(maps), -1, size[0] * size[1] * len(pictures))
        if i == 0:  # a row of ones for the bias takes no time; to add the bias takes as long as the product
            rows = torch.cat([weight.flatten(2), bias], dim=2).flatten(0, 1)
            maps = (rows @ F.pad(columns[0], (0, 0, 0, 1), value=1)).unflatten(0, weight.shape[:2])
        else:
            maps = torch.baddbmm(bias, weight.flatten(2), columns)
        maps = maps.unflatten(2, (*size, len(pictures)))
        maps = _pool_and_activate(spec, i, maps.permute(0, 4, 1, 2, 3)).permute(0, 2, 3, 4, 1)
    return maps.mean(dim=(2, 3)).transpose(1, 2)


@lru_cache(maxsize=64)
def _pixels_in_order(spec: NetworkSpec, picture_size: Pair) -> list[tuple[Tensor | None, Pair]]:
    """Return for each convolution the pixels that it reads, and the (height, width) of the map that it makes.

    The pixels, ``(taps * positions,)`` for all positions of the first tap, then of the second, are numbers of pixels of
    the padded map before. They are None where that map has been made of these pixels, in this order: to compute a pixel
    twice, where kernels overlap little, takes less time than to copy it. Such a map is a column, of width 1.
    """
    steps: list[tuple[Tensor | None, Pair]] = []
    wanted: Tensor | None = None
    befores = [picture_size, *spec.feature_map_sizes(picture_size)]
    for i in reversed(range(len(spec.kernels))):
        height, width = (side + 2 * pad for side, pad in zip(befores[i], spec.paddings[i], strict=True))
        pixels = torch.arange(height * width).view(height, width)
        for axis in (0, 1):
            pixels = pixels.unfold(axis, spec.kernels[i][axis], spec.strides[i][axis])
        size = (pixels.shape[0], pixels.shape[1])
        by_tap = pixels.permute(2, 3, 0, 1).flatten(2).flatten(0, 1)
        if wanted is not None:
            by_tap, size = by_tap[:, wanted], (len(wanted), 1)
        taken = by_tap.flatten()
        bare = i > 0 and not any(spec.paddings[i]) and not (spec.pools and spec.pools[i - 1])
        wanted = taken if bare and len(taken) <= MOST_REPEATED * height * width else None
        steps.insert(0, (taken if wanted is None else None, size))
    return steps


def _convolve(x: Tensor, weight: Tensor, bias: Tensor, stride: tuple[int, int], padding: tuple[int, int]) -> Tensor:
    """Convolve ``(batch, inputs, in, height, width)`` with the kernels of each network, as a grouped convolution."""
    batch, inputs, channels = x.shape[:3]
    grouped = x.transpose(0, 1).reshape(inputs, batch * channels, *x.shape[3:])
    y = F.conv2d(grouped, weight.flatten(0, 1), bias.flatten(), stride, padding, groups=batch)
    return y.view(inputs, batch, -1, *y.shape[2:]).transpose(0, 1)
