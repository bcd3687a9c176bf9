"""Match the neurons of two networks in canonical form, layer by layer."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from mnfn_cli.symmetry import Group
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.weightspace.spec import NetworkSpec

ROUNDS = 50
"""The largest number of times that ``Pairs.improve`` matches all layers again."""

Layer = tuple[Tensor, Tensor]
"""The weights ``(batch, out, in, kernel entries)`` and the biases ``(batch, out)`` of a layer."""


@dataclass(frozen=True)
class Match:
    """Which neuron of A stands for each neuron of B, in one layer of a batch of pairs.

    Args:
        source: the index of the neuron of A, ``(batch, neurons)``.
        sign: the factor, 1 or -1, by which its numbers are multiplied, ``(batch, neurons)``.
    """

    source: Tensor
    sign: Tensor

    @classmethod
    def identity(cls, batch: int, neurons: int) -> "Match":
        """Return the match that leaves every neuron where it is."""
        return cls(torch.arange(neurons).expand(batch, neurons), torch.ones(batch, neurons, dtype=torch.float64))

    def select(self, rows: Tensor) -> "Match":
        """Return the match for some rows of the batch."""
        return Match(self.source[rows], self.sign[rows])

    def replace(self, rows: Tensor, other: "Match") -> "Match":
        """Return the match with some rows of the batch replaced by those of ``other``."""
        return Match(self.source.index_copy(0, rows, other.source), self.sign.index_copy(0, rows, other.sign))

    def move(self, numbers: Tensor, axis: int) -> Tensor:
        """Return numbers ``(batch, ...)`` of A with the neurons along ``axis`` in their places and signs in B."""
        shape = [len(numbers), *(-1 if dim == axis else 1 for dim in range(1, numbers.dim()))]
        return numbers.gather(axis, self.source.view(shape).expand_as(numbers)) * self.sign.view(shape)


def to_element(matches: Sequence[Match]) -> MonomialElement:
    """Return the group elements that move A as the matches of all hidden layers do."""
    return MonomialElement([match.source.argsort(dim=1) for match in matches], [match.sign for match in matches])


@dataclass(frozen=True)
class Pairs:
    """Pairs of networks A and B in canonical form, with each layer divided by the larger of its norms in A and in B.

    Args:
        groups: the group of every hidden layer; neurons may change their signs where it is ``sign``.
        a, b: the layers of the networks, in float64.
        tolerance: the distance below which two neurons of B count as equal.
    """

    groups: Sequence[Group]
    a: Sequence[Layer]
    b: Sequence[Layer]
    tolerance: float

    @classmethod
    def of(cls, spec: NetworkSpec, a: WeightSpaceFeatures, b: WeightSpaceFeatures, tolerance: float) -> "Pairs":
        """Return the pairs of the networks in equal rows of two batches of raw weights in canonical form."""
        layers = [(layer_of(a, i), layer_of(b, i)) for i in range(spec.num_layers)]
        sizes = [torch.maximum(*(norm(torch.cat([w.flatten(1), c], dim=1)) for w, c in pair)) for pair in layers]
        sizes = [torch.where(size > 0, size, 1.0)[:, None] for size in sizes]
        scaled = [
            [(weight / size[:, :, None, None], bias / size) for weight, bias in pair]
            for pair, size in zip(layers, sizes, strict=True)
        ]
        return cls(spec.groups, [one for one, _ in scaled], [other for _, other in scaled], tolerance)

    def __len__(self) -> int:
        return len(self.a[0][0])

    def select(self, rows: Tensor) -> "Pairs":
        """Return some of the pairs."""
        a, b = ([(weight[rows], bias[rows]) for weight, bias in layers] for layers in (self.a, self.b))
        return Pairs(self.groups, a, b, self.tolerance)

    def identity(self) -> list[Match]:
        """Return the matches that leave every neuron where it is."""
        return [Match.identity(len(self), bias.shape[1]) for _, bias in self.b[:-1]]

    def forward(self) -> list[Match]:
        """Match the neurons of one hidden layer after another, from the first to the last, then backward.

        On the way forward neurons are matched by their biases and incoming weights. Nothing tells neurons of B apart
        that are equal (or opposite, in a layer with the sign group), but the next layer depends only on the sum of
        their outgoing weights, so these are averaged for the next layer, in A as in B. On the way back such neurons
        are matched by their outgoing weights too.
        """
        matches: list[Match] = []
        merges: list[Tensor | None] = [None]
        for i, group in enumerate(self.groups):
            x = _incoming(self.a[i], matches[-1] if matches else None, merges[i])
            y = _incoming(self.b[i], merge=merges[i])
            matches.append(assign(x, y, group))
            merges.append(_equal_neurons(y, group, self.tolerance))
        for i in reversed(range(len(self.groups))):
            if merges[i + 1] is not None:
                matches[i] = assign(*self._neurons(i, matches, merges[i]), self.groups[i])
        return matches

    def improve(self, matches: Sequence[Match]) -> list[Match]:
        """Match each layer again by its incoming and outgoing weights, until ``distance`` becomes no smaller."""
        found = list(matches)
        rows = torch.arange(len(self))
        for _ in range(ROUNDS):
            again = [match.select(rows) for match in found]
            better = self.select(rows)._improve_once(again)
            found = [match.replace(rows, new) for match, new in zip(found, again, strict=True)]
            rows = rows[better]
            if not len(rows):
                break
        return found

    def distance(self, matches: Sequence[Match]) -> Tensor:
        """Return the root mean square over layers of the distance of A, moved by the matches, from B, ``(batch,)``."""
        squares = []
        for i, ((weight, bias), (weight_b, bias_b)) in enumerate(zip(self.a, self.b, strict=True)):
            if i < len(matches):
                weight, bias = matches[i].move(weight, 1), matches[i].move(bias, 1)
            if i > 0:
                weight = matches[i - 1].move(weight, 2)
            squares.append((weight - weight_b).square().sum(dim=(1, 2, 3)) + (bias - bias_b).square().sum(dim=1))
        return torch.stack(squares).mean(dim=0).sqrt()

    @staticmethod
    def active(layers: Sequence[Layer], i: int) -> Tensor:
        """Return whether a neuron of a layer of A or of B has a number other than 0, ``(batch, neurons)``."""
        weight, bias = layers[i]
        return (weight != 0).flatten(2).any(dim=2) | (bias != 0)

    def _neurons(self, i: int, matches: Sequence[Match], merge: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return all numbers of the neurons of a layer, of A in the order of its neighbours in B, and of B."""
        before = matches[i - 1] if i > 0 else None
        after = matches[i + 1] if i + 1 < len(matches) else None
        x = torch.cat([_incoming(self.a[i], before, merge), outgoing(self.a[i + 1], after)], dim=2)
        y = torch.cat([_incoming(self.b[i], merge=merge), outgoing(self.b[i + 1])], dim=2)
        return x, y

    def _improve_once(self, matches: list[Match]) -> Tensor:
        """Match each layer again, in place, and return for each pair whether a distance became smaller."""
        improved = torch.zeros(len(self), dtype=torch.bool)
        for i, group in enumerate(self.groups):
            x, y = self._neurons(i, matches)
            new = assign(x, y, group, exact=False)
            old_cost, new_cost = ((match.move(x, 1) - y).square().sum(dim=(1, 2)) for match in (matches[i], new))
            better = torch.nonzero(new_cost < (1 - 1e-12) * old_cost).flatten()
            matches[i] = matches[i].replace(better, new.select(better))
            improved[better] = True
        return improved


