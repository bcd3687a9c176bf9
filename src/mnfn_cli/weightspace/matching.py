"""Match the neurons of two networks in canonical form, layer by layer."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.match import SIGNS, Layer, Match
from mnfn_cli.weightspace.spec import NetworkSpec

ROUNDS = 50
"""The largest number of times that ``Pairs.improve`` matches all layers again."""


@dataclass(frozen=True)
class Pairs:
    """Pairs of networks A and B in canonical form, with each layer divided by the larger of its norms in A and in B.

    Args:
        freedoms: the key of ``SIGNS`` for every hidden layer.
        a, b: the layers of the networks, in float64.
        tolerance: the distance below which two neurons of B count as equal.
    """

    freedoms: Sequence[str]
    a: Sequence[Layer]
    b: Sequence[Layer]
    tolerance: float

    @classmethod
    def of(cls, spec: NetworkSpec, a: WeightSpaceFeatures, b: WeightSpaceFeatures, tolerance: float) -> "Pairs":
        """Return the pairs of the networks in equal rows of two batches of raw weights in canonical form."""
        layers = list(zip(layers_of(spec, a), layers_of(spec, b), strict=True))
        sizes = [torch.maximum(size_of(one), size_of(other)) for one, other in layers]
        sizes = [torch.where(size > 0, size, 1.0)[:, None, None] for size in sizes]
        scaled = [
            [(weight / size[..., None], bias / size) for weight, bias in pair]
            for pair, size in zip(layers, sizes, strict=True)
        ]
        freedoms = ["sine" if wave else group for wave, group in zip(spec.periodic, spec.groups, strict=True)]
        return cls(freedoms, [one for one, _ in scaled], [other for _, other in scaled], tolerance)

    def __len__(self) -> int:
        return len(self.a[0][0])

    def select(self, rows: Tensor) -> "Pairs":
        """Return some of the pairs."""
        a, b = ([(weight[rows], bias[rows]) for weight, bias in layers] for layers in (self.a, self.b))
        return Pairs(self.freedoms, a, b, self.tolerance)

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
        for i, freedom in enumerate(self.freedoms):
            x = _incoming(self.a[i], matches[-1] if matches else None, merges[i])
            y = _incoming(self.b[i], merge=merges[i])
            ways = self._ways(i)
            matches.append(assign(x, y, freedom, ways))
            merges.append(_equal_neurons(y, freedom, ways, self.tolerance))
        for i, freedom in reversed(list(enumerate(self.freedoms))):
            if merges[i + 1] is not None:
                x, y = self._neurons(i, matches, merges[i])
                matches[i] = assign(x, y, freedom, self._ways(i, x.shape[2]))
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
        for i, (layer, (weight_b, bias_b)) in enumerate(zip(self.a, self.b, strict=True)):
            weight, bias = matches[i].move_rows(layer) if i < len(matches) else layer
            if i > 0:
                weight = matches[i - 1].move_inputs(weight)
            squares.append((weight - weight_b).square().sum(dim=(1, 2, 3)) + (bias - bias_b).square().sum(dim=(1, 2)))
        return torch.stack(squares).mean(dim=0).sqrt()

    def _ways(self, i: int, numbers: int | None = None) -> Tensor:
        """Return the factors that the numbers of a neuron of a layer may take together, ``(ways, numbers)``.

        Args:
            i: the index of the layer.
            numbers: how many numbers there are; those after the bias are outgoing weights. By default there are none.
        """
        weight, bias = self.b[i]
        own = weight[0, 0].numel()
        after = 0 if numbers is None else numbers - own - bias.shape[2]
        rows = []
        for flip, parity in SIGNS[self.freedoms[i]]:
            point = [parity, flip * parity] if bias.shape[2] == 2 else [flip]
            rows.append([flip] * own + point + [flip * parity] * after)
        return torch.tensor(rows, dtype=weight.dtype)

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
        for i, freedom in enumerate(self.freedoms):
            x, y = self._neurons(i, matches)
            ways = self._ways(i, x.shape[2])
            new = assign(x, y, freedom, ways, exact=False)
            old_cost, new_cost = (_cost(match, x, y, freedom, ways) for match in (matches[i], new))
            better = torch.nonzero(new_cost < (1 - 1e-12) * old_cost).flatten()
            matches[i] = matches[i].replace(better, new.select(better))
            improved[better] = True
        return improved


def assign(
    x: Tensor, y: Tensor, freedom: str, ways: Tensor, allowed: Tensor | None = None, *, exact: bool = True
) -> Match:
    """Match the neurons of A to those of B so that the sum of their squared distances is as small as possible.

    Args:
        x, y: the numbers of each neuron of A and of B, ``(batch, neurons, numbers)``.
        freedom: the key of ``SIGNS`` that says which signs neurons of A may have.
        ways: the factors of the numbers of a neuron for each of these signs, ``(ways, numbers)``.
        allowed: which neurons of A (last axis) may stand for which of B, ``(batch, neurons, neurons)``; all by default.
        exact: whether to tell neurons apart that are equal in half of their digits; it takes several times as long.
    """
    costs = torch.stack([_squared_distances(y, x * way, exact) for way in ways])
    least, way = costs.min(dim=0)
    if allowed is not None:
        least = torch.where(allowed, least, torch.inf)
    source = torch.from_numpy(np.stack([linear_sum_assignment(table)[1] for table in least.numpy()]))
    chosen = way.gather(2, source[:, :, None])[:, :, 0]
    flip, parity = torch.tensor(SIGNS[freedom], dtype=x.dtype).T
    return Match(source, flip[chosen], parity[chosen])


def layers_of(spec: NetworkSpec, features: WeightSpaceFeatures) -> list[Layer]:
    """Return the layers of raw weights, with points for the biases of sines that may be shifted (see ``Layer``)."""
    layers = []
    for i, periodic in enumerate((*spec.periodic, False)):
        weight, bias = features.weights[i][:, 0], features.biases[i][:, 0, :, None]
        if periodic:
            phase = spec.omega * bias
            bias = torch.cat([phase.cos(), phase.sin()], dim=2) / spec.omega
        layers.append((weight.reshape(*weight.shape[:3], -1), bias))
    return layers


def size_of(layer: Layer) -> Tensor:
    """Return the norm of all weights and biases of a layer together, ``(batch,)``."""
    weight, bias = layer
    return norm(torch.cat([weight.flatten(1), bias.flatten(1)], dim=1))


def outgoing(layer: Layer, after: Match | None = None) -> Tensor:
    """Return the weights in the next ``layer`` that belong to each neuron, ``(batch, neurons, numbers)``."""
    weight = layer[0] if after is None else after.move(layer[0], after.flip)
    return weight.transpose(1, 2).flatten(2)


def norm(numbers: Tensor) -> Tensor:
    """Return the norm along the last axis; the largest number is taken out first, so that no square overflows."""
    largest = numbers.abs().amax(dim=-1, keepdim=True)
    scaled = numbers / torch.where(largest > 0, largest, 1.0)
    return largest[..., 0] * torch.linalg.vector_norm(scaled, dim=-1)


def _cost(match: Match, x: Tensor, y: Tensor, freedom: str, ways: Tensor) -> Tensor:
    """Return the sum of the squared distances between the neurons that a match pairs, ``(batch,)``."""
    signs = torch.tensor(SIGNS[freedom], dtype=x.dtype)
    chosen = (torch.stack([match.flip, match.parity], dim=2)[:, :, None] == signs).all(dim=3)
    return (match.move(x, chosen.to(x.dtype) @ ways) - y).square().sum(dim=(1, 2))


def _incoming(layer: Layer, before: Match | None = None, merge: Tensor | None = None) -> Tensor:
    """Return the incoming weights and the bias of every neuron, ``(batch, neurons, numbers)``."""
    weight, bias = layer
    if before is not None:
        weight = before.move_inputs(weight)
    if merge is not None:
        weight = torch.einsum("bjke,bkl->bjle", weight, merge)
    return torch.cat([weight.flatten(2), bias], dim=2)


def _squared_distances(x: Tensor, y: Tensor, exact: bool = True) -> Tensor:
    # A matrix product, as in |x|^2 - 2 x y + |y|^2, is fast and loses small distances to rounding.
    return torch.cdist(x, y, compute_mode=f"{'donot_' if exact else ''}use_mm_for_euclid_dist").square()


def _equal_neurons(neurons: Tensor, freedom: str, ways: Tensor, tolerance: float) -> Tensor | None:
    """Return matrices ``(batch, neurons, neurons)`` that average over equal neurons; None if all are distinct.

    With the sign group a neuron counts against its opposites. The row of one that is its own opposite, and so has the
    output 0, is 0.
    """
    relation = torch.zeros(*neurons.shape[:2], neurons.shape[1], dtype=neurons.dtype)
    for (flip, parity), way in zip(SIGNS[freedom], ways, strict=True):
        equal = _squared_distances(neurons, neurons * way) <= tolerance**2
        relation += flip * parity * equal.to(neurons.dtype)
    if torch.equal(relation, torch.eye(neurons.shape[1], dtype=neurons.dtype).expand_as(relation)):
        return None
    return relation / relation.abs().sum(dim=2, keepdim=True).clamp(min=1)
