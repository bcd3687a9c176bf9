"""Divide the networks of a zoo into those that a functional is trained on, validated with and tested with."""

import re
from collections.abc import Iterable, Mapping, Sequence

import torch

from mnfn_cli.errors import UsageError
from mnfn_cli.runtime.seeds import generator

SPLIT_FRACTIONS = {"train": 0.7, "val": 0.1, "test": 0.2}


def parse_fractions(text: str) -> dict[str, float]:
    """Read the shares of train, val and test in percent.

    Raises:
        UsageError: there are not three numbers with slashes between them that add up to 100.

    >>> parse_fractions("70/10/20")
    {'train': 0.7, 'val': 0.1, 'test': 0.2}
    """
    parts = text.split("/")
    if len(parts) != 3 or not all(re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,6})?", part, re.ASCII) for part in parts):
        raise UsageError("--split", f"'{text}'; write the percentages of train, val and test, such as 70/10/20")
    shares = [float(part) for part in parts]
    if abs(sum(shares) - 100) > 1e-9:
        raise UsageError("--split", f"'{text}' adds up to {sum(shares):g}, not to 100")
    return {name: share / 100 for name, share in zip(("train", "val", "test"), shares, strict=True)}


def draw_splits(count: int, seed: int, fractions: Mapping[str, float] = SPLIT_FRACTIONS) -> list[str]:
    """Draw a split, train, val or test, for each of ``count`` items, in the proportions of ``fractions``.

    >>> sorted(draw_splits(10, seed=0))
    ['test', 'test', 'train', 'train', 'train', 'train', 'train', 'train', 'train', 'val']
    """
    order = torch.randperm(count, generator=generator(seed, "split")).tolist()
    splits = [""] * count
    edges = [round(count * share) for share in (fractions["train"], 1 - fractions["test"])]
    for position, row in enumerate(order):
        splits[row] = "train" if position < edges[0] else "val" if position < edges[1] else "test"
    return splits


def draw_group_splits(groups: Sequence[int], seed: int, fractions: Mapping[str, float] = SPLIT_FRACTIONS) -> list[str]:
    """Draw a split for each item so that the items of a group share one; the proportions are those of groups.

    Args:
        groups: the number of the group of each item, from 0 without gaps.
        seed: the seed of the draw.
        fractions: the shares of train, val and test.
    """
    splits = draw_splits(max(groups, default=-1) + 1, seed, fractions)
    return [splits[group] for group in groups]


def join_groups(count: int, links: Iterable[tuple[int, int]]) -> list[int]:
    """Return the number of the group of each of ``count`` items; linked items are in one, directly or by others.

    Groups are numbered from 0, in the order of their first items.

    >>> join_groups(5, [(3, 1), (1, 4)])
    [0, 1, 2, 1, 1]
    """
    parents = list(range(count))

    def root(item: int) -> int:
        while parents[item] != item:
            parents[item] = parents[parents[item]]
            item = parents[item]
        return item

    for a, b in links:
        first, second = sorted((root(a), root(b)))
        parents[second] = first
    numbers: dict[int, int] = {}
    return [numbers.setdefault(root(item), len(numbers)) for item in range(count)]
