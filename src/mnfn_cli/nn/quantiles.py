"""Quantiles of many samples, together where they have equally many numbers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mnfn_cli.weightspace.sorting import ascending

QUANTILES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)


def quantiles(numbers: Tensor) -> Tensor:
    """Return the quantiles ``QUANTILES`` of each row of ``(batch, numbers)``, linearly interpolated; 0 of none."""
    last = numbers.shape[1] - 1
    if last < 0:
        return numbers.new_zeros(numbers.shape[0], len(QUANTILES))
    places = torch.tensor(QUANTILES, dtype=numbers.dtype, device=numbers.device) * last
    below = places.floor().long()
    ordered = ascending(numbers)
    return torch.lerp(ordered[:, below], ordered[:, (below + 1).clamp_max(last)], places - below)


@dataclass(frozen=True)
class Sample:
    """Numbers ``(batch, numbers)`` of which quantiles are wanted."""

    numbers: Tensor


def with_quantiles(found: Sequence[Tensor | Sample]) -> list[Tensor]:
    """Return tensors ``(batch, ...)``, with the quantiles of samples in the samples' places."""
    each = iter(of_equal_shapes(quantiles, [item.numbers for item in found if isinstance(item, Sample)]))
    return [next(each) if isinstance(item, Sample) else item for item in found]


def of_equal_shapes(function: Callable[[Tensor], Tensor], tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return what a function of a batch makes of each tensor ``(batch, ...)``, called once for all of equal shape."""
    places: dict[tuple[int, ...], list[int]] = {}
    for place, tensor in enumerate(tensors):
        places.setdefault(tuple(tensor.shape[1:]), []).append(place)
    found: dict[int, Tensor] = {}
    for alike in places.values():
        together = torch.stack([tensors[place] for place in alike])
        found |= zip(alike, function(together.flatten(0, 1)).unflatten(0, together.shape[:2]), strict=True)
    return [found[place] for place in range(len(tensors))]
