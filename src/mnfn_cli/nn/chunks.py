"""Apply a map that reads every network by itself to a batch, some networks at a time."""

from collections.abc import Callable

import torch
from torch import Tensor

from mnfn_cli.weightspace.features import WeightSpaceFeatures

TOGETHER = 32
"""The number of networks in a chunk. A layer's features of so many small CNNs take some megabytes."""


def in_chunks(function: Callable[[WeightSpaceFeatures], Tensor], features: WeightSpaceFeatures) -> Tensor:
    """Return ``function(features)``, on a CPU computed from ``TOGETHER`` networks at a time.

    The chunks come and go in memory that the process already has. What a large batch needs for a moment the system
    would map, clear and take back at every layer, which can take as long as the layer.

    Args:
        function: a map of ``(batch, ...)`` to ``(batch, numbers)`` in which no network depends on the others.
        features: the networks.
    """
    if features.batch <= TOGETHER or features.device.type != "cpu":
        return function(features)
    starts = range(0, features.batch, TOGETHER)
    return torch.cat([function(features.select(slice(start, start + TOGETHER))) for start in starts])
