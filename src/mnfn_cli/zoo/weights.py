"""The weights of the networks of a zoo, which stay on disk until they are read."""

from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path

import torch

from mnfn_cli.storage.tensors import map_tensors
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.shards import tensor_names


class StoredWeights:
    """The memory-mapped weights of the networks of one weight space.

    Args:
        spec: the weight space.
        files: the shards in order, whose shapes were checked (``shards.count_networks``).
    """

    def __init__(self, spec: NetworkSpec, files: Sequence[Path]) -> None:
        self.spec = spec
        self._names = tensor_names(spec)
        self._shards = [self._map(file) for file in files]
        self._starts = [0]
        for shard in self._shards:
            self._starts.append(self._starts[-1] + shard.batch)

    def __len__(self) -> int:
        return self._starts[-1]

    def read(self, rows: slice | Sequence[int]) -> WeightSpaceFeatures:
        """Return the weights of some rows, ``(rows, 1, ...)``; a slice inside one shard is a view of the map."""
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            if step == 1:
                shard = max(bisect_right(self._starts, start) - 1, 0)
                if stop <= self._starts[min(shard + 1, len(self._shards))]:
                    return self._shards[shard].select(slice(start - self._starts[shard], stop - self._starts[shard]))
            rows = range(start, stop, step)
        by_shard: dict[int, tuple[list[int], list[int]]] = {}
        for position, row in enumerate(rows):
            shard = bisect_right(self._starts, row) - 1
            positions, local = by_shard.setdefault(shard, ([], []))
            positions.append(position)
            local.append(row - self._starts[shard])
        if not by_shard:
            return WeightSpaceFeatures.zeros(self.spec, 0)
        parts = [self._shards[shard].select(torch.tensor(local)) for shard, (_, local) in by_shard.items()]
        order = torch.tensor([position for positions, _ in by_shard.values() for position in positions])
        return WeightSpaceFeatures.cat(parts).select(order.argsort()) if len(parts) > 1 else parts[0]

    def _map(self, file: Path) -> WeightSpaceFeatures:
        tensors = map_tensors(file)
        ordered = [tensors[name][:, None] for name in self._names]
        return WeightSpaceFeatures(ordered[0::2], ordered[1::2])
