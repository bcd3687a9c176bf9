"""Networks of several weight spaces in one order, and group elements for networks of one or of several."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mnfn_cli.runtime.rows import computing_part, whole_batch
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.weightspace.lazy import LazyFeatures, concatenate
from mnfn_cli.weightspace.spec import NetworkSpec


class MixedFeatures:
    """A batch of networks of several weight spaces. Like ``WeightSpaceFeatures`` it is immutable by convention.

    Args:
        parts: the raw weights of the networks of each weight space, ``(networks, 1, ...)``; a part may be empty.
        spaces: the number of the weight space of each network of the batch, an int64 tensor ``(batch,)`` on the CPU.
            The networks of a part are in the order of the batch.

    Raises:
        ValueError: a part has another number of networks than ``spaces`` says.

    >>> import torch
    >>> from mnfn_cli.weightspace import MixedFeatures, NetworkSpec, WeightSpaceFeatures
    >>> specs = [NetworkSpec.mlp([2, n, 1], activation="tanh") for n in (3, 4)]
    >>> parts = [WeightSpaceFeatures.zeros(spec, batch=2) for spec in specs]
    >>> mixed = MixedFeatures(parts, torch.tensor([0, 1, 1, 0]))
    >>> mixed.batch, mixed.select([1, 2]).spaces.tolist()
    (4, [1, 1])
    """

    __slots__ = ("_positions", "parts", "spaces")

    def __init__(self, parts: Sequence[WeightSpaceFeatures], spaces: Tensor) -> None:
        counts, named = [part.batch for part in parts], torch.bincount(spaces, minlength=len(parts)).tolist()
        if counts != named:
            raise ValueError(f"parts of {counts} networks, and numbers of weight spaces for {named}")
        self.parts = tuple(parts)
        self.spaces = spaces
        # The position of each network in the concatenation of all parts.
        self._positions = torch.empty_like(spaces)
        self._positions[spaces.argsort(stable=True)] = torch.arange(len(spaces))

    @property
    def batch(self) -> int:
        """The number of networks in the batch."""
        return len(self.spaces)

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the tensors."""
        return self.parts[0].dtype

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.parts[0].device

    def to(self, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "MixedFeatures":
        """Return the networks on another device or in another dtype."""
        return MixedFeatures([part.to(device=device, dtype=dtype) for part in self.parts], self.spaces)

    def select(self, index: slice | Tensor | Sequence[int]) -> "MixedFeatures":
        """Return the networks that ``index`` selects from the batch, in the order of ``index``."""
        chosen = index.cpu() if isinstance(index, Tensor) else index
        spaces, positions = self.spaces[chosen], self._positions[chosen]
        parts, start = [], 0
        for number, part in enumerate(self.parts):
            parts.append(part.select(positions[spaces == number] - start))
            start += part.batch
        return MixedFeatures(parts, spaces)

    def merge(self, outputs: Sequence[Tensor]) -> Tensor:
        """Return what was computed of each part that is not empty, ``(networks, ...)``, in the order of the batch."""
        return torch.cat(list(outputs))[self._positions]

    def __repr__(self) -> str:
        return f"MixedFeatures({', '.join(map(repr, self.parts))})"


Networks = WeightSpaceFeatures | MixedFeatures
"""Raw weights of networks of one weight space, or of several."""


Piece = tuple[int, Sequence[int] | NDArray[np.int64], WeightSpaceFeatures]
"""The number of a weight space, and the positions of some of its networks among all, beside these networks."""


def join_networks(pieces: Sequence[Piece], specs: Sequence[NetworkSpec]) -> Networks:
    """Return the networks of several batches, each of one weight space, in one order.

    Args:
        pieces: the batches, whose positions together are those from 0 on, each once. A weight space may have none.
        specs: the weight spaces. For a single one the result is ``WeightSpaceFeatures``.

    Returns:
        the networks in the order of their positions.

    >>> from mnfn_cli.weightspace import NetworkSpec, WeightSpaceFeatures, join_networks
    >>> specs = [NetworkSpec.mlp([2, n, 1], activation="tanh") for n in (3, 4)]
    >>> a, b = (WeightSpaceFeatures.zeros(spec, batch=2) for spec in specs)
    >>> join_networks([(0, [0, 3], a), (1, [1, 2], b)], specs).spaces.tolist()
    [0, 1, 1, 0]
    """
    spaces = torch.zeros(sum(len(positions) for _, positions, _ in pieces), dtype=torch.int64)
    parts = []
    for space, spec in enumerate(specs):
        own = [(positions, networks) for number, positions, networks in pieces if number == space]
        positions = torch.cat([torch.as_tensor(places, dtype=torch.int64) for places, _ in own] or [spaces[:0]])
        batches = [networks for _, networks in own] or [WeightSpaceFeatures.zeros(spec, 0)]
        part = concatenate(batches)
        spaces[positions] = space
        in_order = bool((positions.diff() > 0).all())
        parts.append(part if in_order else part.select(positions.argsort()))
    return parts[0] if len(specs) == 1 else MixedFeatures(parts, spaces)


def act_at_random(
    specs: Sequence[NetworkSpec],
    networks: Networks,
    scale: tuple[float, float],
    *,
    log_uniform: bool = False,
    permute: bool = True,
    shifts: int = 0,
    generator: torch.Generator | None = None,
) -> Networks:
    """Act on each network with a random element of the group of its own weight space, lazily if networks are lazy.

    Args:
        specs: the weight spaces of the networks; one for ``WeightSpaceFeatures``.
        networks: the networks. All elements of the first weight space are drawn before those of the second, and so on.
        scale, log_uniform, permute, shifts, generator: arguments of ``MonomialElement.sample``. Layers whose biases are
            all 0 are not shifted.
    """

    def act(spec: NetworkSpec, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        if not features.batch:
            return features
        total, own = whole_batch(features.batch)
        element = MonomialElement.sample(
            spec,
            total,
            scale,
            log_uniform=log_uniform,
            permute=permute,
            shifts=shifts,
            generator=generator,
        ).select(own)
        if isinstance(features, LazyFeatures):
            return features.changed(lambda where, some: element.select(where).for_biases_of(some).act(some))
        return element.for_biases_of(features).act(features)

    if isinstance(networks, WeightSpaceFeatures):
        return act(specs[0], networks)
    parts = []
    for number, (spec, features) in enumerate(zip(specs, networks.parts, strict=True)):
        with computing_part(number):
            parts.append(act(spec, features))
    return MixedFeatures(parts, networks.spaces)
