"""Gaussian Fourier features of every entry (Tancik et al. 2020)."""

from math import pi

import torch
from torch import Tensor, nn

from mnfn_cli.weightspace.features import WeightSpaceFeatures


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
    """

    frequencies: Tensor

    def __init__(self, channels: int, size: int, scale: float) -> None:
        super().__init__()
        self.out_channels = 2 * size
        self.register_buffer("frequencies", torch.randn(size, channels) * scale)

    def forward(self, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        """Return the Fourier features of every entry."""
        return features.map(self._map)

    def _map(self, x: Tensor) -> Tensor:
        # Channels last, as the layers behind want them.
        phases = nn.functional.linear(x.movedim(1, -1), 2 * pi * self.frequencies)
        return torch.cat([phases.sin(), phases.cos()], dim=-1).movedim(-1, 1)
