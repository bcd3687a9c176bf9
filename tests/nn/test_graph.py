"""The neural graph: one round entry by entry, permutations, and that every part of it matters."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mnfn_cli.nn.graph import Graph, GraphPool, MessagePassing, NeuralGraph
from mnfn_cli.testing import assert_invariant
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.weightspace.spec import NetworkSpec

CNN = NetworkSpec.cnn([2, 4, 3], kernel=2, hidden=[5], outputs=3, activation="gelu")


@settings(max_examples=15, deadline=None)
@given(widths=st.lists(st.integers(1, 5), min_size=3, max_size=5), rounds=st.integers(0, 3))
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_invariant_to_permutations(dtype, widths, rounds):
    torch.manual_seed(0)
    spec = NetworkSpec.mlp(widths, activation="gelu")
    layers = [NeuralGraph(spec, 4), *(MessagePassing(4) for _ in range(rounds)), GraphPool(spec, 4)]
    assert_invariant(torch.nn.Sequential(*layers).to(dtype), spec)


def test_one_round_entry_by_entry():
    torch.manual_seed(0)
    graph = NeuralGraph(CNN, 3).double()(WeightSpaceFeatures.randn(CNN, 2, dtype=torch.float64))
    layer = MessagePassing(3).double()
    result = layer(graph)
    for b in range(2):
        nodes, edges = [node[b] for node in graph.nodes], [edge[b] for edge in graph.edges]

        def message(i, j, k, nodes=nodes, edges=edges):
            """The message along edge (j, k) of layer i, counted from 0."""
            terms = layer.to_node(nodes[i + 1][j]) + layer.from_node(nodes[i][k]) + layer.along(edges[i][j, k])
            return torch.relu(terms)

        for i, edge in enumerate(edges):
            for j in range(edge.shape[0]):
                for k in range(edge.shape[1]):
                    expected = edge[j, k] + layer.edge(message(i, j, k))
                    torch.testing.assert_close(result.edges[i][b, j, k], expected)
        for i, node in enumerate(nodes):
            for j in range(len(node)):
                zero = torch.zeros(3, dtype=torch.float64)
                arriving = [message(i - 1, j, k) for k in range(len(nodes[i - 1]))] if i > 0 else [zero]
                leaving = [message(i, p, j) for p in range(len(nodes[i + 1]))] if i < len(edges) else [zero]
                joined = torch.cat([node[j], torch.stack(arriving).mean(0), torch.stack(leaving).mean(0)])
                expected = node[j] + layer.node(joined)
                torch.testing.assert_close(result.nodes[i][b, j], expected)


def test_inputs_and_outputs_keep_their_places():
    """Hidden neurons may be permuted; inputs and outputs mean something."""
    spec = NetworkSpec.mlp([3, 4, 3], activation="gelu")
    torch.manual_seed(0)
    model = torch.nn.Sequential(NeuralGraph(spec, 4), MessagePassing(4), MessagePassing(4), GraphPool(spec, 4)).double()
    x = WeightSpaceFeatures.randn(spec, 2, dtype=torch.float64)
    turned_inputs = WeightSpaceFeatures([x.weights[0].flip(3), x.weights[1]], x.biases)
    turned_outputs = WeightSpaceFeatures([x.weights[0], x.weights[1].flip(2)], [x.biases[0], x.biases[1].flip(2)])
    for turned in (turned_inputs, turned_outputs):
        assert (model(turned) - model(x)).abs().max() > 1e-3


def test_what_is_pooled():
    graph = Graph([torch.ones(1, 2, 3), torch.full((1, 4, 3), 2.0)], [torch.full((1, 4, 2, 3), 5.0)])
    assert GraphPool(NetworkSpec.mlp([2, 4, 1], activation="gelu"), 3)(graph).tolist() == [
        [1.0] * 3 + [2.0] * 3 + [5.0] * 3
    ]


def test_a_wrong_permutation_is_noticed():
    torch.manual_seed(0)
    model = torch.nn.Sequential(NeuralGraph(CNN, 4), MessagePassing(4), MessagePassing(4), GraphPool(CNN, 4)).double()
    x = WeightSpaceFeatures.randn(CNN, 2, dtype=torch.float64)
    right = MonomialElement.sample(CNN, 2).act(x)
    wrong = WeightSpaceFeatures([x.weights[0].flip(2), *x.weights[1:]], x.biases)
    assert (model(right) - model(x)).abs().max() < 1e-10
    assert (model(wrong) - model(x)).abs().max() > 1e-3