def assign(x: Tensor, y: Tensor, group: Group, allowed: Tensor | None = None, *, exact: bool = True) -> Match:
    """Match the neurons of A to those of B so that the sum of their squared distances is as small as possible.

    Args:
        x, y: the numbers of each neuron of A and of B, ``(batch, neurons, numbers)``.
        group: with ``sign``, a neuron of A may be negated.
        allowed: which neurons of A (last axis) may stand for which of B, ``(batch, neurons, neurons)``; all by default.
        exact: whether to tell neurons apart that are equal in half of their digits; it takes several times as long.
    """
    costs = _squared_distances(y, x, exact)
    negated = _squared_distances(y, -x, exact) if group == "sign" else torch.full_like(costs, torch.inf)
    least = torch.minimum(costs, negated)
    if allowed is not None:
        least = torch.where(allowed, least, torch.inf)
    source = torch.from_numpy(np.stack([linear_sum_assignment(table)[1] for table in least.numpy()]))
    flipped = (negated < costs).gather(2, source[:, :, None])[:, :, 0]
    return Match(source, torch.where(flipped, -1.0, 1.0).to(x.dtype))


def layer_of(features: WeightSpaceFeatures, i: int) -> Layer:
    """Return a layer of raw weights."""
    weight = features.weights[i][:, 0]
    return weight.reshape(*weight.shape[:3], -1), features.biases[i][:, 0]


def outgoing(layer: Layer, after: Match | None = None) -> Tensor:
    """Return the weights in the next ``layer`` that belong to each neuron, ``(batch, neurons, numbers)``."""
    weight = layer[0] if after is None else after.move(layer[0], 1)
    return weight.transpose(1, 2).flatten(2)


def norm(numbers: Tensor) -> Tensor:
    """Return the norm along the last axis; the largest number is taken out first, so that no square overflows."""
    largest = numbers.abs().amax(dim=-1, keepdim=True)
    scaled = numbers / torch.where(largest > 0, largest, 1.0)
    return largest[..., 0] * torch.linalg.vector_norm(scaled, dim=-1)


def _incoming(layer: Layer, before: Match | None = None, merge: Tensor | None = None) -> Tensor:
    """Return the incoming weights and the bias of every neuron, ``(batch, neurons, numbers)``."""
    weight, bias = layer
    if before is not None:
        weight = before.move(weight, 2)
    if merge is not None:
        weight = torch.einsum("bjke,bkl->bjle", weight, merge)
    return torch.cat([weight.flatten(2), bias[:, :, None]], dim=2)


def _squared_distances(x: Tensor, y: Tensor, exact: bool = True) -> Tensor:
    # A matrix product, as in |x|^2 - 2 x y + |y|^2, is fast and loses small distances to rounding.
    return torch.cdist(x, y, compute_mode=f"{'donot_' if exact else ''}use_mm_for_euclid_dist").square()


def _equal_neurons(neurons: Tensor, group: Group, tolerance: float) -> Tensor | None:
    """Return matrices ``(batch, neurons, neurons)`` that average over equal neurons; None if all are distinct.

    With the sign group a neuron counts against its opposites. The row of one that is its own opposite, and so has the
    output 0, is 0.
    """
    relation = (_squared_distances(neurons, neurons) <= tolerance**2).to(neurons.dtype)
    if group == "sign":
        relation -= (_squared_distances(neurons, -neurons) <= tolerance**2).to(neurons.dtype)
    if torch.equal(relation, torch.eye(neurons.shape[1], dtype=neurons.dtype).expand_as(relation)):
        return None
    return relation / relation.abs().sum(dim=2, keepdim=True).clamp(min=1)
