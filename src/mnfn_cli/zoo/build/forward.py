"""Compute the gradients of the losses of many networks at once, by batched matrix products.

A picture is kept as ``(height, width, channels)``. The patches under a kernel are then rows of a matrix, and a
convolution of many networks, each with its own kernels, is one product
``(networks, pictures * positions, taps * in) @ (networks, taps * in, out)``. The patches of the first layer depend
on no weight, so they are taken once for the whole image set.

Allocating memory for every intermediate result would take longer than the products themselves. The backward pass is
therefore written out here and reuses its buffers; autograd differentiates only activations other than ReLU.
"""

from collections.abc import Callable
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor

from mnfn_cli.errors import UsageError
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.forward_pass import activate
from mnfn_cli.weightspace.spec import NetworkSpec, Pair
from mnfn_cli.zoo.build.patches import Patches, pad, windows

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
    padded = pad(images.movedim(1, -1)[None], spec.paddings[0])
    return F.pad(windows(padded, spec.kernels[0], spec.strides[0])[0].flatten(3), (0, 1), value=1)


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
        self._after_dropout = [
            like.new_empty(networks * pictures * count * width)
            for count, width in zip(kept, spec.hidden_widths, strict=True)
            if spec.activation != "relu"
        ]
        self._patches = [
            Patches(like.new_empty(networks, pictures, *size, n_in), kernel, stride, padding)
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

        x, inputs, by_derivative = first_inputs, [], []
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
                x, multiply = _activate(x, self._spec)
                by_derivative.append(multiply)
            if i == last_convolution:
                map_shape = x.shape
                x = x.mean(dim=(2, 3))
            if i < last and factors is not None:
                x = torch.mul(x, _per_picture(factors[i], x), out=self._dropped(i, x))

        gradient = (x.softmax(-1) - F.one_hot(labels, x.shape[-1])) * shares[..., None]
        for i in range(last, -1, -1):
            if i == last_convolution:
                gradient = gradient.div_(map_shape[2] * map_shape[3])
            if i < last and factors is not None:
                gradient.mul_(_per_picture(factors[i], gradient))
            if i == last_convolution:
                gradient = gradient[:, :, None, None].expand(map_shape)
            if i < last:
                gradient = by_derivative[i](gradient)
            rows = gradient.reshape(self._products[i].shape)
            if i == 0:
                torch.bmm(inputs[0].transpose(1, 2), rows, out=self._first_layer(self._gradients))
                break
            torch.bmm(inputs[i].transpose(1, 2), rows, out=gradients[i][0])
            torch.sum(rows, dim=1, keepdim=True, out=gradients[i][1])
            transposed = layers[i][0].transpose(1, 2).contiguous()  # a product with a view takes twice the time
            if i <= last_convolution:
                gradient = self._patches[i - 1].fold(torch.bmm(rows, transposed, out=inputs[i]))
            else:
                gradient = torch.bmm(rows, transposed)
        return self._gradients

    def _dropped(self, layer: int, x: Tensor) -> Tensor:
        """Return where the outputs ``x`` of a layer are written when some are dropped.

        For ReLU that is ``x`` itself: its derivative, which is read from the outputs, is not needed where one is 0.
        """
        return self._after_dropout[layer].view_as(x) if self._after_dropout else x

    def _first_layer(self, numbers: Tensor) -> Tensor:
        """View the first layer of packed ``numbers``, bias last, as ``(networks, taps * in + 1, out)``."""
        out, *fan_in = self._spec.weight_shapes[0]
        return numbers[:, : (prod(fan_in) + 1) * out].unflatten(1, (-1, out))


def _activate(x: Tensor, spec: NetworkSpec) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Return the activation of ``x``, and the function that multiplies a gradient by the derivative at ``x``.

    ReLU, the activation of most zoos, overwrites ``x`` and, if it can, the gradient.
    """
    if spec.activation == "relu":
        after = activate(x, spec, overwrite=True)

        def multiply(gradient: Tensor) -> Tensor:
            gradient = gradient.contiguous()
            return torch.ops.aten.threshold_backward.grad_input(gradient, after, 0, grad_input=gradient)

        return after, multiply
    before = x.requires_grad_()
    with torch.enable_grad():
        after = activate(before, spec)
    return after.detach(), lambda gradient: torch.autograd.grad(after, before, gradient)[0]


def _per_picture(values: Tensor, like: Tensor) -> Tensor:
    """View ``(n, b, channels)`` so that it spreads over the positions of ``like``, if that has any."""
    return values if like.dim() == 3 else values[:, :, None, None, :]
