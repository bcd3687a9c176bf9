"""An encoding of the position of inputs and outputs, so that NP layers can tell them apart."""

from math import pi

import torch
from torch import Tensor, nn

from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec


class InputOutputEncoding(nn.Module):
    """Append ``sin(pi f t)..., cos(pi f t)..., t`` to the channels of every tensor.

    The position ``t`` grows linearly with the index of the neuron, from -1 to 1; a single neuron has ``t = -1``. The
    frequencies ``f`` grow linearly from 1 to ``max_freq / 2``. In ``W(1)`` the position is that of the input neuron, in
    ``W(L)`` and ``b(L)`` that of the output neuron. The new channels of every other tensor are 0.

    Args:
        spec: the weight space.
        bands: the number of frequencies.
        max_freq: twice the highest frequency.

    Attributes:
        extra_channels: the number of channels that are appended, ``2 * bands + 1``.

    Shapes:
        The input is ``(batch, channels, ...)``, the output ``(batch, channels + 2 * bands + 1, ...)``.
    """

    inputs: Tensor
    outputs: Tensor

    def __init__(self, spec: NetworkSpec, bands: int, max_freq: float) -> None:
        super().__init__()
        self.extra_channels = 2 * bands + 1
        frequencies = torch.linspace(1.0, max_freq / 2, bands)
        self.register_buffer("inputs", _encode(spec.widths[0], frequencies), persistent=False)
        self.register_buffer("outputs", _encode(spec.widths[-1], frequencies), persistent=False)

    def forward(self, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        """Return the features with the encoding appended to their channels."""
        last = len(features) - 1
        weights, biases = [], []
        for i, (weight, bias) in enumerate(zip(features.weights, features.biases, strict=True)):
            kernel = (1,) * (weight.dim() - 4)
            if i == 0:
                code = self.inputs.view(-1, 1, self.inputs.shape[1], *kernel)
            elif i == last:
                code = self.outputs.view(-1, self.outputs.shape[1], 1, *kernel)
            else:
                code = None
            weights.append(_append(weight, code, self.extra_channels))
            biases.append(_append(bias, self.outputs if i == last else None, self.extra_channels))
        return WeightSpaceFeatures(weights, biases)


def _encode(neurons: int, frequencies: Tensor) -> Tensor:
    """Return ``(2 * bands + 1, neurons)``."""
    places = torch.linspace(-1.0, 1.0, neurons)
    phases = pi * frequencies[:, None] * places
    return torch.cat([phases.sin(), phases.cos(), places[None]])


def _append(x: Tensor, code: Tensor | None, channels: int) -> Tensor:
    shape = (x.shape[0], channels, *x.shape[2:])
    extra = x.new_zeros(1).expand(shape) if code is None else code.to(x.dtype).expand(shape)
    # Channels last in memory, as the layers behind want them.
    return torch.cat([x.movedim(1, -1), extra.movedim(1, -1)], dim=-1).movedim(-1, 1)
