"""A canonical form: one network for each class of networks that differ by scaling or sign flips."""

import torch
from torch import Tensor

from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.weightspace.spec import NetworkSpec


def canonicalize(features: WeightSpaceFeatures, spec: NetworkSpec) -> tuple[WeightSpaceFeatures, MonomialElement]:
    """Remove the freedom of scale or sign from every hidden neuron; the function stays.

    Layer after layer, on the weights already changed: for the scaling group a neuron's incoming weights and bias
    are divided by their joint norm and its outgoing weights multiplied by it; for the sign group a neuron is flipped
    where the sum of its incoming weights and bias is negative. A neuron whose incoming weights and bias are all 0 says
    0 to everything, and nothing fixes its scale or sign: its outgoing weights, which do nothing, become 0. The order of
    neurons stays as it is. Norms and sums are taken in float64.

    Args:
        features: ``(batch, channels, ...)``; a neuron's channels count together.
        spec: the weight space; for a permutation-only activation nothing changes.

    Returns:
        The canonical features, and the element ``g`` for which they are ``g.act(features)``, but for the outgoing
        weights of neurons that are silent.
    """
    element = MonomialElement.identity(spec, features.batch)
    if spec.group == "permutation":
        return features, element
    incoming = torch.ones(features.batch, spec.widths[0], dtype=torch.float64, device=features.device)
    weights, scales = list(features.weights), []
    for i, bias in enumerate(features.biases[:-1]):
        # (batch, neuron, inputs, channels * kernel), divided by what the layer before was multiplied by.
        blocks = weights[i].movedim(1, 3).flatten(3).double() / incoming[:, None, :, None]
        own = torch.cat([blocks.flatten(2), bias.movedim(1, 2).double()], dim=2)
        incoming = _canonical_sign(own) if spec.group == "sign" else _canonical_scale(own)
        scales.append(incoming)
        heard = (own != 0).any(dim=2)
        kernel = (1,) * (weights[i + 1].dim() - 4)
        weights[i + 1] = weights[i + 1] * heard.view(features.batch, 1, 1, -1, *kernel)
    element = MonomialElement(element.permutations, scales)
    return element.act(WeightSpaceFeatures(weights, features.biases)), element


def _canonical_scale(own: Tensor) -> Tensor:
    # The largest entry is taken out before squaring: 1e-200 squared would be 0.
    largest = own.abs().amax(dim=2)
    norm = largest * torch.linalg.vector_norm(own / torch.where(largest > 0, largest, 1.0)[:, :, None], dim=2)
    return torch.where(norm > 0, norm, 1.0).reciprocal()


def _canonical_sign(own: Tensor) -> Tensor:
    return torch.where(own.sum(dim=2) < 0, -1.0, 1.0).to(own.dtype)
