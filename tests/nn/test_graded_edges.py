"""Graded features and layers: they commute with flips, shifts and permutations, and equal their formulas."""

from itertools import pairwise
from math import pi, sqrt

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sine_group import SineElement, largest_difference, tensors

from mnfn_cli.errors import UsageError
from mnfn_cli.nn.graded_edges import GradedEdgeLayer
from mnfn_cli.nn.graded_features import GradedEncoding, GradedFeatures, Grading
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.rendering import render
from mnfn_cli.weightspace.spec import NetworkSpec

SINE = NetworkSpec.mlp([2, 5, 4, 3], activation="sin", omega=15.0)
TOLERANCE = {torch.float64: 1e-10, torch.float32: 2e-4}

specs = st.builds(
    lambda widths, activation: NetworkSpec.mlp(widths, activation, omega=15.0 if activation == "sin" else 1.0),
    st.lists(st.integers(1, 5), min_size=3, max_size=6),
    st.sampled_from(["sin", "tanh"]),
)


def weights(spec, batch=2, dtype=torch.float64, seed=0):
    """Draw weights of about the sizes that those of a SIREN have."""
    generator = torch.Generator().manual_seed(seed)
    return WeightSpaceFeatures.randn(spec, batch, generator=generator, dtype=dtype).map(lambda tensor: tensor * 0.2)


def random_graded(spec, nodes, edges, batch=2):
    """Draw graded features from a normal distribution."""
    widths, characters = spec.hidden_widths, Grading.of(spec).characters
    return GradedFeatures(
        tuple(tuple(torch.randn(characters, batch, n, nodes, dtype=torch.float64)) for n in widths),
        tuple(tuple(torch.randn(2, batch, n, m, edges, dtype=torch.float64)) for m, n in pairwise(widths)),
        torch.randn(batch, spec.widths[-1], dtype=torch.float64),
    )


def element_of(spec, batch=2, seed=0, dtype=torch.float64):
    return SineElement(spec, batch, 40 if spec.activation == "sin" else 0, seed, dtype)


@pytest.mark.parametrize("widths", [[2, 6, 1], [2, 5, 4, 3], [2, 3, 4, 3, 1]])
def test_the_group_by_hand_keeps_the_pictures(widths):
    spec = NetworkSpec.mlp(widths, activation="sin", omega=15.0)
    x, element = weights(spec), element_of(spec)
    moved = render(spec, element.act(x), (5, 6))
    assert float((moved - render(spec, x, (5, 6))).abs().max()) < 1e-11
    quarter = WeightSpaceFeatures(x.weights, [x.biases[0] + pi / (2 * spec.omega), *x.biases[1:]])
    assert float((render(spec, quarter, (5, 6)) - render(spec, x, (5, 6))).abs().max()) > 0.05


