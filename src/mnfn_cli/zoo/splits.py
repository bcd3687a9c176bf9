"""Divide the networks of a zoo into those that a functional is trained on, validated with and tested with."""

from collections.abc import Hashable, Iterable, Mapping, Sequence

import torch

from mnfn_cli.errors import UsageError
from mnfn_cli.runtime.seeds import generator

SPLIT_FRACTIONS = {"train": 0.7, "val": 0.1, "test": 0.2}


def draw_splits(count: int, seed: int, fractions: Mapping[str, float] = SPLIT_FRACTIONS) -> list[str]:
    """Draw a split, train, val or test, for each of ``count`` items, in the proportions of ``fractions``.

    Raises:
        UsageError: the fractions are not those of train, val and test, or do not add up to 1.

    >>> sorted(draw_splits(10, seed=0))
    ['test', 'test', 'train', 'train', 'train', 'train', 'train', 'train', 'train', 'val']
    """
    shares = [fractions.get(name, -1.0) for name in SPLIT_FRACTIONS]
    if len(fractions) != len(shares) or min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
        raise UsageError("fractions", f"{dict(fractions)}; give those of train, val and test, which add up to 1")
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


def leaks(groups: Sequence[Hashable], splits: Sequence[str]) -> int:
    """Return the number of groups whose networks are in several splits.

    >>> leaks(["a", "b", "a"], ["train", "test", "test"])
    1
    """
    places: dict[Hashable, set[str]] = {}
    for group, split in zip(groups, splits, strict=True):
        places.setdefault(group, set()).add(split)
    return sum(len(found) > 1 for found in places.values())
