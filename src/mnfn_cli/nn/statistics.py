"""Statistics of the weights of a network, tensor by tensor (Unterthiner et al. 2020)."""

import torch
from torch import Tensor, nn

from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec

QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)


class TensorStatistics(nn.Module):
    """Compute the mean, the unbiased variance and the quantiles 0, 1/4, 1/2, 3/4, 1 of every weight and bias tensor.

    Quantiles are interpolated linearly. The variance of a tensor with a single number is 0. The statistics are computed
    in float64 and clamped to the range of the features' dtype: the variance of weights of 1e30 is too large for
    float32.

    Args:
        spec: the weight space.

    Attributes:
        numbers: the length of the output, seven for each tensor.

    Shapes:
        The input is raw weights with one channel, the output ``(batch, numbers)``, in the order W(1), b(1), W(2), ...

    Source:
        Unterthiner et al. 2020.

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures
    >>> from mnfn_cli.nn import TensorStatistics
    >>> spec = NetworkSpec.mlp([2, 5, 4, 3], activation="tanh")
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2)
    >>> TensorStatistics(spec)(networks).shape
    torch.Size([2, 42])
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.numbers = 2 * spec.num_layers * (2 + len(QUANTILES))

    def forward(self, features: WeightSpaceFeatures) -> Tensor:
        """Return the statistics of all tensors, concatenated."""
        largest = torch.finfo(features.dtype).max
        joined = torch.cat([_statistics(tensor.flatten(1).double()) for tensor in features.tensors()], dim=1)
        return joined.clamp(-largest, largest).to(features.dtype)


def _statistics(numbers: Tensor) -> Tensor:
    """Return the seven statistics of each row of ``(batch, numbers)`` as ``(batch, 7)``."""
    variance = numbers.var(dim=1) if numbers.shape[1] > 1 else torch.zeros_like(numbers[:, 0])
    quantiles = torch.quantile(numbers, numbers.new_tensor(QUANTILES), dim=1)
    return torch.stack([numbers.mean(dim=1), variance, *quantiles], dim=1)
