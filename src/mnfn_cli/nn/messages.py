"""Products of features along the edges of a network: non-linear maps that commute with the monomial group.

An equivariant linear layer never combines a hidden weight with its neurons' biases. These products do.
"""

import torch
from torch import Tensor, nn

from mnfn_cli.errors import UsageError
from mnfn_cli.nn.monomial import MonomialLinear
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec


class EdgeMessages(nn.Module):
    """Multiply every weight by its neurons' features and sum over neurons, for each channel separately.

    For the sign group, with ``b(0) = 1``, means over kernel entries where a product has none, and the same product at
    every kernel entry where it has some:

        b'(i)[j]    = mean_k W(i)[j,k] b(i-1)[k] + mean_p W(i+1)[p,j] b(i+1)[p]
        W'(i)[j,k]  = b(i)[j] b(i-1)[k]

    For the scaling group the same sums are taken in the canonical frame, in which a neuron's incoming weights and bias
    have the joint norm 1, and come back with the neuron's canonical scale ``s``. There ``V`` and ``c`` are ``W`` and
    ``b`` in that frame, and every output of the network counts as a neuron:

        b'(i)[j]    = s(i)[j] (mean_k V(i)[j,k] c(i-1)[k] + mean_p V(i+1)[p,j] c(i+1)[p])
        W'(i)[j,k]  = W(i)[j,k] c(i)[j] c(i-1)[k]

    A neuron whose incoming weights and bias are all 0 has the scale 0 here, so it gets the message 0. Since ``|V|`` and
    ``|c|`` are at most 1, ``|b'(i)[j]| <= 2 s(i)[j]`` and ``|W'| <= |W|``. docs/symmetries.md has the proofs.

    Args:
        spec: a weight space with the sign or the scaling group.

    Shapes:
        The input and the output are ``(batch, channels, out, in, *kernel)`` and ``(batch, channels, out)``.

    Raises:
        UsageError: the networks' activation allows permutations only.

    Source:
        mnfn's own (docs/symmetries.md).

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures
    >>> from mnfn_cli.nn import EdgeMessages
    >>> spec = NetworkSpec.mlp([2, 5, 4, 3], activation="tanh")
    >>> from mnfn_cli.testing import assert_equivariant
    >>> assert_equivariant(EdgeMessages(spec), spec, channels=2)
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        if spec.group == "permutation":
            raise UsageError("EdgeMessages", f"{spec.activation} networks have permutation symmetry only")
        self.spec = spec

    def forward(self, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        """Return the products."""
        if self.spec.group == "sign":
            return WeightSpaceFeatures(_pairs(features), _arriving(features))
        frame, scales = canonical_frame(features)
        pairs = zip(features.weights, _pairs(frame), strict=True)
        messages = zip(scales, _arriving(frame), strict=True)
        return WeightSpaceFeatures(
            [weight * pair for weight, pair in pairs], [scale[:, None] * message for scale, message in messages]
        )


class MessageLayer(nn.Module):
    """A ``MonomialLinear`` that reads ``EdgeMessages`` of its input beside the input; it stands in for a linear layer.

        E(x) = MonomialLinear(x, EdgeMessages(x))

    It is equivariant, being composed of equivariant maps. It has the parameters of ``MonomialLinear`` with
    ``2 in_channels`` input channels, and is not complete: other equivariant maps of degree 2 exist.

    Args:
        spec: the weight space; its activation chooses the group.
        in_channels, out_channels, sign_terms: as of ``MonomialLinear``.

    Shapes:
        The input is ``(batch, in_channels, out, in, *kernel)`` and ``(batch, in_channels, out)``; the output has
        ``out_channels`` channels instead.

    Raises:
        UsageError: the activation of the networks allows permutations only.

    Source:
        mnfn's own (docs/symmetries.md).

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures
    >>> from mnfn_cli.nn import MessageLayer
    >>> spec = NetworkSpec.mlp([2, 5, 4, 3], activation="tanh")
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2)
    >>> MessageLayer(spec, 1, 6)(networks).channels
    6
    """

    def __init__(self, spec: NetworkSpec, in_channels: int, out_channels: int, *, sign_terms: bool = True) -> None:
        super().__init__()
        self.linear = MonomialLinear(spec, 2 * in_channels, out_channels, sign_terms=sign_terms)
        self.messages = EdgeMessages(spec)

    def forward(self, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        """Return the image of the features under the map."""
        image: WeightSpaceFeatures = self.linear(features.beside(self.messages(features)))
        return image


def canonical_frame(features: WeightSpaceFeatures) -> tuple[WeightSpaceFeatures, list[Tensor]]:
    """Return features of the scaling group in the frame where the incoming numbers of every neuron have norm 1.

    Args:
        features: features with any number of channels, whose norms are taken over all of them.

    Returns:
        The features in the frame, and the scales ``s(1), ..., s(L)`` of the neurons, ``(batch, n_i)``, which the group
        multiplies by its factors (those of the outputs it does not change). The scale of a neuron whose incoming
        weights and bias are all 0 is 0, and so are its numbers in the frame.
    """
    weights, biases = [], []
    scales = [features.biases[0].new_ones(features.batch, features.weights[0].shape[3])]
    for weight, bias in zip(features.weights, features.biases, strict=True):
        kernel = (1,) * (weight.dim() - 4)
        weight = weight * scales[-1].view(features.batch, 1, 1, -1, *kernel)
        rows = torch.cat([weight.transpose(1, 2).flatten(2), bias.transpose(1, 2)], dim=2)
        # Numbers near the ends of their dtype would vanish or overflow when they are squared, as would the gradients of
        # their quotients. So the largest is divided out first; it is held constant, as no result depends on it.
        largest = rows.detach().abs().amax(dim=2)
        active = largest >= torch.finfo(rows.dtype).tiny
        divisor = torch.where(active, largest, 1.0)[:, None]
        norm = torch.linalg.vector_norm(rows / divisor[:, 0, :, None], dim=2)
        scales.append(largest * norm)
        norm = torch.where(active, norm, 1.0)[:, None]
        weights.append(weight / divisor.view(*divisor.shape, 1, *kernel) / norm.view(*norm.shape, 1, *kernel))
        biases.append(bias / divisor / norm)
    return WeightSpaceFeatures(weights, biases), scales[1:]


def _pairs(features: WeightSpaceFeatures) -> list[Tensor]:
    """Return the product of both neurons' biases for every weight; inputs count as 1."""
    products = []
    for i, (weight, bias) in enumerate(zip(features.weights, features.biases, strict=True)):
        product = bias[:, :, :, None]
        if i > 0:
            product = product * features.biases[i - 1][:, :, None, :]
        products.append(product.view(*product.shape, *(1,) * (weight.dim() - 4)).expand_as(weight))
    return products


def _arriving(features: WeightSpaceFeatures) -> list[Tensor]:
    """Return what arrives at every neuron along its edges: means of weights times the biases at their other ends."""
    edges = [weight.flatten(4).mean(dim=4) if weight.dim() > 4 else weight for weight in features.weights]
    messages = [torch.zeros_like(bias) for bias in features.biases]
    for i in range(1, len(edges)):
        before, after = features.biases[i - 1], features.biases[i]
        messages[i] = messages[i] + torch.einsum("bcjk,bck->bcj", edges[i], before) / edges[i].shape[3]
        messages[i - 1] = messages[i - 1] + torch.einsum("bcpj,bcp->bcj", edges[i], after) / edges[i].shape[2]
    return messages
