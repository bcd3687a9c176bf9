"""Monomial layers one after another, on features that stay arranged in blocks from the first layer to the mean."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mnfn_cli.nn.activation import EquivariantActivation
from mnfn_cli.nn.blocks import arrange, separate
from mnfn_cli.nn.invariant import MeanPool
from mnfn_cli.nn.monomial import MonomialLinear
from mnfn_cli.nn.scaling import RescalePositions
from mnfn_cli.weightspace.features import WeightSpaceFeatures

POSITIONS_TOGETHER = 8192
"""The number of positions in a chunk of a block. A layer's features of them take some megabytes."""


class BlockwiseInvariant(nn.Sequential):
    """Map networks to invariant numbers: monomial layers with activations, an invariant step, the mean over neurons.

    It computes what ``nn.Sequential`` computes from the same modules. But every layer leaves the positions of a block
    apart (see ``nn.blocks``), so the features are arranged in blocks once, and each block goes through all layers as it
    lies in memory, a chunk of networks at a time.

    Args:
        layers: at first ``RescalePositions`` or nothing, then ``MonomialLinear`` of equal ``sign_terms``, each
            followed by ``EquivariantActivation``, and at last ``NormalizeEntries`` or, for an activation,
            ``AbsoluteValue``.
        pool: the mean.

    Shapes:
        The input is ``(batch, channels, out, in, *kernel)`` and ``(batch, channels, out)``, the output
        ``(batch, numbers)``.

    Source:
        paper, Theorem 5.3.

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures
    >>> from mnfn_cli.nn import BlockwiseInvariant, EquivariantActivation, MeanPool, MonomialLinear, NormalizeEntries
    >>> spec = NetworkSpec.mlp([2, 5, 4, 3], activation="relu")
    >>> layers = [MonomialLinear(spec, 1, 6), EquivariantActivation(spec, "relu"), NormalizeEntries(spec, 6)]
    >>> model = BlockwiseInvariant(layers, MeanPool(spec, 6))
    >>> model(WeightSpaceFeatures.randn(spec, batch=2)).shape
    torch.Size([2, 66])
    """

    def __init__(self, layers: Sequence[nn.Module], pool: MeanPool) -> None:
        super().__init__(*layers, pool)
        self._linears = [layer for layer in layers if isinstance(layer, MonomialLinear)]
        self._activations = [layer for layer in layers if isinstance(layer, EquivariantActivation)]
        self._blocks, self._channels = self._linears[-1].blocks, self._linears[-1].out_channels

    def forward(self, features: WeightSpaceFeatures) -> Tensor:
        """Return the averages of all tensors, concatenated."""
        modules: list[Any] = list(self)
        first, *_, last, pool = modules
        arranged = arrange(self._blocks, features)
        if isinstance(first, RescalePositions):
            arranged = first.on_blocks(arranged)
        maps = zip(*(linear.maps() for linear in self._linears), strict=True)
        means: dict[str, Tensor] = {}
        for block, values, own_maps in zip(self._blocks, arranged, maps, strict=True):
            found: dict[str, list[Tensor]] = defaultdict(list)
            for chunk in _in_chunks(values):
                rows = chunk.flatten(0, 1)
                for own_map, activation in zip_longest(own_maps, self._activations):
                    rows = F.linear(rows, *own_map)
                    rows = activation.overwrite(rows) if activation else rows
                outputs = separate([block], [rows.unflatten(0, chunk.shape[:2])], self._channels)
                for name, output in outputs.items():
                    found[name].append(last.mean(name, output))
            means |= {name: torch.cat(parts) if len(parts) > 1 else parts[0] for name, parts in found.items()}
        averages: Tensor = pool.join(last.finish(means))
        return averages


def _in_chunks(values: Tensor) -> Sequence[Tensor]:
    """Return ``(batch, positions, entries)`` in chunks of networks, on a CPU of ``POSITIONS_TOGETHER`` positions.

    What the layers need of a chunk stays in the cache, and in memory that the process already has. Blocks of few
    positions are not divided: their operations are too small for that.
    """
    if torch.compiler.is_exporting() or values.device.type != "cpu":
        return (values,)
    together = max(1, POSITIONS_TOGETHER // values.shape[1])
    return values.split(together) if len(values) > together else (values,)
