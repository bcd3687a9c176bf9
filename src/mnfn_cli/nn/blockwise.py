"""Monomial layers one after another, on features that stay arranged in blocks from the first layer to the mean."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from mnfn_cli.nn.blocks import arrange, separate
from mnfn_cli.nn.invariant import MeanPool, NormalizeEntries
from mnfn_cli.nn.monomial import MonomialLinear
from mnfn_cli.weightspace.features import WeightSpaceFeatures


class BlockwiseInvariant(nn.Sequential):
    """Map networks to invariant numbers: monomial layers with activations, an invariant step, the mean over neurons.

    It computes what ``nn.Sequential`` computes from the same modules. But every layer leaves the positions of a block
    apart (see ``nn.blocks``), so the features are arranged in blocks once, and are multiplied, activated and averaged
    as they lie in memory.

    Args:
        layers: at first ``RescalePositions`` or nothing, then ``MonomialLinear`` of equal ``sign_terms``, each
            followed by ``EquivariantActivation``, and at last ``NormalizeEntries`` or, for an activation,
            ``AbsoluteValue``.
        pool: the mean.

    Shapes:
        The input is ``(batch, channels, out, in, *kernel)`` and ``(batch, channels, out)``, the output
        ``(batch, numbers)``.
    """

    def __init__(self, layers: Sequence[nn.Module], pool: MeanPool) -> None:
        super().__init__(*layers, pool)
        last = next(layer for layer in reversed(layers) if isinstance(layer, MonomialLinear))
        self._blocks, self._channels = last.blocks, last.out_channels

    def forward(self, features: WeightSpaceFeatures) -> Tensor:
        """Return the averages of all tensors, concatenated."""
        modules: list[Any] = list(self)
        *layers, pool = modules
        normalize = layers.pop() if isinstance(layers[-1], NormalizeEntries) else None
        arranged = arrange(self._blocks, features)
        for layer in layers:
            arranged = layer.on_blocks(arranged)
        pieces = separate(self._blocks, arranged, self._channels)
        means = normalize.means(pieces) if normalize else {name: x.mean(dim=1) for name, x in pieces.items()}
        averages: Tensor = pool.join(means)
        return averages
