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


class AbsoluteClassifier(nn.Module):
    """Classify the picture inside an INR by the absolute values of its weights: invariant to permutations and flips.

    Args:
        spec: the weight space; its group is the sign group.
        options: those of ``PermutationClassifier``.

    Shapes:
        in raw weights, one channel; out logits ``(batch, classes)``.

    Raises:
        UsageError: the networks have no sign flips.
    """

    def __init__(self, spec: NetworkSpec, **options: Any) -> None:
        super().__init__()
        _require_sign_flips(spec)
        classify = PermutationClassifier(spec, channels=1, **options)
        self.layers = nn.Sequential(nn.Identity(), AbsoluteValue(), classify)

    def forward(self, features: WeightSpaceFeatures) -> Tensor:
        """Return logits."""
        logits: Tensor = self.layers(features)
        return logits


class MonomialClassifier(nn.Module):
    """Classify the picture inside an INR, invariant to permutations and sign flips.

    Sign-equivariant layers with an odd function between them, the absolute value, then a ``PermutationClassifier``.

    Args:
        spec: the weight space; its group is the sign group.
        channels: the number of channels after each sign-equivariant layer.
        activation, sign_terms, messages, unit_scale, keep_input: options of ``OddFeatures``.
        options: those of ``PermutationClassifier``.

    Shapes:
        in raw weights, one channel; out logits ``(batch, classes)``.

    Raises:
        UsageError: the networks have no sign flips.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        channels: Sequence[int],
        activation: str,
        sign_terms: bool,
        messages: bool,
        unit_scale: bool,
        keep_input: bool,
        **options: Any,
    ) -> None:
        super().__init__()
        _require_sign_flips(spec)
        odd = OddFeatures(spec, channels, activation, sign_terms, messages, unit_scale, keep_input)
        classify = PermutationClassifier(spec, channels=odd.out_channels, **options)
        self.layers = nn.Sequential(odd, AbsoluteValue(), classify)

    def forward(self, features: WeightSpaceFeatures) -> Tensor:
        """Return logits."""
        logits: Tensor = self.layers(features)
        return logits


def _require_sign_flips(spec: NetworkSpec) -> None:
    if spec.group != "sign":
        raise UsageError("model.name", f"the absolute value is no invariant of {spec.activation} networks; use hnp")


class MonomialEditor(nn.Module):
    """Edit an INR as published: sign-equivariant layers with nothing between or after them, then the NP editor.

    Not equivariant to sign flips, for Fourier features and ReLU follow; see ``StrictEditor``.

    Args:
        spec: the weight space; its group is the sign group.
        channels: the number of channels after each sign-equivariant layer; the last one is 1.
        sign_terms: whether the layers have the terms that only the sign group allows (``MonomialLinear``).
        editor: further arguments of ``PermutationEditor``.

    Shapes:
        in and out raw weights, one channel.
    """

    def __init__(self, spec: NetworkSpec, channels: Sequence[int], sign_terms: bool, **editor: Any) -> None:
        super().__init__()
        if channels[-1] != 1:
            raise UsageError("model.channels", f"ends in {channels[-1]}; the editor behind it reads one channel")
        linear = [MonomialLinear(spec, d, e, sign_terms=sign_terms) for d, e in pairwise([1, *channels])]
        self.layers = nn.Sequential(*linear, PermutationEditor(spec, "np", **editor))

    def forward(self, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        """Return the change."""
        change: WeightSpaceFeatures = self.layers(features)
        return change
