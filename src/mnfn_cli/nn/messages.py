"""Products of odd features along the edges of the network: a non-linear map that commutes with the sign group."""

import torch
from torch import Tensor, nn

from mnfn_cli.errors import UsageError
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec


class SignMessages(nn.Module):
    """Let neurons and weights exchange messages, channel by channel.

    A weight carries the signs of both its neurons, a bias that of its neuron. So the products

        b'(i)[j]    = mean_k W(i)[j,k] b(i-1)[k] + mean_p W(i+1)[p,j] b(i+1)[p]
        W'(i)[j,k]  = b(i)[j] b(i-1)[k]

    carry just the signs of their places, for ``d^2 = 1``. Inputs and outputs have no sign: there ``b(0) = 1``, and a
    weight of the last layer takes ``b(L-1)[k]`` times ``b(L)[j]``, which are allowed to meet. A linear layer alone
    never compares a hidden weight with its neurons; after this one it can, and the absolute value of the result tells
    whether their signs agree, which no permutation or flip changes.

    Kernel entries are not supported: the networks are dense.

    Args:
        spec: a weight space with the sign group.

    Shapes:
        in and out ``(batch, channels, out, in)`` and ``(batch, channels, out)``.

    Raises:
        UsageError: another group, or convolutions.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        if spec.group != "sign" or spec.kernels:
            raise UsageError("SignMessages", f"needs a dense network with sign flips, not {spec}")

    def forward(self, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        """Exchange messages."""
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
