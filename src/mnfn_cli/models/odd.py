"""Sign-equivariant features: flipping the sign of a neuron flips the features of its weights."""

from collections.abc import Sequence
from typing import Literal

from torch import nn

from mnfn_cli.nn.activation import EquivariantActivation
from mnfn_cli.nn.messages import EdgeMessages
from mnfn_cli.nn.monomial import MonomialLinear
from mnfn_cli.nn.scaling import UnitScale
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec


class OddFeatures(nn.Module):
    """Compute sign-equivariant features of raw weights: sign-equivariant linear layers with an odd activation between.

    Args:
        spec: the weight space of the networks, whose activation must be odd (tanh or sin).
        channels: the number of output channels of each layer.
        activation: the activation between the layers, ``sin`` or ``tanh``.
        sign_terms: whether the layers have the terms that only the sign group allows (``MonomialLinear``).
        layer: ``linear``, or ``messages``: each layer but the first also reads the ``EdgeMessages`` of its input.
        unit_scale: whether the raw weights first go through ``UnitScale``, which gives all tensors a similar size.
        keep_input: whether the raw weights are appended to the result as one more channel.

    Attributes:
        out_channels: the number of channels of the result.

    Shapes:
        The input is ``(batch, 1, out, in)`` and ``(batch, 1, out)``; the output is ``(batch, out_channels, out, in)``
        and ``(batch, out_channels, out)``.

    Source:
        paper, Theorem 5.1 and Tables 6 and 8.

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures
    >>> from mnfn_cli.models import OddFeatures
    >>> from mnfn_cli.testing import assert_equivariant
    >>> spec = NetworkSpec.mlp([2, 8, 8, 1], activation="sin", omega=15.0)
    >>> odd = OddFeatures(spec, [6, 6], "sin", True, "linear", unit_scale=True, keep_input=True)
    >>> assert_equivariant(odd.double(), spec)
    >>> odd.out_channels
    7
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
    ) -> None:
        super().__init__()
        self.unit_scale = UnitScale(spec) if unit_scale else None
        self.messages = EdgeMessages(spec) if layer == "messages" else None
        self.keep_input = keep_input
        width = 1 if self.messages is None else 2
        read = [1, *(d * width for d in channels)][: len(channels)]
        self.layers = nn.ModuleList(
            MonomialLinear(spec, d, e, sign_terms=sign_terms) for d, e in zip(read, channels, strict=True)
        )
        self.activation = EquivariantActivation(spec, activation)
        self.out_channels = channels[-1] + keep_input

    def forward(self, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        """Return the features."""
        raw = features if self.unit_scale is None else self.unit_scale(features)
        x = raw
        for i, linear in enumerate(self.layers):
            if i > 0:
                x = self.activation(x)
                x = x.beside(self.messages(x)) if self.messages is not None else x
            x = linear(x)
        return x.beside(raw) if self.keep_input else x
