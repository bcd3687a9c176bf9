"""Bring weights of any size to one that float32 can square and divide."""

import torch
from torch import nn

from mnfn_cli.nn.blocks import equivariant_blocks
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec


class RescalePositions(nn.Module):
    """Divide the entries at each position of each block (``nn.blocks``) by the largest of them.

    Every layer up to ``NormalizeEntries`` treats a position by itself and is homogeneous: a positive factor on a
    position's entries comes out as the same factor, and normalisation removes it. So this step changes nothing that a
    scale-invariant functional computes. But weights that decayed to 1e-30, or networks that were rescaled by as much,
    would have gradients of 1e30 or overflow on the way. ``b(L)``, which is not normalised, is left alone.

    Args:
        spec: a weight space with the scaling group.

    Shapes:
        in and out ``(batch, channels, out, in, *kernel)`` and ``(batch, channels, out)``; zero positions stay zero.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        *homogeneous, _ = equivariant_blocks(spec, sign_terms=False)
        self.families = [family for block in homogeneous for family in block]

    def forward(self, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        """Rescale."""
        weights, biases = list(features.weights), list(features.biases)
        for family in self.families:
            taken = [part.take(features) for part in family]
            largest = torch.stack([values.detach().abs().amax(dim=2, keepdim=True) for values in taken]).amax(dim=0)
            divisor = torch.where(largest > 0, largest, 1.0)
            for part, values in zip(family, taken, strict=True):
                tensors = weights if part.kind == "W" else biases
                tensors[part.layer - 1] = part.put(values / divisor, features.channels)
        return WeightSpaceFeatures(weights, biases)