@given(spec=specs, dtype=st.sampled_from([torch.float64, torch.float32]), seed=st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_the_encoding_commutes_with_the_group(spec, dtype, seed):
    torch.manual_seed(seed)
    encode = GradedEncoding(spec, nodes=4, edges=3, size=5, scale=0.3).to(dtype)
    x, element = weights(spec, dtype=dtype, seed=seed), element_of(spec, seed=seed, dtype=dtype)
    with torch.no_grad():
        after, before = encode(element.act(x)), element.act_on_graded(encode(x))
    assert largest_difference(tensors(after), tensors(before)) <= TOLERANCE[dtype]


@given(spec=specs, nodes=st.integers(2, 5), edges=st.integers(1, 4), seed=st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_the_layer_commutes_with_the_group_and_equals_its_formulas(spec, nodes, edges, seed):
    torch.manual_seed(seed)
    layer = GradedEdgeLayer(spec, nodes, edges).double()
    x, element = random_graded(spec, nodes, edges), element_of(spec, seed=seed)
    with torch.no_grad():
        before = layer(x)
        after = layer(element.act_on_graded(x))
        assert largest_difference(tensors(after), tensors(element.act_on_graded(before))) <= 1e-10
        assert largest_difference(tensors(before), tensors(slow_layer(layer, spec, x))) <= 1e-10


def gelu(x):
    return x * (1 + torch.erf(x / sqrt(2))) / 2


def slow_layer(layer, spec, x):
    """Apply the formulas of ``GradedEdgeLayer`` network by network, edge by edge and neuron by neuron."""
    grading, hidden = Grading.of(spec), spec.hidden_widths
    into, out, characters = grading.incoming, grading.outgoing, range(grading.characters)
    nodes = [tuple(map(torch.zeros_like, node)) for node in x.nodes]
    edges = [tuple(map(torch.zeros_like, edge)) for edge in x.edges]
    for n in range(len(x.outputs)):
        old = [[[node[a][n, j] for j in range(node[a].shape[1])] for a in characters] for node in x.nodes]
        c = torch.cat([*(sum(o[0]) / len(o[0]) for o in old), x.outputs[n]])
        y = [[list(of_character) for of_character in o] for o in old]
        for i, update in enumerate(layer.edges):
            for j in range(hidden[i + 1]):
                for k in range(hidden[i]):
                    e, o = x.edges[i][0][n, j, k], x.edges[i][1][n, j, k]
                    p = (update.product_above.weight @ old[i + 1][into][j]) * (
                        update.product_below.weight @ old[i][out][k]
                    )
                    ends = update.even_above.weight @ old[i + 1][0][j] + update.even_above.bias
                    ends = ends + update.even_below.weight @ old[i][0][k]
                    e = gelu(update.even.weight @ torch.cat([e, o * p, o * o]) + ends)
                    gate = 1 + update.gate.weight @ e + update.gate.bias
                    o = torch.tanh((update.odd.weight @ torch.cat([o, p])) * gate)
                    edges[i][0][n, j, k], edges[i][1][n, j, k] = e, o
                    up, down = layer.upward[i], layer.downward[i]
                    for way, to, of, target, source, count in (
                        (up, (i + 1, j), (i, k), into, out, hidden[i]),
                        (down, (i, k), (i + 1, j), out, into, hidden[i + 1]),
                    ):
                        even = way.write_even.weight @ (e * (way.read_even.weight @ old[of[0]][0][of[1]])) / count
                        odd = way.write_odd.weight @ (o * (way.read_odd.weight @ old[of[0]][source][of[1]])) / count
                        y[to[0]][0][to[1]] = y[to[0]][0][to[1]] + even
                        y[to[0]][target][to[1]] = y[to[0]][target][to[1]] + odd
        for i, update in enumerate(layer.nodes):
            for j in range(hidden[i]):
                y[i][0][j] = y[i][0][j] + update.context.weight @ c + update.context.bias
                for a in characters:
                    found = [y[i][a][j]]
                    for b in characters:
                        left = y[i][b][j] @ update.left[b]
                        found.append(left * (y[i][a ^ b][j] @ update.right[a ^ b]))
                    value = torch.cat(found) @ update.mix[a]
                    nodes[i][a][n, j] = gelu(value) if a == 0 else torch.tanh(value)
    return GradedFeatures(tuple(nodes), tuple(edges), x.outputs)


@pytest.mark.parametrize("widths", [[2, 6, 1], [2, 5, 4, 3], [2, 3, 4, 3, 2], [2, 9, 8, 7, 2]])
@pytest.mark.parametrize("activation", ["sin", "tanh"])
@pytest.mark.parametrize(("m", "f"), [(6, 4), (5, 3)])
def test_parameter_count_is_the_formula(m, f, activation, widths):
    H, n, C, h = len(widths) - 2, widths[-1], 4 if activation == "sin" else 2, m // 2
    layer = GradedEdgeLayer(NetworkSpec.mlp(widths, activation), m, f)
    expected = (H - 1) * (12 * m * f + 6 * f**2 + 2 * f)
    expected += H * (m * (H * m + n + 1) + 2 * C * m * h + C * m * (m + C * h))
    assert sum(parameter.numel() for parameter in layer.parameters()) == expected


def test_half_a_shift_is_noticed():
    """A quarter turn is no element of the group, which would not change the sizes of features."""
    torch.manual_seed(0)
    encode, x = GradedEncoding(SINE, 4, 3, size=5, scale=0.3).double(), weights(SINE)
    read = [x.weights[0], *(-weight for weight in x.weights[1:])]
    half, whole = (
        WeightSpaceFeatures(read, [*(bias + turn / SINE.omega for bias in x.biases[:-1]), x.biases[-1]])
        for turn in (pi / 2, pi)
    )
    with torch.no_grad():
        before, after, right = ([tensor.abs() for tensor in tensors(encode(y))] for y in (x, half, whole))
    assert largest_difference(right, before) < 1e-10
    assert largest_difference(after, before) > 1e-2


def test_a_wrong_character_is_noticed():
    """Signs that belong to another character than the one of a feature change what the layer makes of it."""
    torch.manual_seed(0)
    layer, x, element = GradedEdgeLayer(SINE, 4, 3).double(), random_graded(SINE, 4, 3), element_of(SINE)
    moved = element.act_on_graded(x)
    swapped = GradedFeatures(
        tuple((node[0], node[2], node[1], node[3]) for node in moved.nodes), moved.edges, moved.outputs
    )
    torn = GradedFeatures(moved.nodes, x.edges, moved.outputs)
    with torch.no_grad():
        expected = tensors(element.act_on_graded(layer(x)))
        for wrong in (swapped, torn):
            assert largest_difference(tensors(layer(wrong)), expected) > 1e-2


def test_every_parameter_matters():
    torch.manual_seed(0)
    layer, x = GradedEdgeLayer(SINE, 4, 3).double(), random_graded(SINE, 4, 3)
    with torch.no_grad():
        before = tensors(layer(x))
        for name, parameter in layer.named_parameters():
            kept = parameter.clone()
            parameter.copy_(parameter.flip(0) + 0.1)
            assert largest_difference(tensors(layer(x)), before) > 1e-6, name
            parameter.copy_(kept)


def test_forward_and_backward_on_the_meta_device():
    with torch.device("meta"):
        encode, layer = GradedEncoding(SINE, 4, 3, size=5, scale=0.3), GradedEdgeLayer(SINE, 4, 3)
        output = layer(encode(WeightSpaceFeatures.zeros(SINE, 4)))
        sum(tensor.sum() for tensor in tensors(output)).backward()
    assert all(parameter.grad is not None for parameter in [*encode.parameters(), *layer.parameters()])


@pytest.mark.parametrize(
    "spec",
    [
        NetworkSpec.mlp([2, 3, 1], activation="relu"),
        NetworkSpec.mlp([2, 3, 1], activation="gelu"),
        NetworkSpec.cnn([2, 3], kernel=2, outputs=3, activation="tanh"),
    ],
)
def test_other_networks_are_refused(spec):
    with pytest.raises(UsageError, match="dense network with sign flips"):
        GradedEdgeLayer(spec, 4, 3)
