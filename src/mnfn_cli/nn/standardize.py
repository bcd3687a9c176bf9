"""Bring every tensor of a zoo's networks to mean 0 and standard deviation 1."""

import torch
from torch import Tensor, nn

from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec

SMALLEST = 1e-5


class Standardize(nn.Module):
    """Map ``w`` to ``(w - mean) / std``, with one mean and one standard deviation for each weight or bias tensor.

    One of each for every entry, as in the published code, would break the symmetry under permutations. They are no
    parameters: ``fit`` takes them from the training networks, and they are saved with the model. Before, they are
    0 and 1.

    Args:
        spec: the weight space.
    """

    means: Tensor
    deviations: Tensor

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.register_buffer("means", torch.zeros(2 * spec.num_layers))
        self.register_buffer("deviations", torch.ones(2 * spec.num_layers))

    @torch.no_grad()
    def fit(self, features: WeightSpaceFeatures) -> None:
        """Take mean and deviation from these networks; a deviation below ``SMALLEST`` counts as 1."""
        for number, tensor in enumerate(features.tensors()):
            deviation, mean = torch.std_mean(tensor.double(), correction=0)
            self.means[number] = mean
            self.deviations[number] = deviation if deviation >= SMALLEST else 1.0

    def forward(self, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        """Standardise."""
        tensors = [
            (tensor - mean) / deviation
            for tensor, mean, deviation in zip(features.tensors(), self.means, self.deviations, strict=True)
        ]
        return WeightSpaceFeatures(tensors[0::2], tensors[1::2])
