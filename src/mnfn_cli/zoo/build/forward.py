"""Loss gradients of many CNNs at once, made of batched matrix products in buffers that are used again and again.

A picture is kept as ``(height, width, channels)``. The patches under a kernel are then rows of a matrix, and a
convolution of many networks, each with kernels of its own, is one product
``(networks, pictures * positions, taps * in) @ (networks, taps * in, out)``. The patches of the first layer depend
on no weight, so they are taken once for the whole image set.

Fresh memory for every intermediate result would cost more than the products, so the backward pass is written
out here; autograd differentiates only the activations.
"""

from itertools import product
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor

from mnfn_cli.errors import UsageError
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.forward_pass import activate
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
    padded = _pad(images.movedim(1, -1)[None], spec.paddings[0])
    return _windows(padded, spec.kernels[0], spec.strides[0])[0].flatten(3)


class LossGradient:
    """The gradient of the cross-entropy of many networks, each on pictures of its own.

    Args:
        spec: the networks.
        networks: how many there are.
        pictures: how many each of them sees in a step.
        image_size: (height, width) of the pictures.
        like: a tensor with the dtype and the device of the computation.
    """

    def __init__(self, spec: NetworkSpec, networks: int, pictures: int, image_size: Pair, like: Tensor) -> None:
        self._spec = spec
        self._gradients = like.new_empty(networks, spec.num_parameters)
        map_sizes = spec.feature_map_sizes(image_size)
        positions = [prod(size) for size in map_sizes] + [1] * (spec.num_layers - len(map_sizes))
        self._products = [
            like.new_empty(networks, pictures * count, width)
            for count, width in zip(positions, spec.widths[1:], strict=True)
        ]
        self._patches = [
            _Patches(like.new_empty(networks, pictures, *size, n_in), kernel, stride, padding)
            for size, n_in, kernel, stride, padding in zip(
                map_sizes[:-1], spec.widths[1:], spec.kernels[1:], spec.strides[1:], spec.paddings[1:], strict=False
            )
        ]

    def compute(
        self, numbers: Tensor, patches: Tensor, labels: Tensor, shares: Tensor, keep: Tensor | None = None
    ) -> Tensor:
        """Return the gradient of ``sum_b shares[b] * cross_entropy[b]`` of every network.

        Args:
            numbers: packed networks, ``(networks, numbers)``.
            patches: ``(networks, pictures, rows, columns, taps * channels)``, entries of ``first_patches``.
            labels: ``(networks, pictures)``.
            shares: ``(networks, pictures)``, each picture's weight in the loss.
            keep: ``(networks, pictures, sum of hidden widths)``, a factor for each hidden channel of each picture
                (dropout); None for all ones.

        Returns:
            ``(networks, numbers)``, packed; valid until the next call, and the caller's to overwrite.
        """
        layers, gradients = split_layers(self._spec, numbers), split_layers(self._spec, self._gradients)
        last, last_convolution = len(layers) - 1, len(self._spec.kernels) - 1
        factors = None if keep is None else keep.split(self._spec.hidden_widths, dim=-1)

        x, inputs, activations = patches, [], []
        for i, (weight, bias) in enumerate(layers):
            if 0 < i <= last_convolution:
                x = self._patches[i - 1].take(x)
            inputs.append(x.flatten(1, -2))
            x = torch.baddbmm(bias, inputs[i], weight, out=self._products[i]).view(*x.shape[:-1], -1)
            if i < last:
                before = x.requires_grad_()
                with torch.enable_grad():
                    after = activate(before, self._spec)
                activations.append((before, after))
                x = after.detach()
                if factors is not None:
                    x = x * _per_picture(factors[i], x)
            if i == last_convolution:
                map_shape = x.shape
                x = x.mean(dim=(2, 3))

        gradient = (x.softmax(-1) - F.one_hot(labels, x.shape[-1])) * shares[..., None]
        for i in range(last, -1, -1):
            if i == last_convolution:
                gradient = (gradient / (map_shape[2] * map_shape[3]))[:, :, None, None].expand(map_shape)
            if i < last:
                if factors is not None:
                    gradient = gradient * _per_picture(factors[i], gradient)
                before, after = activations[i]
                (gradient,) = torch.autograd.grad(after, before, gradient)
            rows = gradient.reshape(self._products[i].shape)
            torch.bmm(inputs[i].transpose(1, 2), rows, out=gradients[i][0])
            torch.sum(rows, dim=1, keepdim=True, out=gradients[i][1])
            if 0 < i <= last_convolution:
                gradient = self._patches[i - 1].fold(torch.bmm(rows, layers[i][0].transpose(1, 2), out=inputs[i]))
            elif i > 0:
                gradient = torch.bmm(rows, layers[i][0].transpose(1, 2))
        return self._gradients


class _Patches:
    """The patches of one layer's input ``(n, b, height, width, in)`` and the sum that is their transpose.

    Args:
        like: a tensor with the shape, dtype and device of the input, whose memory holds the sum.
    """

    def __init__(self, like: Tensor, kernel: Pair, stride: Pair, padding: Pair) -> None:
        self._kernel, self._stride, self._padding = kernel, stride, padding
        self._sum = _pad(like, padding)
        self._by_tap = torch.empty_like(_windows(self._sum, kernel, stride), memory_format=torch.contiguous_format)

    def take(self, x: Tensor) -> Tensor:
        """Copy the patches, ``(n, b, rows, columns, taps * in)``; valid until the next call."""
        self._by_tap.copy_(_windows(_pad(x, self._padding), self._kernel, self._stride))
        return self._by_tap.flatten(4)

    def fold(self, gradient: Tensor) -> Tensor:
        """Add the gradients of patches up where they came from, ``(n, b, height, width, in)``.

        Taps that do not overlap, as many as the stride, are added in one go.
        """
        by_tap = gradient.view_as(self._by_tap)
        rows, columns = by_tap.shape[2:4]
        (kh, kw), (sh, sw), (ph, pw) = self._kernel, self._stride, self._padding
        self._sum.zero_()
        for top, left in product(range(0, kh, sh), range(0, kw, sw)):
            taps = by_tap[:, :, :, :, top : top + sh, left : left + sw]
            windows = _windows(self._sum[:, :, top:, left:], (taps.shape[4], taps.shape[5]), self._stride)
            windows[:, :, :rows, :columns].add_(taps)
        height, width = self._sum.shape[2:4]
        return self._sum[:, :, ph : height - ph, pw : width - pw]


def _windows(x: Tensor, kernel: Pair, stride: Pair) -> Tensor:
    """View ``(n, b, height, width, in)`` as ``(n, b, rows, columns, kh, kw, in)``."""
    return x.unfold(2, kernel[0], stride[0]).unfold(3, kernel[1], stride[1]).movedim(4, -1)


def _pad(x: Tensor, padding: Pair) -> Tensor:
    """Surround ``(n, b, height, width, in)`` with zeros; ``x`` itself where there is nothing to add."""
    return F.pad(x, (0, 0, padding[1], padding[1], padding[0], padding[0])) if any(padding) else x


def _per_picture(values: Tensor, like: Tensor) -> Tensor:
    """View ``(n, b, channels)`` so that it spreads over the positions of ``like``, if that has any."""
    return values if like.dim() == 3 else values[:, :, None, None, :]
