"""A network as a graph: neurons are nodes with their biases, weights are edges with their kernel entries.

After Kofinas et al. 2024, "Graph Neural Networks for Learning Equivariant Representations of Neural Networks". The
graph of a feed-forward network is complete between neighbouring layers, so nodes are one dense tensor a layer and edges
another; nothing is indexed.
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
        nodes: for every layer of neurons, inputs first, ``(batch, n_i, size)``.
        edges: for every layer of weights ``(batch, n_i, n_{i-1}, size)``.
    """

    nodes: list[Tensor]
    edges: list[Tensor]


class NeuralGraph(nn.Module):
    """Turn weights and biases into a graph.

    A node starts as a linear map of its bias, plus a learned vector that says where it stands: one for each input and
    each output neuron, which keep their places, and one for all neurons of a hidden layer. An edge starts as a linear
    map of its kernel entries, with a map for each layer, since kernels differ in size.

    Args:
        spec: the weight space.
        size: of nodes and edges.
    """

    def __init__(self, spec: NetworkSpec, size: int) -> None:
        super().__init__()
        self.bias = nn.Linear(1, size)
        self.inputs = nn.Parameter(torch.randn(spec.widths[0], size))
        self.hidden = nn.Parameter(torch.randn(len(spec.hidden_widths), size))
        self.outputs = nn.Parameter(torch.randn(spec.widths[-1], size))
        self.weights = nn.ModuleList(nn.Linear(entries, size) for entries in spec.kernel_entries)

    def forward(self, features: WeightSpaceFeatures) -> Graph:
        """Build the graph of raw weights, one channel."""
        places = [*self.hidden, self.outputs]
        biases = [self.bias(bias[:, 0, :, None]) for bias in features.biases]
        nodes = [bias + place for bias, place in zip(biases, places, strict=True)]
        edges = [
            linear(weight[:, 0].flatten(3) if weight.dim() > 4 else weight[:, 0, :, :, None])
            for linear, weight in zip(self.weights, features.weights, strict=True)
        ]
        return Graph([self.inputs.expand(features.batch, -1, -1), *nodes], edges)


class MessagePassing(nn.Module):
    """One round: every edge forms a message with its two nodes; edges and nodes take up what concerns them.

        message[j, k] = relu(A node_i[j] + B node_{i-1}[k] + C edge_i[j, k])
        edge_i[j, k] += D message[j, k]
        node_i[j]    += MLP([node_i[j], mean_k message_i[j, k], mean_p message_{i+1}[p, j]])

    All layers share the maps; equivariant to permutations of the neurons of every layer. Nothing is normalised: how
    large a network's weights are says much about its accuracy, and a ``LayerNorm`` would take that out.

    Args:
        size: of nodes and edges.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.to_node = nn.Linear(size, size)
        self.from_node = nn.Linear(size, size, bias=False)
        self.along = nn.Linear(size, size, bias=False)
        self.edge = nn.Linear(size, size)
        self.node = nn.Sequential(nn.Linear(3 * size, size), nn.ReLU(), nn.Linear(size, size))

    def forward(self, graph: Graph) -> Graph:
        """Pass messages once."""
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
    """Average nodes and edges of every layer: invariant to permutations of hidden neurons, ``(batch, numbers)``.

    Args:
        spec: the weight space.
        size: of nodes and edges.
    """

    def __init__(self, spec: NetworkSpec, size: int) -> None:
        super().__init__()
        self.numbers = (2 * spec.num_layers + 1) * size

    def forward(self, graph: Graph) -> Tensor:
        """Average and concatenate."""
        means = [node.mean(dim=1) for node in graph.nodes] + [edge.mean(dim=(1, 2)) for edge in graph.edges]
        return torch.cat(means, dim=1)
