"""Divide the networks of a zoo into those that a functional is trained on, validated with and tested with."""

import torch

from mnfn_cli.runtime.seeds import generator

SPLIT_FRACTIONS = {"train": 0.7, "val": 0.1, "test": 0.2}


def draw_splits(count: int, seed: int) -> list[str]:
    """Draw a split, train, val or test, for each of ``count`` items, in the proportions of ``SPLIT_FRACTIONS``.

    >>> sorted(draw_splits(10, seed=0))
    ['test', 'test', 'train', 'train', 'train', 'train', 'train', 'train', 'train', 'val']
    """
    order = torch.randperm(count, generator=generator(seed, "split")).tolist()
    splits = [""] * count
    edges = [round(count * share) for share in (SPLIT_FRACTIONS["train"], 1 - SPLIT_FRACTIONS["test"])]
    for position, row in enumerate(order):
        splits[row] = "train" if position < edges[0] else "val" if position < edges[1] else "test"
    return splits
