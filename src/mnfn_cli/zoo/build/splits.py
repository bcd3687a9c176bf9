"""Divide the networks of a zoo into those that a functional is trained on, validated with and tested with."""

from collections.abc import Mapping

import torch

from mnfn_cli.runtime.seeds import generator

SPLIT_FRACTIONS = {"train": 0.7, "val": 0.1, "test": 0.2}


def draw_splits(count: int, seed: int, fractions: Mapping[str, float] = SPLIT_FRACTIONS) -> list[str]:
    """Draw a split, train, val or test, for each of ``count`` items, in the proportions of ``fractions``.

    Args:
        count: the number of items.
        seed: the seed of the draw.
        fractions: the fraction of each of the three splits; they add up to 1.

    >>> sorted(draw_splits(10, seed=0))
    ['test', 'test', 'train', 'train', 'train', 'train', 'train', 'train', 'train', 'val']
    """
    order = torch.randperm(count, generator=generator(seed, "split")).tolist()
    splits = [""] * count
    edges = [round(count * share) for share in (fractions["train"], 1 - fractions["test"])]
    for position, row in enumerate(order):
        splits[row] = "train" if position < edges[0] else "val" if position < edges[1] else "test"
    return splits
