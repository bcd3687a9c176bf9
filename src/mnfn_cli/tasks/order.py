"""The order in which an epoch uses the training networks."""

import torch
from torch import Tensor

BLOCK = 256
"""The number of neighbouring networks that an order by blocks keeps near one another."""

TOGETHER = 32
"""The number of blocks whose networks are mixed."""


def random_order(count: int, random: torch.Generator, *, by_blocks: bool = False) -> Tensor:
    """Return all numbers below ``count``, each once, in a random order, ``(count,)``.

    By blocks, which suits networks that are read from a disk, the blocks of ``BLOCK`` neighbours come in a random
    order, and the networks of each ``TOGETHER`` blocks that follow one another are mixed. A stretch of the order then
    needs few places of a file.

    Args:
        count: the number of networks.
        random: the generator, on whose state alone the order depends.
        by_blocks: whether neighbours stay near one another; by default every order is as likely.
    """
    if not by_blocks:
        return torch.randperm(count, generator=random)
    blocks = torch.arange(count).split(BLOCK)  # of no networks there is one empty block
    shuffled = torch.cat([blocks[number] for number in torch.randperm(len(blocks), generator=random).tolist()])
    mixed = [part[torch.randperm(len(part), generator=random)] for part in shuffled.split(BLOCK * TOGETHER)]
    return torch.cat(mixed)
