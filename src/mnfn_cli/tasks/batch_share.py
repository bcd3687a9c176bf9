"""The share of a training batch that one of several processes computes."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mnfn_cli.runtime.processes import Processes
from mnfn_cli.runtime.rows import Rows
from mnfn_cli.weightspace.mixed import MixedFeatures, Networks


@dataclass(frozen=True)
class BatchShare:
    """The share of a batch that one process computes.

    Args:
        positions: the positions of its networks in the batch.
        weight: the factor of the mean loss of these networks in the loss of the batch.
        rows: their place in the batch; None if the process computes the whole batch.
    """

    positions: Tensor | slice
    weight: float
    rows: Rows | None


def share_of_batch(train: Networks, batch: Tensor, processes: Processes, *, divisible: bool = True) -> BatchShare:
    """Return the share of a process in a batch: a block of consecutive networks of each weight space.

    If that would leave a process without a network of a weight space that is in the batch, as few networks do, every
    process computes the whole batch, and its loss counts 1 / processes.

    Args:
        train: the training networks.
        batch: the networks of the batch, as positions among ``train``.
        processes: the processes that share the step.
        divisible: whether the loss of some networks depends on no others, so that blocks may be computed apart.
    """
    count, rank, size = processes.count, processes.rank, len(batch)
    if count == 1:
        return BatchShare(slice(None), 1.0, None)
    if isinstance(train, MixedFeatures):
        spaces = train.spaces[batch.cpu()]
        parts = [(spaces == number).nonzero().flatten() for number in range(len(train.parts))]
    else:
        parts = [torch.arange(size)]
    if not divisible or any(0 < len(part) < count for part in parts):
        return BatchShare(slice(None), 1 / count, None)
    blocks = [(len(part) * rank // count, len(part) * (rank + 1) // count) for part in parts]
    inner = tuple(Rows(len(part), start) for part, (start, _) in zip(parts, blocks, strict=True))
    if not isinstance(train, MixedFeatures):
        start, stop = blocks[0]
        return BatchShare(slice(start, stop), (stop - start) / size, inner[0])
    own = [part[start:stop] for part, (start, stop) in zip(parts, blocks, strict=True)]
    positions = torch.cat(own).sort().values
    return BatchShare(positions.to(batch.device), len(positions) / size, Rows(size, 0, inner))
