"""The conditions in which runs are scored: the original test networks, and ones on which group elements have acted."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple, get_args

import torch

from mnfn_cli.errors import UsageError
from mnfn_cli.runtime.seeds import generator
from mnfn_cli.symmetry import Group
from mnfn_cli.weightspace.group import check_shifts
from mnfn_cli.weightspace.mixed import Networks, act_at_random
from mnfn_cli.weightspace.spec import NetworkSpec


class Range(NamedTuple):
    """The factors by which hidden neurons are scaled: uniform between two numbers, or their logarithms are."""

    low: float
    high: float
    log_uniform: bool = False

    def __str__(self) -> str:
        return f"{'log-uniform ' if self.log_uniform else 'U'}[{self.low:g}, {self.high:g}]"


@dataclass(frozen=True)
class Condition:
    """A version of the test networks on which runs are scored.

    Args:
        group: the symmetry groups of the networks, as ``groups_of`` names them.
        acted: whether random group elements change the weights; False for the original networks.
        scale: for the scaling group, the range of the factors; None for other groups.
        permuted: whether the group elements also permute neurons.
        shifts: for SIRENs, the largest shift of a bias, in units of ``pi / omega``.
    """

    group: str
    acted: bool = False
    scale: Range | None = None
    permuted: bool = False
    shifts: int = 0

    @property
    def label(self) -> str:
        """The text by which tables name the condition, such as ``U[1, 10], permuted``."""
        if not self.acted:
            return "original"
        changes = [] if self.scale is None else [str(self.scale)]
        changes += ["sign flips"] if "sign" in self.group.split(" and ") else []
        changes += [f"shifts up to {self.shifts}"] if self.shifts else []
        how = " and ".join(changes)
        return ", ".join([how] * bool(how) + ["permuted"] * self.permuted)

    @property
    def stream(self) -> str:
        """The name of the random stream from which group elements are drawn. It must not change when the label does."""
        factors = "sign flips" if self.scale is None else str(self.scale)
        return factors + (f", shifts {self.shifts}" if self.shifts else "")

    def act(self, features: Networks, specs: Sequence[NetworkSpec], seed: int) -> Networks:
        """Return the networks in this condition: the original ones as they are, changed ones in float64.

        Args:
            features: raw weights of the original networks, ``(networks, 1, ...)``.
            specs: their weight spaces.
            seed: the seed of the group elements.
        """
        if not self.acted:
            return features
        exact, random = features.to(dtype=torch.float64), generator(seed, "evaluation", self.stream)
        low, high, log_uniform = self.scale or Range(1.0, 1.0)
        return act_at_random(
            specs,
            exact,
            (low, high),
            log_uniform=log_uniform,
            permute=self.permuted,
            shifts=self.shifts,
            generator=random,
        )


def groups_of(specs: Sequence[NetworkSpec]) -> str:
    """Return the groups of weight spaces as text: ``scale``, ``sign``, ``permutation``, or several with ``and``."""
    found = {spec.group for spec in specs}
    return " and ".join(group for group in get_args(Group) if group in found)


def conditions_of(
    specs: Sequence[NetworkSpec],
    scales: Sequence[Range | tuple[float, float]],
    permute: bool,
    shifts: Sequence[int] = (),
) -> list[Condition]:
    """Return the original condition, then those in which the groups of weight spaces act.

    There is one for each range of factors if a weight space has the scaling group, else one in all; then one for each
    largest shift.

    Args:
        specs: the weight spaces of the test networks.
        scales: the ranges of the factors for the scaling group, ``Range`` or (low, high).
        permute: whether the group elements also permute neurons.
        shifts: the largest shifts of biases, for SIRENs.

    Raises:
        UsageError: ``shifts`` are given for networks that have none, or are too many.
    """
    for spec, shift in product(specs, shifts):
        check_shifts(spec, shift)
    groups = groups_of(specs)
    if groups == "permutation" and not permute:
        return [Condition(groups)]
    ranges = [Range(*scale) for scale in scales] if "scale" in groups.split(" and ") else [None]
    acted = [Condition(groups, True, scale, permute) for scale in ranges]
    return [Condition(groups), *acted, *(Condition(groups, True, None, permute, shift) for shift in shifts if shift)]


def parse_scales(text: str) -> list[Range]:
    """Parse ranges of factors: each ``low:high`` stands for itself, and each single number x for 1 to x.

    With ``log:`` before it a range has uniform logarithms.

    Raises:
        UsageError: an entry is not a number or a range, or its numbers are not positive, finite and ascending.

    >>> [str(factors) for factors in parse_scales("10,0.5:2,log:1e-4:1e4")]
    ['U[1, 10]', 'U[0.5, 2]', 'log-uniform [0.0001, 10000]']
    """
    ranges = []
    for piece in text.split(","):
        try:
            numbers = [float(number) for number in piece.strip().removeprefix("log:").split(":")]
        except ValueError:
            numbers = []
        if len(numbers) not in (1, 2):
            raise UsageError(
                "--scales", f"'{piece}' is no number and no range; write for example 1,10,0.1:10,log:1e-4:1e4"
            )
        low, high = numbers if len(numbers) == 2 else (1.0, *numbers)
        if not 0 < low <= high < float("inf"):
            raise UsageError("--scales", f"{piece}: factors go from a positive number to one no smaller, from 1 to x")
        ranges.append(Range(low, high, piece.strip().startswith("log:")))
    return ranges


def parse_shifts(text: str) -> list[int]:
    """Parse largest shifts, whole numbers that commas part; an empty text has none.

    Raises:
        UsageError: an entry is no whole number.

    >>> parse_shifts("1,3")
    [1, 3]
    """
    found = []
    for piece in text.split(",") if text else []:
        try:
            found.append(int(piece))
        except ValueError:
            raise UsageError("--shifts", f"'{piece}' is no whole number; write for example 1,3") from None
    return found
