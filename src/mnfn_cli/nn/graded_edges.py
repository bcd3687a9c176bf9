"""A layer of the full sine group: messages along the edges of a network, and products of features by character."""

from collections.abc import Sequence
from math import sqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mnfn_cli.nn.graded_features import GradedFeatures, Grading
from mnfn_cli.weightspace.spec import NetworkSpec


class GradedEdgeLayer(nn.Module):
    """Update the features of edges from their neurons, then those of neurons from their edges and neighbours.

    Let ``x_a[j]`` be the features of neuron ``j`` of character ``a``, ``in`` and ``out`` the characters of incoming and
    outgoing weights, and ``e``, ``o`` the even and odd features of the edge from neuron ``k`` to ``j``. Capital letters
    are learned matrices, ``*`` multiplies features one by one, and ``+`` in an index adds characters:

        p'     = (A x_in[j]) * (B x_out[k])
        e'     = gelu(C [e, o * p', o * o] + D x_0[j] + E x_0[k])
        o'     = tanh((F [o, p']) * (1 + G e'))
        y_0[j]   = x_0[j] + K c + M mean_k e' * (N x_0[k])        + the same from the layer above
        y_in[j]  = x_in[j]      + P mean_k o' * (Q x_out[k])
        y_out[k] = x_out[k]     + R mean_j o' * (S x_in[j])
        x'_a[j]  = f_a(T_a y_a[j] + sum_b U_ab ((V_b y_b[j]) * (W_(a+b) y_(a+b)[j])))

    where ``c`` are the means that no element changes (``GradedFeatures.means``), and ``f`` is gelu for the trivial
    character and tanh, which is odd, for the others. Maps into features that no element changes have constants. Every
    term has the character of what it is added to, so the layer commutes with the group. It is not complete.

    With ``m`` features of a neuron and character, ``f`` of an edge, ``H`` hidden layers, ``C`` characters, ``n``
    outputs and ``h = m // 2`` products of each pair of characters it has

        (H - 1) (12 m f + 6 f^2 + 2 f) + H (m (H m + n + 1) + 2 C m h + C m (m + C h))

    parameters, whatever the widths of the networks are.

    Args:
        spec: the weight space.
        nodes: the number ``m`` of features of each neuron and character, at least 2.
        edges: the number ``f`` of even and of odd features of each edge.

    Shapes:
        The input and the output are ``GradedFeatures`` with ``m`` features of a neuron and ``f`` of an edge.

    Raises:
        UsageError: the networks' activation is not odd, or they have convolutions.

    Source:
        mnfn's own (docs/graded-layers.md).

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures
    >>> from mnfn_cli.nn import GradedEdgeLayer, GradedEncoding
    >>> spec = NetworkSpec.mlp([2, 8, 8, 1], activation="sin", omega=15.0)
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2)
    >>> encode, layer = GradedEncoding(spec, 6, 4, size=3, scale=0.1), GradedEdgeLayer(spec, 6, 4)
    >>> layer(encode(networks)).nodes[0][0].shape
    torch.Size([2, 8, 6])
    """

    def __init__(self, spec: NetworkSpec, nodes: int, edges: int) -> None:
        super().__init__()
        grading, hidden = Grading.of(spec), len(spec.hidden_widths)
        context = hidden * nodes + spec.widths[-1]
        self.edges = nn.ModuleList(_EdgeUpdate(grading, nodes, edges) for _ in range(hidden - 1))
        self.upward = nn.ModuleList(_Messages(grading, nodes, edges, upward=True) for _ in range(hidden - 1))
        self.downward = nn.ModuleList(_Messages(grading, nodes, edges, upward=False) for _ in range(hidden - 1))
        self.nodes = nn.ModuleList(_NodeUpdate(grading, nodes, context) for _ in range(hidden))

    def forward(self, features: GradedFeatures) -> GradedFeatures:
        """Return the new features."""
        nodes, edges = features.nodes, []
        gathered = [list(node) for node in nodes]
        for i, update in enumerate(self.edges):
            edges.append(update(features.edges[i], nodes[i + 1], nodes[i]))
            self.upward[i](edges[i], nodes[i], gathered[i + 1])
            self.downward[i](edges[i], nodes[i + 1], gathered[i])
        means = features.means()
        updated = [update(parts, means) for update, parts in zip(self.nodes, gathered, strict=True)]
        return GradedFeatures(tuple(updated), tuple(edges), features.outputs)


