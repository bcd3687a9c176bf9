"""The paper's monomial models for INRs: sign-equivariant layers followed by permutation-equivariant ones."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

from torch import Tensor, nn

from mnfn_cli.errors import UsageError
from mnfn_cli.models.odd import OddFeatures
from mnfn_cli.models.permutation import PermutationClassifier, PermutationEditor
from mnfn_cli.nn.invariant import AbsoluteValue
from mnfn_cli.nn.monomial import MonomialLinear
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec


class AbsoluteClassifier(nn.Module):
    """Classify the picture that an INR encodes from the absolute values of its weights.

    The logits are invariant to permutations and sign flips of hidden neurons.

    Args:
        spec: the weight space of the INRs.
        options: the arguments of ``PermutationClassifier`` other than ``spec`` and ``channels``.

    Shapes:
        The input is raw weights, ``(batch, 1, out, in)`` and ``(batch, 1, out)``; the output is logits,
        ``(batch, classes)``.

    Raises:
        UsageError: the networks' activation is not odd, so sign flips are no symmetry of theirs.

    Source:
        mnfn's own.

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures, build_model
    >>> spec = NetworkSpec.mlp([2, 8, 8, 1], activation="sin", omega=15.0)
    >>> model = build_model("classification/absolute", spec)
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2)
    >>> model(networks).shape
    torch.Size([2, 10])
    """

    def __init__(self, spec: NetworkSpec, **options: Any) -> None:
        super().__init__()
        _require_sign_flips(spec)
        classify = PermutationClassifier(spec, channels=1, **options)
        self.layers = nn.Sequential(nn.Identity(), AbsoluteValue(), classify)

    def forward(self, features: WeightSpaceFeatures) -> Tensor:
        """Return logits, ``(batch, classes)``."""
        logits: Tensor = self.layers(features)
        return logits


class MonomialClassifier(nn.Module):
    """Classify the picture that an INR encodes, with sign-equivariant layers.

    The logits are invariant to permutations and sign flips of hidden neurons. ``OddFeatures`` are followed by the
    absolute value, which removes the signs, and by a ``PermutationClassifier``.

    Args:
        spec: the weight space of the INRs.
        channels: the number of output channels of each sign-equivariant layer.
        activation, sign_terms, layer, unit_scale, keep_input: arguments of ``OddFeatures``.
        options: the arguments of ``PermutationClassifier`` other than ``spec`` and ``channels``.

    Shapes:
        The input is raw weights, ``(batch, 1, out, in)`` and ``(batch, 1, out)``; the output is logits,
        ``(batch, classes)``.

    Raises:
        UsageError: the networks' activation is not odd, so sign flips are no symmetry of theirs.

    Source:
        paper, Section 6.2.

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures, build_model
    >>> spec = NetworkSpec.mlp([2, 8, 8, 1], activation="sin", omega=15.0)
    >>> model = build_model("classification/monomial", spec)
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2)
    >>> model(networks).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        spec: NetworkSpec,
        channels: Sequence[int],
        activation: str,
        sign_terms: bool,
        layer: Literal["linear", "messages"],
        unit_scale: bool,
        keep_input: bool,
        **options: Any,
    ) -> None:
        super().__init__()
        _require_sign_flips(spec)
        odd = OddFeatures(spec, channels, activation, sign_terms, layer, unit_scale, keep_input)
        classify = PermutationClassifier(spec, channels=odd.out_channels, **options)
        self.layers = nn.Sequential(odd, AbsoluteValue(), classify)

    def forward(self, features: WeightSpaceFeatures) -> Tensor:
        """Return logits, ``(batch, classes)``."""
        logits: Tensor = self.layers(features)
        return logits


def _require_sign_flips(spec: NetworkSpec) -> None:
    if spec.group != "sign":
        raise UsageError("model.name", f"the absolute value is no invariant of {spec.activation} networks; use hnp")


class MonomialEditor(nn.Module):
    """The published editor: sign-equivariant linear layers without activations, then an NP editor.

    It is not equivariant to sign flips, because the NP editor has Fourier features and ReLU; see ``StrictEditor``.

    Args:
        spec: the weight space of the INRs.
        channels: the number of output channels of each sign-equivariant layer; the last must be 1.
        sign_terms: whether these layers have the terms that only the sign group allows (``MonomialLinear``).
        editor: the arguments of ``PermutationEditor`` other than ``spec`` and ``base``.

    Shapes:
        The input and the output are ``(batch, 1, out, in)`` and ``(batch, 1, out)``.

    Raises:
        UsageError: ``channels`` does not end in 1.

    Source:
        paper, Section 6.3.

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures, build_model
    >>> spec = NetworkSpec.mlp([2, 8, 8, 1], activation="sin", omega=15.0)
    >>> model = build_model("editing/monomial", spec)
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2)
    >>> model(networks).weights[1].shape
    torch.Size([2, 1, 8, 8])
    """

    def __init__(self, spec: NetworkSpec, channels: Sequence[int], sign_terms: bool, **editor: Any) -> None:
        super().__init__()
        if channels[-1] != 1:
            raise UsageError("model.channels", f"ends in {channels[-1]}; the editor behind it reads one channel")
        linear = [MonomialLinear(spec, d, e, sign_terms=sign_terms) for d, e in pairwise([1, *channels])]
        self.layers = nn.Sequential(*linear, PermutationEditor(spec, "np", **editor))

    def forward(self, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        """Return the change, which the caller adds to the weights."""
        change: WeightSpaceFeatures = self.layers(features)
        return change
