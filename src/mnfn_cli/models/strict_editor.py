"""An editor that commutes with permutations and sign flips: odd features times gates."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mnfn_cli.models.odd import OddFeatures
from mnfn_cli.models.permutation import LAYERS, PermutationStack
from mnfn_cli.nn.scaling import LearnedScale
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec


class StrictEditor(nn.Module):
    """Return a change of weights for which ``delta(g x) = g delta(x)``, for every element ``g`` of the sign group.

        delta(x) = s * sum_c gate_c(x) * tanh(sharpness * E_c(x))

    The odd features ``E`` are the raw weights and learned ones (``OddFeatures``); the gates are a stack on ``|E|``,
    which no flip changes, equivariant to permutations. Odd times even is odd, and everything is continuous. The output
    bias ``b(L)`` is flipped by nothing, so there the gates see ``E`` itself and stand alone.

    Args:
        spec: the weight space; its group is the sign group.
        channels: the number of channels after each sign-equivariant layer.
        base_channels: the number of channels after each NP layer of the gates.
        sharpness: the factor inside the tanh; the larger it is, the more only the sign of an odd feature counts.
        fourier, encoding: what stands in front of the gates' NP layers (``PermutationStack``).
        odd: further arguments of ``OddFeatures``.

    Shapes:
        in and out raw weights, one channel.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        channels: Sequence[int],
        base_channels: Sequence[int],
        sharpness: float,
        fourier: dict[str, Any] | None = None,
        encoding: dict[str, Any] | None = None,
        **odd: Any,
    ) -> None:
        super().__init__()
        self.odd = OddFeatures(spec, channels, keep_input=True, **odd)
        self.sharpness = sharpness
        number = self.odd.out_channels
        self.gates = nn.Sequential(
            PermutationStack(spec, number, "np", base_channels, fourier, encoding),
            LAYERS["np"](spec, base_channels[-1], number),
        )
        self.scale = LearnedScale(spec)

    def forward(self, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        """Return the change."""
        odd: WeightSpaceFeatures = self.odd(features)
        gates = self.gates(without_signs(odd))
        change = odd.zip_map(self._gated, gates)
        biases = [*change.biases[:-1], gates.biases[-1].sum(dim=1, keepdim=True)]
        scaled: WeightSpaceFeatures = self.scale(WeightSpaceFeatures(change.weights, biases))
        return scaled

    def _gated(self, odd: Tensor, gate: Tensor) -> Tensor:
        return (gate * torch.tanh(self.sharpness * odd)).sum(dim=1, keepdim=True)


def without_signs(features: WeightSpaceFeatures) -> WeightSpaceFeatures:
    """Return absolute values, but ``b(L)`` as it is: no sign flip reaches it."""
    weights = [weight.abs() for weight in features.weights]
    return WeightSpaceFeatures(weights, [*(bias.abs() for bias in features.biases[:-1]), features.biases[-1]])
