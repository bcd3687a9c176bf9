"""The forward pass of many CNNs at once, made of matrix products alone.

A picture is kept as ``(height, width, channels)``. The patches under a kernel are then rows of a matrix, and a
convolution of many networks, each with kernels of its own, is one batched product
``(networks, pictures * positions, taps * in) @ (networks, taps * in, out)``. The patches of the first layer depend
on no weight, so they are taken once for the whole image set.
"""

from itertools import product
from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mnfn_cli.errors import UsageError
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.run import activate
from mnfn_cli.weightspace.spec import NetworkSpec, Pair

Layers = list[tuple[Tensor, Tensor]]
"""A (weight, bias) for each layer, shaped ``(networks, taps * in, out)`` and ``(networks, 1, out)``."""


def pack_networks(features: WeightSpaceFeatures) -> Tensor:
    """Write each network's numbers in one row, ``(networks, numbers)``, in the order that the products need.

    A weight ``(out, in, kh, kw)`` is written as ``(kh, kw, in, out)``; its bias follows.
    """
    rows = []
    for weight, bias in zip(features.weights, features.biases, strict=True):
        kernel_axes = range(4, weight.dim())
        rows += [weight.permute(0, 1, *kernel_axes, 3, 2).flatten(1), bias.flatten(1)]
    return torch.cat(rows, dim=1)


def unpack_networks(spec: NetworkSpec, numbers: Tensor) -> WeightSpaceFeatures:
    """Return packed ``numbers`` ``(networks, numbers)`` as raw weights; the inverse of ``pack_networks``."""
    weights, biases = [], []
    for (weight, bias), (_, n_in, *kernel) in zip(split_layers(spec, numbers), spec.weight_shapes, strict=True):
        by_tap = weight.unflatten(1, (1, *kernel, n_in))
        kernel_axes = range(2, 2 + len(kernel))
        weights.append(by_tap.permute(0, 1, -1, -2, *kernel_axes).contiguous())
        biases.append(bias.contiguous())
    return WeightSpaceFeatures(weights, biases)


def split_layers(spec: NetworkSpec, numbers: Tensor) -> Layers:
    """Return the layers inside packed ``numbers`` ``(networks, numbers)``, as views."""
    layers, start = [], 0
    for out, *fan_in in spec.weight_shapes:
        end = start + prod(fan_in) * out
        layers.append((numbers[:, start:end].unflatten(1, (-1, out)), numbers[:, None, end : end + out]))
        start = end + out
    return layers


def first_patches(spec: NetworkSpec, images: Tensor) -> Tensor:
    """Return what the first convolution sees of every picture.

    Args:
        spec: the networks, with at least one convolution.
        images: ``(pictures, channels, height, width)``.

    Returns:
        ``(pictures, rows, columns, taps * channels)`` with the rows and columns of the first feature map.

    Raises:
        UsageError: the spec has no convolution, or the pictures do not fit it.
    """
    if not spec.kernels:
        raise UsageError("network spec", f"{spec} has no convolution; only CNNs are trained here")
    if images.dim() != 4 or images.shape[1] != spec.widths[0]:
        raise UsageError("images", f"shape {tuple(images.shape)}; {spec} needs (pictures, {spec.widths[0]}, h, w)")
    height, width = images.shape[2:]
    if min(map(min, spec.feature_map_sizes((height, width)))) < 1:
        raise UsageError("images", f"{height}x{width} pictures are too small for {spec}")
    pictures = images.movedim(1, -1)[None]
    return Patches.apply(pictures, spec.kernels[0], spec.strides[0], spec.paddings[0])[0]


def compute_logits(spec: NetworkSpec, layers: Layers, patches: Tensor, keep: Tensor | None = None) -> Tensor:
    """Run every network on its own pictures.

    Args:
        spec: the networks.
        layers: their weights and biases.
        patches: ``(networks, pictures, rows, columns, taps * channels)``, rows of ``first_patches``.
        keep: ``(networks, pictures, sum of hidden widths)``, a factor for each hidden channel of each picture
            (dropout); None for all ones.

    Returns:
        ``(networks, pictures, n_L)``.
    """
    factors = None if keep is None else keep.split(spec.hidden_widths, dim=-1)
    x = patches
    for i, (weight, bias) in enumerate(layers):
        if 0 < i < len(spec.kernels):
            x = Patches.apply(x, spec.kernels[i], spec.strides[i], spec.paddings[i])
        x = torch.baddbmm(bias, x.flatten(1, -2), weight).view(*x.shape[:-1], -1)
        if i < len(layers) - 1:
            x = activate(x, spec)
            if factors is not None:
                per_position = (1,) * (x.dim() - 3)
                x = x * factors[i].view(*x.shape[:2], *per_position, -1)
        if i == len(spec.kernels) - 1:
            x = x.mean(dim=(2, 3))
    return x


class Patches(torch.autograd.Function):
    """The patches under a kernel: ``(n, b, height, width, in)`` to ``(n, b, rows, columns, taps * in)``.

    The gradient adds overlapping patches up. Autograd's own rule for such windows scatters number by number; here
    taps that do not overlap (as many as the stride) are added in one go, in long runs.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Pair, stride: Pair, padding: Pair) -> Tensor:
        """Copy the patches out of ``x``."""
        ctx.geometry = (x.shape, kernel, stride, padding)
        if any(padding):
            x = F.pad(x, (0, 0, padding[1], padding[1], padding[0], padding[0]))
        return _windows(x, kernel, stride).flatten(4)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        """Add the patches' gradients up where they came from."""
        shape, (kh, kw), stride, padding = ctx.geometry
        (gradient,) = gradients
        rows, columns = gradient.shape[2:4]
        by_tap = gradient.unflatten(4, (kh, kw, shape[-1]))
        height, width = (size + 2 * pad for size, pad in zip(shape[2:4], padding, strict=True))
        total = gradient.new_zeros(*shape[:2], height, width, shape[-1])
        for top, left in product(range(0, kh, stride[0]), range(0, kw, stride[1])):
            taps = by_tap[:, :, :, :, top : top + stride[0], left : left + stride[1]]
            windows = _windows(total[:, :, top:, left:], (taps.shape[4], taps.shape[5]), stride)
            windows[:, :, :rows, :columns].add_(taps)
        inside = total[:, :, padding[0] : padding[0] + shape[2], padding[1] : padding[1] + shape[3]]
        return inside, None, None, None


def _windows(x: Tensor, kernel: Pair, stride: Pair) -> Tensor:
    """View ``(n, b, height, width, in)`` as ``(n, b, rows, columns, kh, kw, in)``."""
    return x.unfold(2, kernel[0], stride[0]).unfold(3, kernel[1], stride[1]).movedim(4, -1)