class _EdgeUpdate(nn.Module):
    """The lines ``p'``, ``e'`` and ``o'`` of ``GradedEdgeLayer``."""

    def __init__(self, grading: Grading, nodes: int, edges: int) -> None:
        super().__init__()
        self.grading = grading
        self.product_above = nn.Linear(nodes, edges, bias=False)
        self.product_below = nn.Linear(nodes, edges, bias=False)
        self.even_above = nn.Linear(nodes, edges)
        self.even_below = nn.Linear(nodes, edges, bias=False)
        self.even = nn.Linear(3 * edges, edges, bias=False)
        self.odd = nn.Linear(2 * edges, edges, bias=False)
        self.gate = nn.Linear(edges, edges)

    def forward(
        self, edge: Sequence[Tensor], above: Sequence[Tensor], below: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Return the features of the edges between the neurons ``above`` and ``below``."""
        even, odd = edge
        left = self.product_above(above[self.grading.incoming])[:, :, None]
        product = left * self.product_below(below[self.grading.outgoing])[:, None]
        ends = self.even_above(above[0])[:, :, None] + self.even_below(below[0])[:, None]
        even = F.gelu(self.even(torch.cat([even, odd * product, odd * odd], dim=-1)) + ends)
        odd = torch.tanh(self.odd(torch.cat([odd, product], dim=-1)) * (1 + self.gate(even)))
        return even, odd


class _Messages(nn.Module):
    """The messages of ``GradedEdgeLayer`` along the edges in one direction: upward, to the next layer, or downward."""

    def __init__(self, grading: Grading, nodes: int, edges: int, upward: bool) -> None:
        super().__init__()
        self.source, self.target = grading.incoming, grading.outgoing
        if upward:
            self.source, self.target = self.target, self.source
        self.senders = 2 if upward else 1
        self.read_even = nn.Linear(nodes, edges, bias=False)
        self.read_odd = nn.Linear(nodes, edges, bias=False)
        self.write_even = nn.Linear(edges, nodes, bias=False)
        self.write_odd = nn.Linear(edges, nodes, bias=False)

    def forward(self, edge: Sequence[Tensor], nodes: Sequence[Tensor], gathered: list[Tensor]) -> None:
        """Add the messages of ``nodes``, by character, to what the receivers gathered."""
        even, odd = self.read_even(nodes[0]), self.read_odd(nodes[self.source])
        even, odd = (
            (features * values.unsqueeze(3 - self.senders)).mean(dim=self.senders)
            for features, values in zip(edge, (even, odd), strict=True)
        )
        gathered[0] = gathered[0] + self.write_even(even)
        gathered[self.target] = gathered[self.target] + self.write_odd(odd)


class _NodeUpdate(nn.Module):
    """The line ``x'`` of ``GradedEdgeLayer``, and the means in ``y_0``."""

    def __init__(self, grading: Grading, nodes: int, context: int) -> None:
        super().__init__()
        self.characters = grading.characters
        products = nodes // 2
        self.context = nn.Linear(context, nodes)
        self.left = nn.Parameter(torch.empty(self.characters, nodes, products))
        self.right = nn.Parameter(torch.empty(self.characters, nodes, products))
        self.mix = nn.Parameter(torch.empty(self.characters, nodes + self.characters * products, nodes))
        nn.init.normal_(self.left, std=1 / sqrt(nodes))
        nn.init.normal_(self.right, std=1 / sqrt(nodes))
        nn.init.normal_(self.mix, std=1 / sqrt(2 * nodes))

    def forward(self, gathered: list[Tensor], means: Tensor) -> tuple[Tensor, ...]:
        """Return the features of the neurons by character, each ``(batch, neurons, nodes)``."""
        y = [gathered[0] + self.context(means)[:, None], *gathered[1:]]
        left = [part @ matrix for part, matrix in zip(y, self.left, strict=True)]
        right = [part @ matrix for part, matrix in zip(y, self.right, strict=True)]
        updated = []
        for a, mix in enumerate(self.mix):
            products = [left[b] * right[a ^ b] for b in range(self.characters)]
            x = torch.cat([y[a], *products], dim=2) @ mix
            updated.append(torch.tanh(x) if a else F.gelu(x))
        return tuple(updated)
