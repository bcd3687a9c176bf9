"""Bring the tensors of a network to one size, without looking at data."""

from math import sqrt

from torch import nn

from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec


class UnitScale(nn.Module):
    """Divide every tensor by the standard deviation that it has in a SIREN before training.

    A SIREN's first weights are 10 times as large as its hidden ones, so functions of entries, Fourier features above
    all, would resolve one tensor and not the other. A fixed factor for each tensor commutes with the sign group.

    Args:
        spec: of the networks; the start is uniform within ``1 / n_0`` for ``W(1)``, ``sqrt(6 / n) / omega`` for other
            weights, ``1 / sqrt(n)`` for biases (Sitzmann et al. 2020), with ``n`` the layer's inputs.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        inputs = spec.widths[:-1]
        self.weights = [sqrt(3) * n if i == 0 else spec.omega * sqrt(n / 2) for i, n in enumerate(inputs)]
        self.biases = [sqrt(3 * n) for n in inputs]

    def forward(self, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        """Multiply by the fixed factors."""
        return WeightSpaceFeatures(
            [weight * factor for weight, factor in zip(features.weights, self.weights, strict=True)],
            [bias * factor for bias, factor in zip(features.biases, self.biases, strict=True)],
        )
