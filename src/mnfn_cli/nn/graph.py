"""A network as a graph: neurons are nodes with their biases, weights are edges with their kernel entries.

After Kofinas et al. 2024, "Graph Neural Networks for Learning Equivariant Representations of Neural Networks". The
graph of a feed-forward network is complete between neighbouring layers, so the nodes of a layer are one dense tensor,
the edges between two layers are another, and no list of edges is needed.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec


@dataclass(frozen=True)
class Graph:
    """A batch of networks as graphs.

    Args:
        nodes: one tensor ``(batch, n_i, size)`` for each layer of neurons, the inputs first.
        edges: one tensor ``(batch, n_i, n_{i-1}, size)`` for each layer of weights.

    Source:
        Kofinas et al. 2024.

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures
    >>> from mnfn_cli.nn import Graph, NeuralGraph
    >>> spec = NetworkSpec.mlp([2, 5, 4, 3], activation="relu")
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2)
    >>> graph = NeuralGraph(spec, size=8)(networks)
    >>> [tuple(nodes.shape) for nodes in graph.nodes]
    [(2, 2, 8), (2, 5, 8), (2, 4, 8), (2, 3, 8)]
    """

    nodes: list[Tensor]
    edges: list[Tensor]


class NeuralGraph(nn.Module):
    """Turn the weights and biases of networks into graphs.

    The vector of a node is a linear map of its bias plus a learned vector. Each input and each output neuron has a
    learned vector of its own, since they are not permuted; all neurons of a hidden layer share one. The vector of an
    edge is a linear map of its kernel entries. Each layer has a map of its own, since kernels differ in size.

    Args:
        spec: the weight space.
        size: the length of the vectors of nodes and edges.

    Shapes:
        The input is raw weights, ``(batch, 1, out, in, *kernel)`` and ``(batch, 1, out)``; the output is a ``Graph``.

    Source:
        Kofinas et al. 2024.

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures
    >>> from mnfn_cli.nn import NeuralGraph
    >>> spec = NetworkSpec.cnn([1, 4, 4], kernel=3, stride=2, outputs=10, activation="relu")
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2)
    >>> [tuple(edges.shape) for edges in NeuralGraph(spec, size=8)(networks).edges]
    [(2, 4, 1, 8), (2, 4, 4, 8), (2, 10, 4, 8)]
    """

    def __init__(self, spec: NetworkSpec, size: int) -> None:
        super().__init__()
        self.bias = nn.Linear(1, size)
        self.inputs = nn.Parameter(torch.randn(spec.widths[0], size))
        self.hidden = nn.Parameter(torch.randn(len(spec.hidden_widths), size))
        self.outputs = nn.Parameter(torch.randn(spec.widths[-1], size))
        self.weights = nn.ModuleList(nn.Linear(entries, size) for entries in spec.kernel_entries)

    def forward(self, features: WeightSpaceFeatures) -> Graph:
        """Return the graphs of networks, given as raw weights with one channel."""
        places = [*self.hidden, self.outputs]
        biases = [self.bias(bias[:, 0, :, None]) for bias in features.biases]
        nodes = [bias + place for bias, place in zip(biases, places, strict=True)]
        edges = [
            linear(weight[:, 0].flatten(3) if weight.dim() > 4 else weight[:, 0, :, :, None])
            for linear, weight in zip(self.weights, features.weights, strict=True)
        ]
        return Graph([self.inputs.expand(features.batch, -1, -1), *nodes], edges)


class MessagePassing(nn.Module):
    """One round of message passing: every edge computes a message, which updates the edge and both its nodes.

        message[j, k] = relu(A node_i[j] + B node_{i-1}[k] + C edge_i[j, k])
        edge_i[j, k] += D message[j, k]
        node_i[j]    += MLP([node_i[j], mean_k message_i[j, k], mean_p message_{i+1}[p, j]])

    All layers of the network share the linear maps ``A``, ``B``, ``C``, ``D`` and the MLP. The layer is equivariant to
    permutations of the neurons of every layer. It has no normalisation such as ``LayerNorm``, because the sizes of the
    weights help to predict a network's accuracy.

    Args:
        size: the length of the vectors of nodes and edges.

    Shapes:
        The input is a ``Graph``: nodes ``(batch, n_i, size)`` and edges ``(batch, n_i, n_{i-1}, size)``; so is the
        output.

    Source:
        Kofinas et al. 2024, without their normalisations.

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures
    >>> from mnfn_cli.nn import MessagePassing, NeuralGraph
    >>> spec = NetworkSpec.mlp([2, 5, 4, 3], activation="relu")
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2)
    >>> MessagePassing(8)(NeuralGraph(spec, size=8)(networks)).edges[0].shape
    torch.Size([2, 5, 2, 8])
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.to_node = nn.Linear(size, size)
        self.from_node = nn.Linear(size, size, bias=False)
        self.along = nn.Linear(size, size, bias=False)
        self.edge = nn.Linear(size, size)
        self.node = nn.Sequential(nn.Linear(3 * size, size), nn.ReLU(), nn.Linear(size, size))

    def forward(self, graph: Graph) -> Graph:
        """Return the graph after one round."""
        messages = [
            torch.relu(self.to_node(after)[:, :, None] + self.from_node(before)[:, None] + self.along(edge))
            for before, after, edge in zip(graph.nodes[:-1], graph.nodes[1:], graph.edges, strict=True)
        ]
        edges = [edge + self.edge(message) for edge, message in zip(graph.edges, messages, strict=True)]
        nodes = []
        for i, node in enumerate(graph.nodes):
            arriving = messages[i - 1].mean(dim=2) if i > 0 else torch.zeros_like(node)
            leaving = messages[i].mean(dim=1) if i < len(messages) else torch.zeros_like(node)
            nodes.append(node + self.node(torch.cat([node, arriving, leaving], dim=2)))
        return Graph(nodes, edges)


class GraphPool(nn.Module):
    """Average the nodes of every layer and the edges of every layer, which is invariant to permutations of neurons.

    Args:
        spec: the weight space.
        size: the length of the vectors of nodes and edges.

    Attributes:
        numbers: the length of the output, ``(2 * L + 1) * size``.

    Shapes:
        The output is ``(batch, numbers)``.

    Source:
        Kofinas et al. 2024.

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures
    >>> from mnfn_cli.nn import GraphPool, NeuralGraph
    >>> spec = NetworkSpec.mlp([2, 5, 4, 3], activation="relu")
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2)
    >>> GraphPool(spec, 8)(NeuralGraph(spec, size=8)(networks)).shape
    torch.Size([2, 56])
    """

    def __init__(self, spec: NetworkSpec, size: int) -> None:
        super().__init__()
        self.numbers = (2 * spec.num_layers + 1) * size

    def forward(self, graph: Graph) -> Tensor:
        """Return the averages of all layers, concatenated."""
        means = [node.mean(dim=1) for node in graph.nodes] + [edge.mean(dim=(1, 2)) for edge in graph.edges]
        return torch.cat(means, dim=1)
