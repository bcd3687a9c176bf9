"""Features of a network's neurons and edges by character, for odd activations and for the full symmetry of sine.

A hidden neuron of a SIREN may be flipped, ``d`` times, and its phase shifted by ``k`` half turns:

    (w, b, u) -> ((-1)^d w, (-1)^d b + k pi / omega, (-1)^(d + k) u)

where ``w`` are its incoming weights and ``u`` its outgoing ones. A feature of the neuron has the *character* ``(a, c)``
if this multiplies it by ``(-1)^(a d + c k)``. Products add characters, and odd functions keep them. For other odd
activations, such as tanh, there are no shifts, and features are even or odd. docs/graded-layers.md has the proofs.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import pi

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mnfn_cli.errors import UsageError
from mnfn_cli.nn.scaling import UnitScale
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec


@dataclass(frozen=True)
class Grading:
    """The characters of a neuron, numbered ``a + 2 c``: the number of a product is the exclusive or of the numbers.

    Attributes:
        characters: their number, 4 for sine and 2 for other odd activations. Number 0 is the trivial one.
        incoming: the character of the incoming weights.
        outgoing: the character of the outgoing weights.
    """

    characters: int
    incoming: int
    outgoing: int

    @classmethod
    def of(cls, spec: NetworkSpec) -> "Grading":
        """Return the grading of a weight space.

        Raises:
            UsageError: the activation is not odd, or the networks have convolutions.
        """
        if spec.group != "sign" or spec.kernels:
            raise UsageError("model", f"graded features need a dense network with sign flips, not {spec}")
        return cls(4, incoming=1, outgoing=3) if spec.activation == "sin" else cls(2, incoming=1, outgoing=1)


@dataclass(frozen=True)
class GradedFeatures:
    """Features of every hidden neuron and of every edge between two of them.

    Args:
        nodes, edges, outputs: the attributes.

    Attributes:
        nodes: for each hidden layer and each character the features of its neurons, ``(batch, n_i, size)``.
        edges: for each ``W(i)`` between hidden layers two tensors ``(batch, n_i, n_{i-1}, size)``: *even* features,
            which no element changes, and *odd* ones, which it multiplies as it does the entries of ``W(i)``.
        outputs: the output bias, which no element changes, ``(batch, n_L)``.

    Source:
        mnfn's own (docs/graded-layers.md).

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures
    >>> from mnfn_cli.nn import GradedEncoding
    >>> spec = NetworkSpec.mlp([2, 8, 8, 1], activation="sin", omega=15.0)
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2)
    >>> found = GradedEncoding(spec, 6, 4, size=3, scale=0.1)(networks)
    >>> found.means().shape, len(found.nodes), len(found.edges)
    (torch.Size([2, 13]), 2, 1)
    """

    nodes: tuple[tuple[Tensor, ...], ...]
    edges: tuple[tuple[Tensor, ...], ...]
    outputs: Tensor

    def plus(self, other: "GradedFeatures") -> "GradedFeatures":
        """Return the sums of the features of both, with the outputs of ``self``."""
        nodes = tuple(tuple(map(torch.add, a, b)) for a, b in zip(self.nodes, other.nodes, strict=True))
        edges = tuple(tuple(map(torch.add, a, b)) for a, b in zip(self.edges, other.edges, strict=True))
        return GradedFeatures(nodes, edges, self.outputs)

    def means(self) -> Tensor:
        """Return what no element changes: means of trivial features over neurons, and the outputs.

        Their number is ``hidden layers * size + n_L``.
        """
        return torch.cat([*(node[0].mean(dim=1) for node in self.nodes), self.outputs], dim=1)


class GradedEncoding(nn.Module):
    """Compute graded features of raw weights.

    Of numbers ``x`` of one character (a neuron's incoming weights, its outgoing weights, a hidden weight), divided by
    their usual size (``UnitScale``), the layer reads ``x``, the sines of random linear forms of ``x``, which have the
    same character, and their cosines, which no element changes. Instead of a bias ``b`` it reads, with the phase
    ``t = omega b`` of a sine neuron, ``cos 2t``, ``sin 2t``, ``cos t`` and ``sin t``, whose characters are (0,0),
    (1,0), (0,1) and (1,1); for other activations ``b`` is treated as a weight. The constant 1 joins the features that
    no element changes. For each layer and character, a linear map without bias then makes the same number of features.

    Args:
        spec: the weight space.
        nodes: the number of features of each neuron and character.
        edges: the numbers of even and of odd features of each edge between hidden neurons.
        size: the number of random linear forms.
        scale: the standard deviation of their coefficients, in turns.

    Shapes:
        The input is raw weights, ``(batch, 1, out, in)`` and ``(batch, 1, out)``.

    Raises:
        UsageError: the networks' activation is not odd, or they have convolutions.

    Source:
        mnfn's own (docs/graded-layers.md).

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures
    >>> from mnfn_cli.nn import GradedEncoding
    >>> spec = NetworkSpec.mlp([2, 8, 8, 1], activation="sin", omega=15.0)
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2)
    >>> GradedEncoding(spec, 6, 4, size=3, scale=0.1)(networks).edges[0][0].shape
    torch.Size([2, 8, 8, 4])
    """

    def __init__(self, spec: NetworkSpec, nodes: int, edges: int, size: int, scale: float) -> None:
        super().__init__()
        self.omega, self.grading, self.unit_scale = spec.omega, Grading.of(spec), UnitScale(spec)
        last = len(spec.hidden_widths) - 1
        self.incoming = _Waves(spec.widths[0], size, scale)
        self.outgoing = _Waves(spec.widths[-1], size, scale)
        self.between = _Waves(1, size, scale)
        self.bias = None if self.grading.characters == 4 else _Waves(1, size, scale)
        self.node_maps, self.edge_maps = nn.ModuleList(), nn.ModuleList()
        for layer in range(last + 1):
            widths = [2, 1, 1, 1] if self.bias is None else [1 + size, 1 + size]
            if layer == 0:
                widths[0] += size
                widths[self.grading.incoming] += spec.widths[0] + size
            if layer == last:
                widths[0] += size
                widths[self.grading.outgoing] += spec.widths[-1] + size
            self.node_maps.append(nn.ModuleList(nn.Linear(width, nodes, bias=False) for width in widths))
        for _ in range(last):
            self.edge_maps.append(nn.ModuleList(nn.Linear(1 + size, edges, bias=False) for _ in range(2)))

    def forward(self, features: WeightSpaceFeatures) -> GradedFeatures:
        """Return the graded features."""
        unit: WeightSpaceFeatures = self.unit_scale(features)
        last = len(self.node_maps) - 1
        nodes = []
        for layer, maps in enumerate(self.node_maps.children()):
            found = self._of_bias(features.biases[layer][:, 0, :, None], unit.biases[layer][:, 0, :, None])
            if layer == 0:
                self.incoming(unit.weights[0][:, 0], found[0], found[self.grading.incoming])
            if layer == last:
                self.outgoing(unit.weights[-1][:, 0].transpose(1, 2), found[0], found[self.grading.outgoing])
            nodes.append(_mapped(maps.children(), found))
        edges = []
        for weight, maps in zip(unit.weights[1:-1], self.edge_maps.children(), strict=True):
            numbers = weight[:, 0, :, :, None]
            found = [[torch.ones_like(numbers)], []]
            self.between(numbers, found[0], found[1])
            edges.append(_mapped(maps.children(), found))
        return GradedFeatures(tuple(nodes), tuple(edges), unit.biases[-1][:, 0])

    def _of_bias(self, bias: Tensor, unit: Tensor) -> list[list[Tensor]]:
        """Return the features of a bias ``(batch, neurons, 1)`` by character, beside the constant 1."""
        one = torch.ones_like(bias)
        if self.bias is None:
            phase = self.omega * bias
            return [[one, (2 * phase).cos()], [(2 * phase).sin()], [phase.cos()], [phase.sin()]]
        found: list[list[Tensor]] = [[one], []]
        self.bias(unit, found[0], found[1])
        return found


class _Waves(nn.Module):
    """Numbers of one character, and sines and cosines of fixed random linear forms of them."""

    forms: Tensor

    def __init__(self, numbers: int, size: int, scale: float) -> None:
        super().__init__()
        self.register_buffer("forms", 2 * pi * scale * torch.randn(size, numbers))

    def forward(self, numbers: Tensor, even: list[Tensor], odd: list[Tensor]) -> None:
        """Append the features of numbers ``(..., count)`` to the lists of even and of odd ones."""
        angles = F.linear(numbers, self.forms)
        even.append(angles.cos())
        odd += [numbers, angles.sin()]


def _mapped(maps: Iterable[nn.Module], found: list[list[Tensor]]) -> tuple[Tensor, ...]:
    return tuple(linear(torch.cat(parts, dim=-1)) for linear, parts in zip(maps, found, strict=True))
