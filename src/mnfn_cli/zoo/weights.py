"""The weights of the networks of a zoo, which stay on disk until they are read."""

from collections.abc import Sequence
from functools import reduce
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mnfn_cli.storage.tensors import map_tensors
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.lazy import LazyFeatures, Rows, read_pieces, rows_at
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
        self._starts = [0, *accumulate(shard.batch for shard in self._shards)]

    def __len__(self) -> int:
        return self._starts[-1]

    def read(self, rows: slice | Sequence[int] | NDArray[np.int64]) -> WeightSpaceFeatures:
        """Return the weights of some rows, ``(rows, 1, ...)``, which are read when a tensor is first used.

        A slice inside one shard is then a view of the map, and other selections are copied once.
        """
        chosen = rows_at(range(len(self)), rows)
        if not len(chosen):
            return WeightSpaceFeatures.zeros(self.spec, 0)
        dtype = self._dtype(chosen)

        def read(wanted: Rows) -> WeightSpaceFeatures:
            if not len(wanted):
                return WeightSpaceFeatures.zeros(self.spec, 0, dtype=dtype)
            return read_pieces([shard.select for shard in self._shards], self._starts, wanted, dtype)

        return LazyFeatures(read, chosen, dtype)

    def _dtype(self, rows: Rows) -> torch.dtype:
        """Return the dtype that holds the numbers of all shards with some of the rows."""
        dtypes = {shard.dtype for shard in self._shards}
        if len(dtypes) > 1:
            owners = np.unique(np.searchsorted(self._starts, np.asarray(rows), side="right") - 1)
            dtypes = {self._shards[owner].dtype for owner in owners}
        return reduce(torch.promote_types, dtypes)

    def _map(self, file: Path) -> WeightSpaceFeatures:
        tensors = map_tensors(file)
        ordered = [tensors[name][:, None] for name in self._names]
        return WeightSpaceFeatures(ordered[0::2], ordered[1::2])
