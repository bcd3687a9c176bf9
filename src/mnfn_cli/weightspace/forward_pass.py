"""The forward pass of many networks at once."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mnfn_cli.errors import UsageError
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.weightspace.spec_checks import check_input_size


def activate(x: Tensor, spec: NetworkSpec) -> Tensor:
    """Apply the activation of the networks to every entry of ``x``; for a SIREN this is ``sin(omega * x)``."""
    match spec.activation:
        case "sin":
            return torch.sin(spec.omega * x)
        case "tanh" | "sigmoid":
            return getattr(torch, spec.activation)(x)
        case name:
            return getattr(F, name)(x)


def run_networks(spec: NetworkSpec, features: WeightSpaceFeatures, inputs: Tensor) -> Tensor:
    """Evaluate every network of a batch on every input, in the features' dtype.

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
    x = normalized(inputs.to(features.dtype), spec)
    x = x.expand(features.batch, *x.shape) if shared else x
    last = len(features) - 1
    for i, (weight, bias) in enumerate(zip(features.weights, features.biases, strict=True)):
        if i < len(spec.kernels):
            x = _convolve(x, weight[:, 0], bias[:, 0], spec.strides[i], spec.paddings[i])
        else:
            x = torch.baddbmm(bias, x, weight[:, 0].transpose(1, 2))
        pool = spec.pools[i] if i < len(spec.pools) else None
        if pool is not None and pool.before:
            x = pool(x)
        if i != last:
            x = activate(x, spec)
        if pool is not None and not pool.before:
            x = pool(x)
        if i == len(spec.kernels) - 1:
            x = x.mean(dim=(-2, -1))
    return x + spec.output_offset if spec.output_offset else x


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


def _convolve(x: Tensor, weight: Tensor, bias: Tensor, stride: tuple[int, int], padding: tuple[int, int]) -> Tensor:
    """Convolve ``(batch, inputs, in, height, width)`` with the kernels of each network, as a grouped convolution."""
    batch, inputs, channels = x.shape[:3]
    grouped = x.transpose(0, 1).reshape(inputs, batch * channels, *x.shape[3:])
    y = F.conv2d(grouped, weight.flatten(0, 1), bias.flatten(), stride, padding, groups=batch)
    return y.view(inputs, batch, -1, *y.shape[2:]).transpose(0, 1)
