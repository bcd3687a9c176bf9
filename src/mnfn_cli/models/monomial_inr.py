"""The paper's monomial models for INRs: sign-equivariant layers in front of permutation-equivariant ones."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from mnfn_cli.errors import UsageError
from mnfn_cli.models.odd import OddFeatures
from mnfn_cli.models.permutation import PermutationClassifier, PermutationEditor
from mnfn_cli.nn.invariant import AbsoluteValue
from mnfn_cli.nn.monomial import MonomialLinear
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec


class MonomialClassifier(nn.Module):
    """Classify the picture inside an INR, invariant to permutations and sign flips.

    Sign-equivariant layers with an odd function between them, the absolute value, then a ``PermutationClassifier``.
    Without any such layer it is the model *absolute*.

    Args:
        spec: the weight space; its group is the sign group.
        channels: after each sign-equivariant layer; may be empty.
        activation, sign_terms, messages, unit_scale, keep_input: see ``OddFeatures``.
        classifier: what ``PermutationClassifier`` takes, without ``channels``.

    Shapes:
        in raw weights, one channel; out logits ``(batch, classes)``.

    Raises:
        UsageError: the weight space has no sign flips.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        channels: Sequence[int] = (),
        activation: str = "sin",
        sign_terms: bool = True,
        messages: bool = False,
        unit_scale: bool = False,
        keep_input: bool = False,
        **classifier: Any,
    ) -> None:
        super().__init__()
        if spec.group != "sign":
            raise UsageError("model.name", f"the absolute value is no invariant of {spec.activation} networks; use hnp")
        odd = OddFeatures(spec, channels, activation, sign_terms, messages, unit_scale, keep_input)
        classify = PermutationClassifier(spec, channels=odd.out_channels, **classifier)
        self.layers = nn.Sequential(odd, AbsoluteValue(), classify)

    def forward(self, features: WeightSpaceFeatures) -> Tensor:
        """Return logits."""
        logits: Tensor = self.layers(features)
        return logits


class MonomialEditor(nn.Module):
    """Edit an INR as published: sign-equivariant layers with nothing between or after them, then the NP editor.

    Not equivariant to sign flips, for Fourier features and ReLU follow; see ``StrictEditor``.

    Args:
        spec: the weight space; its group is the sign group.
        channels: after each sign-equivariant layer; the last is 1.
        sign_terms: see ``MonomialLinear``.
        editor: what ``PermutationEditor`` takes, without ``base``.

    Shapes:
        in and out raw weights, one channel.
    """

    def __init__(
        self, spec: NetworkSpec, channels: Sequence[int] = (16, 1), sign_terms: bool = True, **editor: Any
    ) -> None:
        super().__init__()
        if channels[-1] != 1:
            raise UsageError("model.channels", f"ends in {channels[-1]}; the editor behind it reads one channel")
        linear = [MonomialLinear(spec, d, e, sign_terms=sign_terms) for d, e in pairwise([1, *channels])]
        self.layers = nn.Sequential(*linear, PermutationEditor(spec, "np", **editor))

    def forward(self, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        """Return the change."""
        change: WeightSpaceFeatures = self.layers(features)
        return change
