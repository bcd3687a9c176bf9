"""Features that are odd under sign flips: what the sign-invariant and the sign-equivariant models are built on."""

from collections.abc import Sequence

from torch import nn

from mnfn_cli.nn.activation import EquivariantActivation
from mnfn_cli.nn.messages import SignMessages
from mnfn_cli.nn.monomial import MonomialLinear
from mnfn_cli.nn.scaling import UnitScale
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec


class OddFeatures(nn.Module):
    """Sign-equivariant layers from raw weights to the last of ``channels``, an odd function between them.

    Args:
        spec: the weight space; its group is the sign group.
        channels: the number of channels after each layer.
        activation: the odd function between the layers, ``sin`` or ``tanh``.
        sign_terms: whether the layers have the terms that only the sign group allows (``MonomialLinear``).
        messages: whether each layer but the first also reads the products of ``SignMessages``.
        unit_scale: whether every tensor is first divided by its standard deviation at initialisation (``UnitScale``).
        keep_input: whether the raw weights are appended to the result.

    Attributes:
        out_channels: the number of channels of the result.

    Shapes:
        in raw weights, one channel; out ``(batch, out_channels, ...)``.
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
    ) -> None:
        super().__init__()
        self.unit_scale = UnitScale(spec) if unit_scale else None
        self.messages = SignMessages(spec) if messages else None
        self.keep_input = keep_input
        read = [1, *(d * (1 + messages) for d in channels)][: len(channels)]
        self.layers = nn.ModuleList(
            MonomialLinear(spec, d, e, sign_terms=sign_terms) for d, e in zip(read, channels, strict=True)
        )
        self.activation = EquivariantActivation(spec, activation)
        self.out_channels = channels[-1] + keep_input

    def forward(self, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        """Compute the features."""
        raw = features if self.unit_scale is None else self.unit_scale(features)
        x = raw
        for i, layer in enumerate(self.layers):
            if i > 0:
                x = self.activation(x)
                x = x.beside(self.messages(x)) if self.messages is not None else x
            x = layer(x)
        return x.beside(raw) if self.keep_input else x
