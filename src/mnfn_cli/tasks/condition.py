"""The conditions in which runs are scored: the original test networks, and ones on which group elements have acted."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from mnfn_cli.errors import UsageError
from mnfn_cli.runtime.seeds import generator
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.weightspace.spec import NetworkSpec

Range = tuple[float, float]


@dataclass(frozen=True)
class Condition:
    """A version of the test networks on which runs are scored.

    Args:
        group: the symmetry group of the networks: ``scale``, ``sign`` or ``permutation``.
        acted: whether random group elements change the weights; False for the original networks.
        scale: for the scaling group, the interval (low, high) of the factors; None for other groups.
        permuted: whether the group elements also permute neurons.
    """

    group: str
    acted: bool = False
    scale: Range | None = None
    permuted: bool = False

    @property
    def label(self) -> str:
        """The text by which tables name the condition, such as ``U[1, 10], permuted``."""
        if not self.acted:
            return "original"
        how = "sign flips" if self.scale is None else f"U[{self.scale[0]:g}, {self.scale[1]:g}]"
        return how + (", permuted" if self.permuted else "")

    @property
    def stream(self) -> str:
        """The name of the random stream from which group elements are drawn. It must not change when the label does."""
        return "sign flips" if self.scale is None else f"U[{self.scale[0]:g}, {self.scale[1]:g}]"

    def act(self, features: WeightSpaceFeatures, spec: NetworkSpec, seed: int) -> WeightSpaceFeatures:
        """Return the networks in this condition: the original ones as they are, changed ones in float64.

        Args:
            features: raw weights of the original networks, ``(networks, 1, ...)``.
            spec: their weight space.
            seed: the seed of the group elements.
        """
        if not self.acted:
            return features
        element = MonomialElement.sample(
            spec,
            features.batch,
            self.scale or (1.0, 1.0),
            permute=self.permuted,
            generator=generator(seed, "evaluation", self.stream),
        )
        return element.act(features.to(dtype=torch.float64))


def conditions_of(spec: NetworkSpec, scales: Sequence[Range], permute: bool) -> list[Condition]:
    """Return the original condition, then those in which the group of a weight space acts.

    There is one for each range of factors for the scaling group, else one in all.

    Args:
        spec: the weight space of the test networks.
        scales: the ranges of the factors for the scaling group.
        permute: whether the group elements also permute neurons.
    """
    ranges = scales if spec.group == "scale" else [None]
    return [Condition(spec.group), *(Condition(spec.group, True, scale, permute) for scale in ranges)]


def parse_scales(text: str) -> list[Range]:
    """Parse ranges of factors: each ``low:high`` stands for itself, and each single number x for 1 to x.

    Raises:
        UsageError: an entry is not a number or a range, or its numbers are not positive, finite and ascending.

    >>> parse_scales("10,0.5:2")
    [(1.0, 10.0), (0.5, 2.0)]
    """
    ranges = []
    for piece in text.split(","):
        try:
            numbers = [float(number) for number in piece.split(":")]
        except ValueError:
            numbers = []
        if len(numbers) not in (1, 2):
            raise UsageError("--scales", f"'{piece}' is no number and no range; write for example 1,10,0.1:10")
        low, high = numbers if len(numbers) == 2 else (1.0, *numbers)
        if not 0 < low <= high < float("inf"):
            raise UsageError("--scales", f"{piece}: factors go from a positive number to one no smaller, from 1 to x")
        ranges.append((low, high))
    return ranges
