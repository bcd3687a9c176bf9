"""Tell NP layers which input and which output a weight belongs to."""

from math import pi

import torch
from torch import Tensor, nn

from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec


class InputOutputEncoding(nn.Module):
    """Append ``sin(pi f t)..., cos(pi f t)..., t`` to the channels of every tensor.

    ``t`` is spread over [-1, 1] by the neuron's index (one neuron: -1), the bands ``f`` linearly from 1 to
    ``max_freq / 2``. ``W(1)`` is encoded by its input neuron, ``W(L)`` and ``b(L)`` by their output neuron; the new
    channels of every other tensor are 0.

    Args:
        spec: the weight space.
        bands: number of frequencies.
        max_freq: twice the highest.

    Shapes:
        in ``(batch, channels, ...)``; out ``(batch, channels + 2 * bands + 1, ...)``.
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
        """Append."""
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
