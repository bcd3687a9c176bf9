"""One learned number a tensor, so that an editor starts with small changes."""

import torch
from torch import nn

from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec


class LearnedScale(nn.Module):
    """Multiply every tensor ``W(i)``, ``b(i)`` by a learned number.

    Args:
        spec: the weight space.
        start: of every number.
    """

    def __init__(self, spec: NetworkSpec, start: float = 0.01) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.full((spec.num_layers,), start))
        self.biases = nn.Parameter(torch.full((spec.num_layers,), start))

    def forward(self, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        """Multiply."""
        return WeightSpaceFeatures(
            [weight * scale for weight, scale in zip(features.weights, self.weights, strict=True)],
            [bias * scale for bias, scale in zip(features.biases, self.biases, strict=True)],
        )
