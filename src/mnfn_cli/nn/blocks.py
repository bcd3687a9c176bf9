"""Which entries of a weight space an equivariant linear map may combine.

A group element multiplies every entry of a weight space by some number. This number, as a function of the group
element, is the *character* of the entry. A linear map commutes with the scaling or the sign group if and only if it
combines only entries of equal character and shares its coefficients along every permuted axis (paper, Theorem 5.1).
Hence the entries can be arranged in blocks, each a matrix ``(positions, entries)``: the group permutes the positions,
and all entries at one position have the same character. An equivariant linear map consists of one dense matrix for each
block, applied at every position.

For the scaling group, where ``d(i)[j]`` is the factor of neuron ``j`` of layer ``i``:

    block               position                entries             character
    W(1), b(1)          neuron j of layer 1     W(1)[j, :], b(1)[j] d(1)[j]
    W(i), 1 < i < L     pair of neurons j, k    W(i)[j, k]          d(i)[j] / d(i-1)[k]
    b(i), 1 < i < L     neuron j of layer i     b(i)[j]             d(i)[j]
    W(L)                neuron k of layer L-1   W(L)[:, k]          1 / d(L-1)[k]
    b(L)                the output              b(L)[:]             1

For the sign group ``1 / d = d``, so ``W(L)`` has the character of ``b(L-1)``, and their blocks become one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec


@dataclass(frozen=True)
class Part:
    """One weight or bias tensor of a weight space, which can be arranged as ``(batch, positions, entries * channels)``.

    Args:
        kind: ``W`` for a weight, ``b`` for a bias.
        layer: the number of its layer, counted from 1 as in the formulas.
        shape: the shape of the tensor without batch and channels: ``(out, in, *kernel)`` or ``(out,)``.
        free_input: whether no permutation acts on the input axis, so that it belongs to the entries.
        free_output: whether no permutation acts on the output axis, so that it belongs to the entries.
    """

    kind: Literal["W", "b"]
    layer: int
    shape: tuple[int, ...]
    free_input: bool
    free_output: bool

    @property
    def name(self) -> str:
        """The tensor's name in the formulas, ``W(1)`` or ``b(1)``."""
        return f"{self.kind}({self.layer})"

    @property
    def kernel_entries(self) -> int:
        """The number of kernel entries, which count as channels; 1 for a dense layer and for a bias."""
        size = 1
        for length in self.shape[2:]:
            size *= length
        return size

    @property
    def entries(self) -> int:
        """The number of entries at one position, for one channel."""
        free = self.shape[0] if self.free_output else 1
        free *= self.shape[1] if self.free_input else 1
        return free * self.kernel_entries

    def take(self, features: WeightSpaceFeatures) -> Tensor:
        """Return the tensor as ``(batch, positions, entries * channels)``.

        Features made by ``put`` lie in memory in this order, so for them the result is a view.
        """
        if self.kind == "b":
            values = features.biases[self.layer - 1].movedim(1, 2)
            return values.flatten(1)[:, None] if self.free_output else values
        values = features.weights[self.layer - 1].movedim(1, 3)
        if self.free_output:
            return values.transpose(1, 2).flatten(2)
        return values.flatten(2) if self.free_input else values.flatten(1, 2).flatten(2)

    def put(self, values: Tensor, channels: int) -> Tensor:
        """Undo ``take``: return ``(batch, positions, entries * channels)`` as a view with the shape of the tensor."""
        batch = values.shape[0]
        if self.kind == "b":
            return values.reshape(batch, self.shape[0], channels).movedim(2, 1)
        n_out, n_in, *kernel = self.shape
        if self.free_output:
            return values.reshape(batch, n_in, n_out, channels, *kernel).transpose(1, 2).movedim(3, 1)
        return values.reshape(batch, n_out, n_in, channels, *kernel).movedim(3, 1)


Family = tuple[Part, ...]
"""Tensors whose entries have the same character under the scaling group."""

Block = tuple[Family, ...]
"""Families whose entries have the same character under the group of a layer: one for the scaling group, up to two for
the sign group."""


def parts_of(spec: NetworkSpec) -> tuple[list[Part], list[Part]]:
    """Return the weights ``W(1), ..., W(L)`` and the biases ``b(1), ..., b(L)`` of a weight space as parts."""
    last = spec.num_layers
    weights = [
        Part("W", i, shape, free_input=i == 1, free_output=i == last) for i, shape in enumerate(spec.weight_shapes, 1)
    ]
    biases = [
        Part("b", i, shape, free_input=False, free_output=i == last) for i, shape in enumerate(spec.bias_shapes, 1)
    ]
    return weights, biases


def equivariant_blocks(spec: NetworkSpec, sign_terms: bool) -> list[Block]:
    """Return the blocks of a weight space, one for each matrix of an equivariant linear map.

    Args:
        spec: the weight space.
        sign_terms: also combine the entries whose characters are equal under sign flips but not under scaling.
    """
    weights, biases = parts_of(spec)
    first, last = (weights[0], biases[0]), (weights[-1],)
    middle: list[Block] = [((weight,),) for weight in weights[1:-1]]
    inner = [(bias,) for bias in biases[1:-1]]
    output: Block = ((biases[-1],),)
    if not sign_terms:
        return [(first,), *middle, *((family,) for family in inner), (last,), output]
    if spec.num_layers == 2:
        return [(first, last), output]
    return [(first,), *middle, *((family,) for family in inner[:-1]), (inner[-1], last), output]


def parts_in(block: Block) -> list[Part]:
    """Return the tensors of a block in the order in which their entries stand at each position."""
    return [part for family in block for part in family]


def entries_of(block: Block) -> int:
    """Return the number of entries at one position of a block, for one channel."""
    return sum(part.entries for part in parts_in(block))


def arrange(blocks: Sequence[Block], features: WeightSpaceFeatures) -> list[Tensor]:
    """Return the features as a tensor ``(batch, positions, entries * channels)`` for each block.

    A block of one tensor, where most entries are, is a view of it if the tensor lies in memory in this order.
    """
    taken = [[part.take(features) for part in parts_in(block)] for block in blocks]
    return [values[0] if len(values) == 1 else torch.cat(values, dim=2) for values in taken]


def separate(blocks: Sequence[Block], arranged: Sequence[Tensor], channels: int) -> dict[str, Tensor]:
    """Return views ``(batch, positions, entries * channels)`` of arranged features, one for each part, by its name."""
    pieces: dict[str, Tensor] = {}
    for block, values in zip(blocks, arranged, strict=True):
        parts = parts_in(block)
        taken = [values] if len(parts) == 1 else values.split([part.entries * channels for part in parts], dim=2)
        pieces |= {part.name: piece for part, piece in zip(parts, taken, strict=True)}
    return pieces


def restore(blocks: Sequence[Block], arranged: Sequence[Tensor], channels: int) -> WeightSpaceFeatures:
    """Undo ``arrange``: return views of the arranged features with the shapes of weights and biases."""
    pieces = separate(blocks, arranged, channels)
    tensors = {part.name: part.put(pieces[part.name], channels) for block in blocks for part in parts_in(block)}
    layers = range(1, len(tensors) // 2 + 1)
    return WeightSpaceFeatures([tensors[f"W({i})"] for i in layers], [tensors[f"b({i})"] for i in layers])
