"""Products of odd features along the edges of the network: a non-linear map that commutes with the sign group."""

import torch
from torch import Tensor, nn

from mnfn_cli.errors import UsageError
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec


class SignMessages(nn.Module):
    """Multiply every weight by its neurons' features and sum over neurons, for each channel separately.

    A sign flip multiplies a weight by the signs of both its neurons and a bias by that of its neuron. So the products

        b'(i)[j]    = mean_k W(i)[j,k] b(i-1)[k] + mean_p W(i+1)[p,j] b(i+1)[p]
        W'(i)[j,k]  = b(i)[j] b(i-1)[k]

    are multiplied by the same signs as ``b(i)[j]`` and ``W(i)[j,k]`` (since ``d^2 = 1``), and the layer commutes with
    the group. Inputs and outputs are not flipped: ``b(0)`` is taken as 1, and ``b(L)`` may be multiplied with
    ``b(L-1)``. An equivariant linear layer alone never combines a hidden weight with its neurons' biases. After this
    layer it can, and the absolute value of the result shows whether their signs agree, which no permutation and no flip
    changes.

    The networks must be dense; kernel entries are not supported.

    Args:
        spec: a weight space with the sign group.

    Shapes:
        The input and the output are ``(batch, channels, out, in)`` and ``(batch, channels, out)``.

    Raises:
        UsageError: the weight space has another group, or convolutions.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        if spec.group != "sign" or spec.kernels:
            raise UsageError("SignMessages", f"needs a dense network with sign flips, not {spec}")

    def forward(self, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        """Return the products."""
        last = len(features) - 1
        weights: list[Tensor] = []
        biases: list[Tensor] = []
        for i, (weight, bias) in enumerate(zip(features.weights, features.biases, strict=True)):
            arriving = torch.zeros_like(bias)
            if i > 0:
                before = features.biases[i - 1]
                arriving = arriving + torch.einsum("bcjk,bck->bcj", weight, before) / weight.shape[3]
                weights.append(bias[:, :, :, None] * before[:, :, None, :])
            else:
                weights.append(bias[:, :, :, None].expand_as(weight))
            if i < last:
                after, behind = features.weights[i + 1], features.biases[i + 1]
                arriving = arriving + torch.einsum("bcpj,bcp->bcj", after, behind) / after.shape[2]
            biases.append(arriving)
        return WeightSpaceFeatures(weights, biases)
