"""The match of the neurons of one layer of two networks: places, flips and the parity of shifts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import pi

import torch
from torch import Tensor

from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.weightspace.spec import NetworkSpec

Layer = tuple[Tensor, Tensor]
"""The weights ``(batch, out, in, kernel entries)`` and the biases ``(batch, out, numbers)`` of a layer.

A bias is one number; that of a sine that may be shifted is the point ``(cos t, sin t) / omega`` with the phase
``t = omega b``, of which a shift or a flip changes nothing but signs. Small distances of points are those of biases.
"""

SIGNS: Mapping[str, tuple[tuple[int, int], ...]] = {
    "sine": ((1, 1), (-1, 1), (1, -1), (-1, -1)),
    "sign": ((1, 1), (-1, 1)),
    "permutation": ((1, 1),),
    "scale": ((1, 1),),
}
"""By freedom of a neuron, the signs that it may have: ``(-1)^d`` of its flips and ``(-1)^k`` of its shifts."""


@dataclass(frozen=True)
class Match:
    """Which neuron of A stands for each neuron of B, in one layer of a batch of pairs.

    Args:
        source: the index of the neuron of A, ``(batch, neurons)``.
        flip: the factor, 1 or -1, by which its incoming weights are multiplied, ``(batch, neurons)``.
        parity: -1 where its bias is shifted by an odd multiple of ``pi / omega``, else 1, ``(batch, neurons)``.
    """

    source: Tensor
    flip: Tensor
    parity: Tensor

    @classmethod
    def identity(cls, batch: int, neurons: int) -> "Match":
        """Return the match that leaves every neuron where it is."""
        ones = torch.ones(batch, neurons, dtype=torch.float64)
        return cls(torch.arange(neurons).expand(batch, neurons), ones, ones)

    @property
    def sign(self) -> Tensor:
        """The factor, 1 or -1, by which its outgoing weights are multiplied, ``(batch, neurons)``."""
        return self.flip * self.parity

    def select(self, rows: Tensor) -> "Match":
        """Return the match for some rows of the batch."""
        return Match(self.source[rows], self.flip[rows], self.parity[rows])

    def replace(self, rows: Tensor, other: "Match") -> "Match":
        """Return the match with some rows of the batch replaced by those of ``other``."""
        mine, others = (self.source, self.flip, self.parity), (other.source, other.flip, other.parity)
        return Match(*(one.index_copy(0, rows, new) for one, new in zip(mine, others, strict=True)))

    def move(self, numbers: Tensor, signs: Tensor) -> Tensor:
        """Return numbers ``(batch, neurons, ...)`` of A in their places in B, multiplied by ``signs``.

        Args:
            numbers: numbers of each neuron of A.
            signs: factors by place in B, ``(batch, neurons)``, or for each number ``(batch, neurons, ...)``.
        """
        moved = numbers.gather(1, _to_axes(self.source, numbers).expand_as(numbers))
        return moved * _to_axes(signs, numbers)

    def move_rows(self, layer: Layer) -> Layer:
        """Return a layer of A with its neurons in their places and signs in B."""
        weight, bias = layer
        signs = torch.stack([self.parity, self.sign], dim=2) if bias.shape[2] == 2 else self.flip
        return self.move(weight, self.flip), self.move(bias, signs)

    def move_inputs(self, weight: Tensor) -> Tensor:
        """Return the weights of the next layer of A with its inputs in their places and signs in B."""
        return self.move(weight.transpose(1, 2), self.sign).transpose(1, 2)


def to_element(
    matches: Sequence[Match], spec: NetworkSpec, a: WeightSpaceFeatures, b: WeightSpaceFeatures
) -> MonomialElement:
    """Return the group elements that move A as the matches of all hidden layers do.

    A shift is the multiple of ``pi / omega``, even or odd as the match says, that takes the bias nearest to that in B.

    Args:
        matches: the match of every hidden layer.
        spec: the weight space.
        a, b: the networks in canonical form up to signs and shifts.
    """
    shifts = []
    for match, before, after, periodic in zip(matches, a.biases, b.biases, spec.periodic, strict=False):
        odd = (match.parity < 0).double()
        turns = (after[:, 0] - match.move(before[:, 0], match.flip)) * spec.omega / pi
        shifts.append((odd + 2 * torch.round((turns - odd) / 2)).long() * periodic)
    return MonomialElement(
        [match.source.argsort(dim=1) for match in matches],
        [match.flip for match in matches],
        shifts if any(spec.periodic) else (),
        spec.omega,
    )


def _to_axes(values: Tensor, numbers: Tensor) -> Tensor:
    """Return values ``(batch, neurons, ...)`` with axes of length 1 at the end, to go with ``numbers``."""
    return values.view(*values.shape, *(1,) * (numbers.dim() - values.dim()))
