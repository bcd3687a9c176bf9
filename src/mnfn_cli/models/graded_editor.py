"""An INR editor that is equivariant to permutations, flips and phase shifts: graded layers, then a linear read-out."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from mnfn_cli.nn.graded_edges import GradedEdgeLayer
from mnfn_cli.nn.graded_features import GradedEncoding, Grading
from mnfn_cli.nn.scaling import LearnedScale
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec


class GradedEditor(nn.Module):
    """Map an INR's weights ``x`` to a change with ``delta(g x) = g delta(x)`` for every ``g`` in the full sine group.

    A ``GradedEncoding``, then rounds ``z + GradedEdgeLayer(z)``. The change of each tensor is a linear map of the
    features of its character: of neurons' (1,0) for ``W(1)`` and the hidden biases, of neurons' (1,1) for ``W(L)``, of
    odd features of edges for the weights between, and of ``GradedFeatures.means`` for ``b(L)``. Each is multiplied by
    a learned scale (``LearnedScale``). A shift adds the same number to a bias before and after the change, so the
    change of a bias has the character (1,0).

    Args:
        spec: the weight space of the INRs.
        nodes: the number of features of each neuron and character.
        edges: the numbers of even and of odd features of each edge.
        rounds: the number of graded layers.
        fourier: the arguments ``size`` and ``scale`` of ``GradedEncoding``.

    Shapes:
        The input and the output are ``(batch, 1, out, in)`` and ``(batch, 1, out)``.

    Raises:
        UsageError: the networks' activation is not odd, or they have convolutions.

    Source:
        mnfn's own (docs/graded-layers.md).

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures, build_model
    >>> spec = NetworkSpec.mlp([2, 8, 8, 1], activation="sin", omega=15.0)
    >>> model = build_model("editing/graded", spec)
    >>> from mnfn_cli.testing import assert_equivariant
    >>> assert_equivariant(model.double(), spec, shifts=2)
    """

    def __init__(self, spec: NetworkSpec, nodes: int, edges: int, rounds: int, fourier: Mapping[str, Any]) -> None:
        super().__init__()
        self.grading = Grading.of(spec)
        self.encoding = GradedEncoding(spec, nodes, edges, **fourier)
        self.layers = nn.ModuleList(GradedEdgeLayer(spec, nodes, edges) for _ in range(rounds))
        hidden, inputs, outputs = len(spec.hidden_widths), spec.widths[0], spec.widths[-1]
        self.incoming = nn.Linear(nodes, inputs, bias=False)
        self.outgoing = nn.Linear(nodes, outputs, bias=False)
        self.biases = nn.ModuleList(nn.Linear(nodes, 1, bias=False) for _ in range(hidden))
        self.edges = nn.ModuleList(nn.Linear(edges, 1, bias=False) for _ in range(hidden - 1))
        self.output = nn.Linear(hidden * nodes + outputs, outputs)
        self.scale = LearnedScale(spec)

    def forward(self, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        """Return the change, which the caller adds to the weights."""
        x = self.encoding(features)
        for layer in self.layers:
            x = x.plus(layer(x))
        incoming, outgoing = self.grading.incoming, self.grading.outgoing
        weights = [
            self.incoming(x.nodes[0][incoming]),
            *(read(edge[1]).squeeze(-1) for read, edge in zip(self.edges, x.edges, strict=True)),
            self.outgoing(x.nodes[-1][outgoing]).transpose(1, 2),
        ]
        biases = [
            *(read(node[incoming]).squeeze(-1) for read, node in zip(self.biases, x.nodes, strict=True)),
            self.output(x.means()),
        ]
        change = WeightSpaceFeatures([weight[:, None] for weight in weights], [bias[:, None] for bias in biases])
        scaled: WeightSpaceFeatures = self.scale(change)
        return scaled
