"""Graded features: slow oracles, the four characters, and parameter counts."""

from math import prod

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mnfn_cli.nn.graded import FLOOR, GRADES, INVARIANT, GradedLayer, GradedMessages

sizes = st.integers(1, 4)


def draw(counts, neurons, batch=2, seed=0):
    random = torch.Generator().manual_seed(seed)
    return {
        grade: torch.randn(batch, neurons, n, generator=random, dtype=torch.float64)
        for grade, n in zip(GRADES, counts, strict=True)
    }


def character(grade, d, k):
    return (1 - 2 * d) ** grade[0] * (1 - 2 * k) ** grade[1]


def moved(features, d, k):
    """Act with a flip and a shift, 0 or 1 each, of every neuron: ``(neurons,)``."""
    return {grade: x * character(grade, d, k)[:, None] for grade, x in features.items()}


def slow_layer(layer, features):
    """Return what ``GradedLayer`` does to one neuron of one network, pair of grades by pair of grades."""

    def apply(maps, grade, vector):
        linear = maps[f"{grade[0]}{grade[1]}"]
        image = torch.stack([(row * vector).sum() for row in linear.weight])
        return image if linear.bias is None else image + linear.bias

    found = {}
    for grade in GRADES:
        total = 0
        for a in GRADES:
            for b in GRADES:
                if (a[0] + b[0] - grade[0]) % 2 == 0 and (a[1] + b[1] - grade[1]) % 2 == 0:
                    total = total + apply(layer.left, a, features[a]) * apply(layer.right, b, features[b])
        y = apply(layer.joined, grade, total) + apply(layer.straight, grade, features[grade])
        y = y / ((y**2).mean() + FLOOR) ** 0.5
        found[grade] = torch.nn.functional.gelu(y) if grade == INVARIANT else y.tanh()
    return found


@settings(max_examples=10, deadline=None)
@given(counts=st.tuples(sizes, sizes, sizes, sizes), size=sizes, neurons=sizes, seed=st.integers(0, 99))
def test_the_layer_is_its_formula_and_keeps_every_grade(counts, size, neurons, seed):
    torch.manual_seed(seed)
    layer = GradedLayer(dict(zip(GRADES, counts, strict=True)), size).double()
    features = draw(counts, neurons, seed=seed)
    found = layer(features)
    for j in range(neurons):
        slow = slow_layer(layer, {grade: x[1, j] for grade, x in features.items()})
        for grade in GRADES:
            torch.testing.assert_close(found[grade][1, j], slow[grade], rtol=1e-12, atol=1e-12)
    d, k = torch.randint(0, 2, (2, neurons))
    for grade, image in layer(moved(features, d, k)).items():
        torch.testing.assert_close(image, moved(found, d, k)[grade], rtol=1e-12, atol=1e-12)
    assert sum(p.numel() for p in layer.parameters()) == 3 * sum(counts) * size + 4 * size**2 + 4 * size


@pytest.mark.parametrize("backward", [False, True])
@settings(max_examples=10, deadline=None)
@given(size=sizes, neurons=st.tuples(sizes, sizes), seed=st.integers(0, 99))
def test_messages_keep_every_grade(backward, size, neurons, seed):
    torch.manual_seed(seed)
    messages = GradedMessages(size, backward).double()
    before, after = (draw([size] * 4, n, seed=seed + n) for n in neurons)
    edges = torch.randn(2, neurons[1], neurons[0], dtype=torch.float64)
    (d, k), (d2, k2) = (torch.randint(0, 2, (2, n)) for n in neurons)
    # Outgoing weights of the layer before have grade (1, 1), incoming ones of the layer after (1, 0).
    acted = edges * character((1, 1), d, k) * character((1, 0), d2, k2)[:, None]
    own, sender = (before, after) if backward else (after, before)
    own_moved, sender_moved = moved(before, d, k), moved(after, d2, k2)
    if not backward:
        own_moved, sender_moved = sender_moved, own_moved
    plain, image = messages(own, sender, edges), messages(own_moved, sender_moved, acted)
    expected = moved(plain, d, k) if backward else moved(plain, d2, k2)
    for grade in GRADES:
        torch.testing.assert_close(image[grade], expected[grade], rtol=1e-11, atol=1e-11)


def test_a_wrong_sign_of_an_edge_is_noticed():
    torch.manual_seed(0)
    messages = GradedMessages(3, backward=False).double()
    before, after = draw([3] * 4, 4), draw([3] * 4, 5, seed=1)
    edges = torch.randn(2, 5, 4, dtype=torch.float64)
    d = torch.tensor([1, 0, 0, 0])
    k = torch.tensor([1, 0, 0, 0])
    right = edges * character((1, 1), d, k)
    wrong = edges * character((1, 0), d, k)  # the outgoing weights forget the shift
    plain = messages(after, before, edges)
    images = [messages(after, moved(before, d, k), acted) for acted in (right, wrong)]
    changes = [max(float((image[g] - plain[g]).detach().abs().max()) for g in GRADES) for image in images]
    assert changes[0] < 1e-12 < 1e-3 < changes[1]


def test_a_message_is_a_sum_over_the_edges():
    torch.manual_seed(0)
    messages = GradedMessages(2, backward=False).double()
    before, after = draw([2] * 4, 3), draw([2] * 4, 4, seed=1)
    edges = torch.randn(2, 4, 3, dtype=torch.float64)
    seen = {}
    messages.layer.register_forward_pre_hook(lambda module, inputs: seen.update(inputs[0]))
    messages(after, before, edges)
    for i in range(4):
        arriving = sum(edges[1, i, j] * before[1, 1][1, j] for j in range(3))
        torch.testing.assert_close(seen[1, 0][1, i, 2:], arriving)
        squares = edges[1] ** 2 / ((edges[1] ** 2).mean() + FLOOR)
        shares = sum(squares[i, j] * before[0, 0][1, j] for j in range(3)) / 3
        torch.testing.assert_close(seen[0, 0][1, i, 2:], shares)
    assert prod(seen[0, 1].shape) == 2 * 4 * 2
