"""Batches of networks whose tensors are read from a file, or computed, when they are first used."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import reduce
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mnfn_cli.weightspace.features import WeightSpaceFeatures

Rows = range | np.ndarray
"""The numbers of networks in a source: a range with step 1, or an int64 array."""

AT_ONCE = 1024
"""The number of networks that are copied at once into a batch from several sources."""

Reader = Callable[[Rows], WeightSpaceFeatures]
"""A function that reads some networks of a source, ``(rows, 1, ...)``, in the order of the rows."""


class LazyFeatures(WeightSpaceFeatures):
    """Raw weights that are read at the first use of a tensor, and stay with this object from then on.

    A selection is lazy too, so networks that are used block by block are never in memory together, and a use of all
    tensors at once sees what ``WeightSpaceFeatures`` would hold.

    Args:
        read: the function that reads networks of the source.
        rows: the networks of the source that are in the batch.
        dtype: the dtype of the tensors.
        device: the device of the tensors; by default the CPU.
    """

    __slots__ = ("_device", "_dtype", "_read", "_rows")

    def __init__(self, read: Reader, rows: Rows, dtype: torch.dtype, device: torch.device | str | None = None) -> None:
        self._read, self._rows = read, rows
        self._dtype, self._device = dtype, torch.device(device or "cpu")

    def __getattr__(self, name: str) -> Any:
        # Python asks here for an attribute that was not set yet.
        if name not in ("weights", "biases"):
            raise AttributeError(name)
        found = self._read(self._rows).to(device=self._device, dtype=self._dtype)
        self.weights, self.biases = found.weights, found.biases
        return getattr(self, name)

    @property
    def is_read(self) -> bool:
        """Whether the tensors are in memory, or were mapped."""
        try:
            object.__getattribute__(self, "biases")
        except AttributeError:
            return False
        return True

    @property
    def batch(self) -> int:
        """The number of networks in the batch."""
        return len(self._rows)

    @property
    def channels(self) -> int:
        """The number of channels, 1 for raw weights."""
        return 1

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the tensors."""
        return self._dtype

    @property
    def device(self) -> torch.device:
        """The device of the tensors."""
        return self._device

    def to(self, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> WeightSpaceFeatures:
        """Return the features on another device or in another dtype, which are read then."""
        if self.is_read:
            return super().to(device=device, dtype=dtype)
        return LazyFeatures(self._read, self._rows, dtype or self._dtype, device or self._device)

    def select(self, index: slice | Tensor | Sequence[int]) -> WeightSpaceFeatures:
        """Return the networks that ``index`` selects from the batch; they are read when they are used."""
        if self.is_read:
            return super().select(index)
        return LazyFeatures(self._read, rows_at(self._rows, index), self._dtype, self._device)

    def changed(self, change: Callable[[slice | Tensor, WeightSpaceFeatures], WeightSpaceFeatures]) -> "LazyFeatures":
        """Return what a function makes of the networks, when they are used.

        Args:
            change: a function that takes the positions of some networks in the batch, and these networks, and returns
                new ones of the same dtype, on the same device, each of which depends on one of them and its position.
        """

        def read(rows: Rows) -> WeightSpaceFeatures:
            positions = slice(rows.start, rows.stop) if isinstance(rows, range) else torch.from_numpy(rows)
            return change(positions, self.select(positions))

        return LazyFeatures(read, range(self.batch), self._dtype, self._device)

    def __len__(self) -> int:
        return len(self.select(slice(0, 0)).weights)

    def __repr__(self) -> str:
        return f"LazyFeatures({self.batch} networks)"


def rows_at(rows: Rows, index: slice | Tensor | Sequence[int] | np.ndarray) -> Rows:
    """Return the rows that ``index`` selects, with the meaning that it has for a tensor."""
    if isinstance(index, slice):
        chosen = rows[index]
        return chosen if not isinstance(chosen, range) or chosen.step == 1 else np.array(chosen, dtype=np.int64)
    places = index.cpu().numpy() if isinstance(index, Tensor) else np.asarray(index)
    if not places.size:
        return range(0)
    if isinstance(rows, range) and places.dtype != bool and places.min() >= 0 and places.max() < len(rows):
        return np.asarray(places, dtype=np.int64) + rows.start
    return np.asarray(rows, dtype=np.int64)[places]


def concatenate(parts: Sequence[WeightSpaceFeatures]) -> WeightSpaceFeatures:
    """Return batches of one weight space behind one another; lazy if one of them is lazy."""
    if len(parts) == 1:
        return parts[0]
    if not any(isinstance(part, LazyFeatures) for part in parts):
        return WeightSpaceFeatures.cat(parts)
    starts = [0, *accumulate(part.batch for part in parts)]
    dtype = reduce(torch.promote_types, (part.dtype for part in parts))

    def read(rows: Rows) -> WeightSpaceFeatures:
        return read_pieces([part.select for part in parts], starts, rows, dtype)

    return LazyFeatures(read, range(starts[-1]), dtype, parts[0].device)


def read_pieces(
    sources: Sequence[Callable[[Any], WeightSpaceFeatures]], starts: Sequence[int], rows: Rows, dtype: torch.dtype
) -> WeightSpaceFeatures:
    """Read rows of several sources behind one another into one batch; what a single one gives is not copied.

    Args:
        sources: for each source a function that returns some of its networks.
        starts: the number of the first network of each source, and of all networks.
        rows: the networks to read, at least one unless all sources are empty.
        dtype: the dtype of the batch.
    """
    if not len(rows):
        return sources[0](slice(0, 0)).to(dtype=dtype)
    first = bisect_right(starts, int(rows[0])) - 1
    if isinstance(rows, range) and rows.stop <= starts[first + 1]:
        return sources[first](slice(rows.start - starts[first], rows.stop - starts[first])).to(dtype=dtype)
    numbers = np.asarray(rows, dtype=np.int64)
    owners = np.searchsorted(starts, numbers, side="right") - 1
    if (owners == owners[0]).all():
        return sources[owners[0]](torch.from_numpy(numbers - starts[owners[0]])).to(dtype=dtype)
    empty = sources[owners[0]](slice(0, 0))
    joined = empty.map(lambda tensor: tensor.new_empty(len(numbers), *tensor.shape[1:], dtype=dtype))
    for owner in np.unique(owners):
        places = np.nonzero(owners == owner)[0]
        for start in range(0, len(places), AT_ONCE):
            chosen = places[start : start + AT_ONCE]
            part, where = sources[owner](torch.from_numpy(numbers[chosen] - starts[owner])), torch.from_numpy(chosen)
            for into, tensor in zip(joined.tensors(), part.tensors(), strict=True):
                into[where] = tensor.to(dtype=dtype)
    return joined
