"""Fourier features of every entry, and codes that tell layers which input and output a weight belongs to."""

from math import pi
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from mnfn_cli.nn.entries import SummedFeatures
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec


class GaussianFourierFeatures(nn.Module):
    """Map every entry's channels ``x`` to ``[sin(2 pi B x), cos(2 pi B x)]``.

    The matrix ``B`` has ``size`` rows and ``channels`` columns. Its entries are drawn once from a normal distribution;
    it is a buffer, saved with the model and not trained. Every kernel entry is mapped separately. The layer commutes
    with permutations but not with scaling, and under a sign flip its sines change sign while its cosines do not. An
    invariant functional therefore uses it after the invariant step.

    Args:
        channels: the number of channels of the input.
        size: the number of frequencies.
        scale: the standard deviation of the entries of ``B``.

    Shapes:
        The input is ``(batch, channels, ...)``, the output ``(batch, 2 * size, ...)``.

    Source:
        Tancik et al. 2020; the published NP configurations of Zhou et al. 2023.

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures
    >>> from mnfn_cli.nn import GaussianFourierFeatures
    >>> spec = NetworkSpec.mlp([2, 8, 8, 1], activation="sin", omega=15.0)
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2)
    >>> GaussianFourierFeatures(1, size=8, scale=3.0)(networks).channels
    16
    """

    frequencies: Tensor

    def __init__(self, channels: int, size: int, scale: float) -> None:
        super().__init__()
        self.out_channels = 2 * size
        self.register_buffer("frequencies", torch.randn(size, channels) * scale)

    def forward(self, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        """Return the Fourier features of every entry."""
        weights = [self._encode(weight) for weight in features.weights]
        return WeightSpaceFeatures(weights, [self._encode(bias) for bias in features.biases])

    def _encode(self, x: Tensor) -> Tensor:
        # Channels last, as the layers behind want them.
        phases = nn.functional.linear(x.movedim(1, -1), 2 * pi * self.frequencies)
        waves: Tensor = _SinesAndCosines.apply(phases)
        return waves.movedim(-1, 1)


class _SinesAndCosines(torch.autograd.Function):
    """Map ``(..., n)`` to ``[sin, cos]``, ``(..., 2n)``. Each is the derivative of the other and is computed once."""

    @staticmethod
    def forward(ctx: Any, phases: Tensor) -> Tensor:
        waves = torch.cat([phases.sin(), phases.cos()], dim=-1)
        ctx.save_for_backward(waves)
        return waves

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        sines, cosines = ctx.saved_tensors[0].chunk(2, dim=-1)
        of_sines, of_cosines = gradient.chunk(2, dim=-1)
        return (of_sines * cosines).addcmul_(of_cosines, sines, value=-1)


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

    Source:
        Zhou et al. 2023 (Permutation equivariant neural functionals).

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures
    >>> from mnfn_cli.nn import InputOutputEncoding
    >>> spec = NetworkSpec.mlp([2, 8, 8, 1], activation="sin", omega=15.0)
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2)
    >>> InputOutputEncoding(spec, bands=4, max_freq=10.0)(networks).channels
    10
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


class InputOutputEmbedding(nn.Module):
    """Add a learned vector for each input neuron to ``W(1)`` and for each output neuron to ``W(L)`` and ``b(L)``.

    With ``d`` channels: ``(d, *kernel, n_0)`` numbers are added to ``W(1)``, the same for all its neurons,
    ``(d, *kernel, n_L)`` to ``W(L)`` and ``(d, n_L)`` to ``b(L)``. They are initialised from a standard normal
    distribution.

    Args:
        spec: the weight space.
        channels: the number ``d`` of channels of the features.

    Shapes:
        The input and the output are ``(batch, d, out, in, *kernel)`` and ``(batch, d, out)``.

    Source:
        Zhou et al. 2023 (Permutation equivariant neural functionals).

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures
    >>> from mnfn_cli.nn import InputOutputEmbedding
    >>> spec = NetworkSpec.mlp([2, 5, 4, 3], activation="tanh")
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2)
    >>> InputOutputEmbedding(spec, 1)(networks).weights[0].shape
    torch.Size([2, 1, 5, 2])
    """

    def __init__(self, spec: NetworkSpec, channels: int) -> None:
        super().__init__()
        n_0, n_L = spec.widths[0], spec.widths[-1]
        self.inputs = nn.Parameter(torch.randn(channels, 1, n_0, *spec.weight_shapes[0][2:]))
        self.outputs = nn.Parameter(torch.randn(channels, n_L, 1, *spec.weight_shapes[-1][2:]))
        self.output_biases = nn.Parameter(torch.randn(channels, n_L))

    def forward(self, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        """Return the features with the learned vectors added."""
        first, *middle, last = features.weights
        weights = [first + self.inputs, *middle, last + self.outputs]
        biases = [*features.biases[:-1], features.biases[-1] + self.output_biases]
        if isinstance(features, SummedFeatures):
            return features.replaced(weights, biases)
        return WeightSpaceFeatures(weights, biases)
