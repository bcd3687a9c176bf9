"""An INR editor that is equivariant to permutations and sign flips: sign-equivariant features times gates."""

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
    """Map an INR's weights ``x`` to a change with ``delta(g x) = g delta(x)`` for every ``g`` in the sign group.

        delta(x) = s * sum_c gate_c(x) * tanh(sharpness * E_c(x))

    ``E`` are sign-equivariant features, the raw weights among them (``OddFeatures``), and ``s`` is a learned scale for
    each tensor. The gates are a ``PermutationStack`` applied to ``|E|``, so a sign flip does not change them, and a
    permutation permutes them. No sign flip changes the output bias ``b(L)``; there the gates read ``E`` itself, and the
    change is ``s * sum_c gate_c(x)``.

    Args:
        spec: the weight space of the INRs.
        channels: the number of output channels of each sign-equivariant layer.
        base_channels: the number of output channels of each NP layer of the gates.
        sharpness: the factor inside ``tanh``; the larger it is, the closer ``tanh`` comes to the sign function.
        fourier, encoding: arguments of the gates' ``PermutationStack``.
        odd: the arguments of ``OddFeatures`` other than ``spec``, ``channels`` and ``keep_input``.

    Shapes:
        The input and the output are ``(batch, 1, out, in)`` and ``(batch, 1, out)``.

    Source:
        mnfn's own, on the layers of paper, Theorem 5.1.

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures, build_model
    >>> spec = NetworkSpec.mlp([2, 8, 8, 1], activation="sin", omega=15.0)
    >>> model = build_model("editing/monomial-strict", spec)
    >>> from mnfn_cli.testing import assert_equivariant
    >>> assert_equivariant(model.double(), spec)
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
        """Return the change, which the caller adds to the weights."""
        odd: WeightSpaceFeatures = self.odd(features)
        gates = self.gates(without_signs(odd))
        change = odd.zip_map(self._gated, gates)
        biases = [*change.biases[:-1], gates.biases[-1].sum(dim=1, keepdim=True)]
        scaled: WeightSpaceFeatures = self.scale(WeightSpaceFeatures(change.weights, biases))
        return scaled

    def _gated(self, odd: Tensor, gate: Tensor) -> Tensor:
        return (gate * torch.tanh(self.sharpness * odd)).sum(dim=1, keepdim=True)


def without_signs(features: WeightSpaceFeatures) -> WeightSpaceFeatures:
    """Return the absolute values of all tensors but ``b(L)``, which no sign flip changes."""
    weights = [weight.abs() for weight in features.weights]
    return WeightSpaceFeatures(weights, [*(bias.abs() for bias in features.biases[:-1]), features.biases[-1]])
