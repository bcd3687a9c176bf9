"""Gaussian Fourier features of every entry (Tancik et al. 2020)."""

from math import pi

import torch
from torch import Tensor, nn

from mnfn_cli.weightspace.features import WeightSpaceFeatures


class GaussianFourierFeatures(nn.Module):
    """Map every entry's channels ``x`` to ``[sin(2 pi B x), cos(2 pi B x)]``.

    ``B`` is drawn once, normal times ``scale``, and saved with the model; it is no parameter. Every kernel entry is
    mapped by itself. Scaling is lost here; under a sign flip the sines are odd and the cosines even, so in an
    invariant functional this stands behind the invariant step.

    Args:
        channels: of the features that come in.
        size: rows of ``B``.
        scale: standard deviation of its entries.

    Shapes:
        in ``(batch, channels, ...)``; out ``(batch, 2 * size, ...)``.
    """

    frequencies: Tensor

    def __init__(self, channels: int, size: int, scale: float) -> None:
        super().__init__()
        self.out_channels = 2 * size
        self.register_buffer("frequencies", torch.randn(size, channels) * scale)

    def forward(self, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        """Map."""
        return features.map(self._map)

    def _map(self, x: Tensor) -> Tensor:
        # Channels last, as the layers behind want them.
        phases = nn.functional.linear(x.movedim(1, -1), 2 * pi * self.frequencies)
        return torch.cat([phases.sin(), phases.cos()], dim=-1).movedim(-1, 1)
