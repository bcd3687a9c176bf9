"""Statistics of whole tensors: what a network's weights look like from far away (Unterthiner et al. 2020)."""

import torch
from torch import Tensor, nn

from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec

QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)


class TensorStatistics(nn.Module):
    """Return mean, unbiased variance and linear quantiles 0, 1/4, 1/2, 3/4, 1 of every tensor ``W(1)``, ``b(1)``, ...

    The variance of a tensor of one number is 0. All is computed in float64, and what the features' dtype cannot hold
    becomes its largest number: weights of 1e30 have a variance that float32 has no room for.

    Args:
        spec: the weight space.

    Shapes:
        in raw weights, one channel; out ``(batch, 7 * tensors)``.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.numbers = 2 * spec.num_layers * (2 + len(QUANTILES))

    def forward(self, features: WeightSpaceFeatures) -> Tensor:
        """Compute."""
        largest = torch.finfo(features.dtype).max
        joined = torch.cat([_statistics(tensor.flatten(1).double()) for tensor in features.tensors()], dim=1)
        return joined.clamp(-largest, largest).to(features.dtype)


def _statistics(numbers: Tensor) -> Tensor:
    """Return the seven statistics of each row, ``(batch, 7)``."""
    variance = numbers.var(dim=1) if numbers.shape[1] > 1 else torch.zeros_like(numbers[:, 0])
    quantiles = torch.quantile(numbers, numbers.new_tensor(QUANTILES), dim=1)
    return torch.stack([numbers.mean(dim=1), variance, *quantiles], dim=1)
