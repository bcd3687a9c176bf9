"""Compute the gradients of the losses of many networks at once, by batched matrix products.

A picture is kept as ``(height, width, channels)``. The patches under a kernel are then rows of a matrix, and a
convolution of many networks, each with its own kernels, is one product
``(networks, pictures * positions, taps * in) @ (networks, taps * in, out)``. The patches of the first layer depend
on no weight, so they are taken once for the whole image set.

Allocating memory for every intermediate result would take longer than the products themselves. The backward pass is
therefore written out here and reuses its buffers; autograd differentiates only the activations.
"""

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
    """Write the weights and biases of each network into one row, in the order that the matrix products need.

    A weight ``(out, in, kh, kw)`` is written as ``(kh, kw, in, out)``; its bias follows.

    Returns:
        ``(networks, numbers)``.
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
    """Return the weights and biases of the layers as views of packed ``numbers`` ``(networks, numbers)``."""
    layers, start = [], 0
    for out, *fan_in in spec.weight_shapes:
        end = start + prod(fan_in) * out
        layers.append((numbers[:, start:end].unflatten(1, (-1, out)), numbers[:, None, end : end + out]))
        start = end + out
    return layers


def first_layer_inputs(spec: NetworkSpec, images: Tensor) -> Tensor:
    """Return what the matrix product of the first layer reads of every picture, and a last column of ones.

    The ones multiply the bias, which follows the weight in a packed network, so that one product computes both.

    Args:
        spec: the architecture of all networks.
        images: ``(pictures, channels, height, width)``; for dense networks ``(pictures, n_0)``.

    Returns:
        the patches under the kernel of the first convolution, ``(pictures, rows, columns, taps * channels + 1)`` with
        the rows and columns of the first feature map; for dense networks the images, ``(pictures, n_0 + 1)``.

    Raises:
        UsageError: the pictures do not fit the spec.
    """
    expected = f"{spec.widths[0]}, height, width" if spec.kernels else f"{spec.widths[0]}"
    if images.dim() != (4 if spec.kernels else 2) or images.shape[1] != spec.widths[0]:
        raise UsageError("images", f"shape {tuple(images.shape)}; {spec} needs (pictures, {expected})")
    if not spec.kernels:
        return F.pad(images, (0, 1), value=1)
    height, width = images.shape[2:]
    if min(map(min, spec.feature_map_sizes((height, width)))) < 1:
        raise UsageError("images", f"{height}x{width} pictures are too small for {spec}")
    padded = _pad(images.movedim(1, -1)[None], spec.paddings[0])
    return F.pad(_windows(padded, spec.kernels[0], spec.strides[0])[0].flatten(3), (0, 1), value=1)


class LossGradient:
    """Computes the gradients of the cross-entropy of many networks, each with its own pictures.

    Args:
        spec: the architecture of all networks.
        networks: the number of networks.
        pictures: the number of pictures that each of them sees in a step.
        image_size: (height, width) of the pictures that convolutions read; dense networks need none.
        like: a tensor with the dtype and the device of the computation.
    """

    def __init__(self, spec: NetworkSpec, networks: int, pictures: int, image_size: Pair | None, like: Tensor) -> None:
        self._spec = spec
        self._gradients = like.new_empty(networks, spec.num_parameters)
        map_sizes = [] if image_size is None else spec.feature_map_sizes(image_size)
        positions = [prod(size) for size in map_sizes] + [1] * (spec.num_layers - len(map_sizes))
        self._products = [
            like.new_empty(networks, pictures * count, width)
            for count, width in zip(positions, spec.widths[1:], strict=True)
        ]
        # The mean over positions of the last convolution comes before its dropout, which is the same for all of them.
        kept = [1 if i == len(map_sizes) - 1 else count for i, count in enumerate(positions[:-1])]
        self._dropped = [
            like.new_empty(networks * pictures * count * width)
            for count, width in zip(kept, spec.hidden_widths, strict=True)
        ]
        self._patches = [
            _Patches(like.new_empty(networks, pictures, *size, n_in), kernel, stride, padding)
            for size, n_in, kernel, stride, padding in zip(
                map_sizes[:-1], spec.widths[1:], spec.kernels[1:], spec.strides[1:], spec.paddings[1:], strict=False
            )
        ]

    def compute(
        self, numbers: Tensor, first_inputs: Tensor, labels: Tensor, shares: Tensor, keep: Tensor | None = None
    ) -> Tensor:
        """Return the gradient of ``sum_b shares[b] * cross_entropy[b]`` of every network.

        Args:
            numbers: packed networks, ``(networks, numbers)``.
            first_inputs: entries of ``first_layer_inputs`` that each network sees, ``(networks, pictures, ...)``.
            labels: class numbers ``(networks, pictures)``.
            shares: the weight of each picture in the loss, ``(networks, pictures)``.
            keep: for dropout, a factor for each hidden channel of each picture, ``(networks, pictures, sum of hidden
                widths)``; None if all are 1.

        Returns:
            packed gradients ``(networks, numbers)``. The next call overwrites them, and the caller may do so too.
        """
        layers, gradients = split_layers(self._spec, numbers), split_layers(self._spec, self._gradients)
        last, last_convolution = len(layers) - 1, len(self._spec.kernels) - 1
        factors = None if keep is None else keep.split(self._spec.hidden_widths, dim=-1)

        x, inputs, activations = first_inputs, [], []
        for i, (weight, bias) in enumerate(layers):
            if 0 < i <= last_convolution:
                x = self._patches[i - 1].take(x)
            inputs.append(x.flatten(1, -2))
            if i == 0:
                rows = torch.bmm(inputs[0], self._first_layer(numbers), out=self._products[0])
            else:
                rows = torch.baddbmm(bias, inputs[i], weight, out=self._products[i])
            x = rows.view(*x.shape[:-1], -1)
            if i < last:
                before = x.requires_grad_()
                with torch.enable_grad():
                    after = activate(before, self._spec)
                activations.append((before, after))
                x = after.detach()
            if i == last_convolution:
                map_shape = x.shape
                x = x.mean(dim=(2, 3))
            if i < last and factors is not None:
                x = torch.mul(x, _per_picture(factors[i], x), out=self._dropped[i].view_as(x))

        gradient = (x.softmax(-1) - F.one_hot(labels, x.shape[-1])) * shares[..., None]
        for i in range(last, -1, -1):
            if i == last_convolution:
                gradient = gradient.div_(map_shape[2] * map_shape[3])
            if i < last and factors is not None:
                gradient.mul_(_per_picture(factors[i], gradient))
            if i == last_convolution:
                gradient = gradient[:, :, None, None].expand(map_shape)
            if i < last:
                before, after = activations[i]
                (gradient,) = torch.autograd.grad(after, before, gradient)
            rows = gradient.reshape(self._products[i].shape)
            if i == 0:
                torch.bmm(inputs[0].transpose(1, 2), rows, out=self._first_layer(self._gradients))
                break
            torch.bmm(inputs[i].transpose(1, 2), rows, out=gradients[i][0])
            torch.sum(rows, dim=1, keepdim=True, out=gradients[i][1])
            if i <= last_convolution:
                gradient = self._patches[i - 1].fold(torch.bmm(rows, layers[i][0].transpose(1, 2), out=inputs[i]))
            else:
                gradient = torch.bmm(rows, layers[i][0].transpose(1, 2))
        return self._gradients

    def _first_layer(self, numbers: Tensor) -> Tensor:
        """View the first layer of packed ``numbers``, bias last, as ``(networks, taps * in + 1, out)``."""
        out, *fan_in = self._spec.weight_shapes[0]
        return numbers[:, : (prod(fan_in) + 1) * out].unflatten(1, (-1, out))


class _Patches:
    """Takes the patches of a layer's input ``(n, b, height, width, in)``, and adds up the gradients of patches.

    Adding up is the transpose of taking patches.

    Args:
        like: a tensor with the shape, dtype and device of the input.
        kernel, stride, padding: of the convolution, ``(height, width)`` each.
    """

    def __init__(self, like: Tensor, kernel: Pair, stride: Pair, padding: Pair) -> None:
        self._kernel, self._stride, self._padding = kernel, stride, padding
        padded = _pad(like, padding)
        self._padded_shape = padded.shape
        self._by_tap = torch.empty_like(_windows(padded, kernel, stride), memory_format=torch.contiguous_format)
        # The taps of one picture, sorted by the pixel that they were taken from, and the first tap of each pixel.
        pixels = torch.arange(padded.shape[2] * padded.shape[3]).view(1, 1, *padded.shape[2:4], 1)
        taken = _windows(pixels, kernel, stride).flatten()
        counts = taken.bincount(minlength=pixels.numel())
        pictures = torch.arange(padded.shape[0] * padded.shape[1])[:, None] * len(taken)
        self._taps = (pictures + taken.argsort(stable=True)).flatten().to(like.device)
        self._firsts = (pictures + counts.cumsum(0) - counts).flatten().to(like.device)

    def take(self, x: Tensor) -> Tensor:
        """Return the patches, ``(n, b, rows, columns, taps * in)``; the next call overwrites them."""
        self._by_tap.copy_(_windows(_pad(x, self._padding), self._kernel, self._stride))
        return self._by_tap.flatten(4)

    def fold(self, gradient: Tensor) -> Tensor:
        """Add the gradients of patches to the input pixels that they were taken from, ``(n, b, height, width, in)``.

        Each pixel is a bag of taps. Summing bags takes a third of the time of adding strided windows.
        """
        sums, *_ = torch.embedding_bag(gradient.view(-1, self._padded_shape[-1]), self._taps, self._firsts)
        (height, width), (ph, pw) = self._padded_shape[2:4], self._padding
        return sums.view(self._padded_shape)[:, :, ph : height - ph, pw : width - pw]


def _windows(x: Tensor, kernel: Pair, stride: Pair) -> Tensor:
    """View ``(n, b, height, width, in)`` as ``(n, b, rows, columns, kh, kw, in)``."""
    return x.unfold(2, kernel[0], stride[0]).unfold(3, kernel[1], stride[1]).movedim(4, -1)


def _pad(x: Tensor, padding: Pair) -> Tensor:
    """Surround ``(n, b, height, width, in)`` with zeros; ``x`` itself where there is nothing to add."""
    return F.pad(x, (0, 0, padding[1], padding[1], padding[0], padding[0])) if any(padding) else x


def _per_picture(values: Tensor, like: Tensor) -> Tensor:
    """View ``(n, b, channels)`` so that it spreads over the positions of ``like``, if that has any."""
    return values if like.dim() == 3 else values[:, :, None, None, :]
