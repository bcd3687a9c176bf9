"""Alignment: exact for twins, equal to a search through the whole group, and not fooled by similar networks."""

from itertools import permutations, product

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mnfn_cli.errors import NumericError
from mnfn_cli.weightspace.alignment import TOLERANCE, align
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.weightspace.spec import NetworkSpec

TIGHT = {torch.float64: 1e-14, torch.float32: 1e-6}


@st.composite
def specs(draw):
    """MLPs and CNNs with one to four hidden layers, with and without pooling, of every group."""
    activation = draw(st.sampled_from(["relu", "leaky_relu", "tanh", "sin", "gelu"]))
    width = st.integers(1, 7)
    if draw(st.booleans()):
        return NetworkSpec.mlp(draw(st.lists(width, min_size=3, max_size=6)), activation)
    channels = draw(st.lists(width, min_size=2, max_size=4))
    pools = st.sampled_from(["none", "max2", "avg2", "max2:before"])
    count = len(channels) - 1
    return NetworkSpec.cnn(
        channels,
        kernel=draw(st.lists(st.integers(1, 3), min_size=count, max_size=count)),
        pool=draw(st.lists(pools, min_size=count, max_size=count)),
        hidden=draw(st.lists(width, max_size=2)),
        outputs=draw(width),
        activation=activation,
    )


def draw_twins(spec, batch, seed, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    a = WeightSpaceFeatures.randn(spec, batch, generator=generator, dtype=dtype)
    g = MonomialElement.sample(spec, batch, (1.0, 1e4), generator=generator)
    return a, g.act(a), g, generator


@given(spec=specs(), seed=st.integers(0, 2**32), dtype=st.sampled_from([torch.float64, torch.float32]))
@settings(max_examples=200, deadline=None)
def test_the_element_between_twins_is_found(spec, seed, dtype):
    a, b, g, _ = draw_twins(spec, 3, seed, dtype)
    found = align(spec, a, b)
    assert found.twins.all() and found.residual.max() <= TIGHT[dtype] and found.after.max() <= TIGHT[dtype]
    for p, q in zip(found.element.permutations, g.permutations, strict=True):
        assert torch.equal(p, q)
    for d, e in zip(found.element.scales, g.scales, strict=True):
        torch.testing.assert_close(d, e, rtol=10 * TIGHT[dtype], atol=0.0)
    back = align(spec, b, a)
    assert back.twins.all() and back.after.max() <= TIGHT[dtype]


@given(spec=specs(), seed=st.integers(0, 2**32), size=st.sampled_from([1e-3, 1.0]))
@settings(max_examples=100, deadline=None)
def test_another_network_is_no_twin(spec, seed, size):
    """One layer of a twin is changed, in canonical form by 1 in 1,000 or as a whole: the raw sizes do not hide it."""
    a, b, g, generator = draw_twins(spec, 3, seed)
    layer = seed % spec.num_layers
    weights = list(a.weights)
    noise = torch.randn(weights[layer].shape, generator=generator, dtype=torch.float64)
    bias = a.biases[layer].clone()
    bias[:, :, 0] += size * a.biases[layer].norm(dim=2)
    weights[layer] = weights[layer] + size * noise
    changed = WeightSpaceFeatures(weights, [*a.biases[:layer], bias, *a.biases[layer + 1 :]])
    found = align(spec, g.act(changed), a)
    assert not found.twins.any()
    assert align(spec, b, a).twins.all()


@pytest.mark.parametrize("layer", range(3))
def test_a_wrong_element_makes_no_twin(layer):
    """Neurons are permuted before and not after a layer, or take a factor that their activation does not allow."""
    for activation, factor in (("relu", -1.0), ("tanh", 2.0), ("gelu", -1.0)):
        spec = NetworkSpec.mlp([3, 4, 5, 4, 2], activation)
        a, _, _, _ = draw_twins(spec, 4, 0)
        g = MonomialElement.identity(spec, 4)
        scales = list(g.scales)
        scales[layer] = scales[layer].clone()
        scales[layer][:, 1] = factor
        assert not align(spec, a, MonomialElement(g.permutations, scales).act(a)).twins.any()
        torn = [w.flip(2) if i == layer else w for i, w in enumerate(a.weights)]
        assert not align(spec, a, WeightSpaceFeatures(torn, a.biases)).twins.any()


def test_strangers_and_a_pair_in_the_middle_of_a_batch():
    spec = NetworkSpec.cnn([1, 6, 5], kernel=3, outputs=3, activation="leaky_relu")
    a, b, _, _ = draw_twins(spec, 5, 0, torch.float32)
    order = torch.tensor([1, 0, 2, 4, 3])
    found = align(spec, a, b.select(order))
    assert found.twins.tolist() == [False, False, True, False, False]
    assert (found.residual[[0, 1, 3, 4]] > 0.1).all() and (found.residual <= found.residual_before).all()


# The slow oracle: canonical form neuron by neuron, and every permutation and sign.


def slow_form(spec, network):
    """Return weights and biases of one network, every hidden neuron divided by its norm if the group is scale."""
    weights, biases = [w[0].clone() for w in network.weights], [b[0].clone() for b in network.biases]
    for i, group in enumerate(spec.groups):
        for j in range(len(biases[i])):
            size = (weights[i][j].square().sum() + biases[i][j].square()).sqrt()
            if group == "scale" and size > 0:
                weights[i][j] /= size
                biases[i][j] /= size
                weights[i + 1][:, j] *= size
            if size == 0 and spec.group != "permutation":
                weights[i + 1][:, j] = 0
    return weights, biases


def slow_point(spec, i, bias, flip=1, parity=1):
    """Return what stands for a bias after a flip and a shift: the number, or for a sine a point on a circle."""
    if i < len(spec.periodic) and spec.periodic[i]:
        phase = spec.omega * bias
        return torch.stack([parity * phase.cos(), flip * parity * phase.sin()]) / spec.omega
    return (flip * bias)[None]


def slow_distances(spec, a, b, moves):
    """Return the squared distance of each layer, relative to its larger norm, after moves (order, signs) of A."""
    (weights, biases), (weights_b, biases_b) = a, b
    still = [(range(n), ((1, 1),) * n) for n in (spec.widths[0], spec.widths[-1])]
    moves = [still[0], *moves, still[1]]
    distances = []
    for i in range(spec.num_layers):
        (before, before_signs), (order, signs) = moves[i], moves[i + 1]
        total = 0.0
        for j in range(spec.widths[i + 1]):
            moved = slow_point(spec, i, biases[i][order[j]], *signs[j])
            total += float((moved - slow_point(spec, i, biases_b[i][j])).square().sum())
            for k in range(spec.widths[i]):
                moved = signs[j][0] * before_signs[k][0] * before_signs[k][1] * weights[i][order[j], before[k]]
                total += float((moved - weights_b[i][j, k]).square().sum())
        norms = [
            float(w[i].square().sum() + sum(slow_point(spec, i, bias).square().sum() for bias in c[i]))
            for w, c in ((weights, biases), (weights_b, biases_b))
        ]
        distances.append(total / max(*norms))
    return distances


def slow_least(spec, a, b):
    """Return the smallest sum of the squared distances of all layers, by trying every element."""
    forms = slow_form(spec, a), slow_form(spec, b)
    choices = []
    for n, group, periodic in zip(spec.hidden_widths, spec.groups, spec.periodic, strict=True):
        ways = list(product((1, -1) if group == "sign" else (1,), (1, -1) if periodic else (1,)))
        choices.append(list(product(permutations(range(n)), product(ways, repeat=n))))
    return min((slow_distances(spec, *forms, moves) for moves in product(*choices)), key=sum)


TINY = [
    NetworkSpec.mlp([2, 3, 2, 1], "relu"),
    NetworkSpec.mlp([2, 2, 2, 1], "tanh"),
    NetworkSpec.mlp([2, 3, 2], "sin", omega=2.0),
    NetworkSpec.mlp([1, 3, 3, 1], "gelu"),
    NetworkSpec.cnn([1, 3], kernel=2, hidden=[2], outputs=1, activation="leaky_relu"),
    NetworkSpec.cnn([1, 2, 2], kernel=2, outputs=1, activation="tanh", pool=["max2", "none"]),
]


@pytest.mark.parametrize("spec", TINY, ids=str)
@pytest.mark.parametrize("noise", [0.0, 1e-6, 0.05])
def test_as_near_as_any_element_brings_it(spec, noise):
    a, _, g, generator = draw_twins(spec, 3, 1)
    near = a.map(lambda t: t + noise * torch.randn(t.shape, generator=generator, dtype=torch.float64))
    b = g.act(near)
    found = align(spec, a, b)
    for row in range(3):
        one, other = (f.map(lambda t, row=row: t[row]) for f in (a, b))
        expected = (sum(slow_least(spec, one, other)) / spec.num_layers) ** 0.5
        assert float(found.residual[row]) == pytest.approx(expected, rel=1e-9, abs=1e-14)
        assert bool(found.twins[row]) == (noise == 0)


@pytest.mark.parametrize("spec", TINY, ids=str)
def test_strangers_are_brought_no_nearer_than_possible(spec):
    """A local minimum, seldom far from the smallest distance, and never below it."""
    a, b, _, _ = draw_twins(spec, 12, 2)
    b = b.select(torch.arange(12).roll(1))
    found = align(spec, a, b)
    optimal = 0
    for row in range(12):
        one, other = (f.map(lambda t, row=row: t[row]) for f in (a, b))
        forms = slow_form(spec, one), slow_form(spec, other)
        moves = []
        for i in range(len(spec.groups)):
            source = found.element.permutations[i][row].argsort()
            flips = found.element.scales[i][row].sign().int().tolist()
            shifts = found.element.shifts[i][row].tolist() if found.element.shifts else [0] * len(flips)
            signs = [(flip, (-1) ** shift) for flip, shift in zip(flips, shifts, strict=True)]
            moves.append((source.tolist(), signs))
        distances = slow_distances(spec, *forms, moves)
        assert float(found.residual[row]) == pytest.approx((sum(distances) / spec.num_layers) ** 0.5, rel=1e-9)
        least = sum(slow_least(spec, one, other))
        assert sum(distances) >= least * (1 - 1e-9)
        optimal += sum(distances) <= least * (1 + 1e-9)
    assert optimal >= 6


# Neurons that nothing tells apart.


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
def test_silent_and_equal_neurons(activation, dtype):
    spec = NetworkSpec.mlp([2, 6, 5, 4, 2], activation)
    a, _, g, generator = draw_twins(spec, 20, 3, dtype)
    for neuron in (1, 4):
        a.weights[0][:, :, neuron] = 0
        a.biases[0][:, :, neuron] = 0
    a.weights[0][:, :, 3] = a.weights[0][:, :, 2]  # equal, but for what they send on
    a.biases[0][:, :, 3] = a.biases[0][:, :, 2]
    a.weights[1][:, :, 2] = 0  # silent in turn, since it hears a silent neuron alone
    a.weights[1][:, :, 2, 1] = 5.0
    a.biases[1][:, :, 2] = 0
    b = g.act(a)
    found = align(spec, a, b)
    assert found.twins.all() and found.residual.max() <= TIGHT[dtype] and found.after.max() <= TIGHT[dtype]
    assert not align(spec, a, b.select(torch.arange(20).roll(1))).twins.any()
    for tensor in found.element.act(a).tensors():
        assert torch.isfinite(tensor).all()


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
def test_a_network_of_zeros(activation):
    spec = NetworkSpec.mlp([2, 3, 3, 1], activation)
    zero = WeightSpaceFeatures.zeros(spec, 1)
    assert align(spec, zero, zero).twins.all() and align(spec, zero, zero).after.tolist() == [0.0]
    other = WeightSpaceFeatures.randn(spec, 1)
    assert not align(spec, zero, other).twins.any() and not align(spec, other, zero).twins.any()


def told_apart(network, signs):
    """Return whether no two neurons of a layer do the same and are used alike, and none is its own opposite."""
    merged = list(network.weights[0][0].tolist())
    for i in range(len(network.biases) - 1):
        rows = [(*row, float(bias)) for row, bias in zip(merged, network.biases[i][0], strict=True)]
        after = network.weights[i + 1][0]
        whole = [(*row, *after[:, j].tolist()) for j, row in enumerate(rows)]
        negated = [tuple(-x for x in row) for row in whole]
        if len({*whole, *(negated if signs else [])}) < len(whole) * (2 if signs else 1):
            return False
        merged = []
        for p in range(len(after)):
            sums = [0.0] * len(rows)
            for j, row in enumerate(rows):
                for k, other in enumerate(rows):
                    sums[j] += float(after[p, k]) * ((row == other) - (signs and row == tuple(-x for x in other)))
            merged.append(sums)
    return True


@given(
    widths=st.lists(st.integers(1, 6), min_size=3, max_size=6),
    activation=st.sampled_from(["tanh", "gelu"]),
    values=st.sampled_from([[-1.0, 1.0], [-1.0, 0.0, 1.0], [-2.0, -1.0, 1.0, 2.0]]),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=300, deadline=None)
def test_weights_of_few_values(widths, activation, values, seed):
    """Equal neurons everywhere: exact as long as something tells them apart."""
    spec = NetworkSpec.mlp(widths, activation)
    generator = torch.Generator().manual_seed(seed)
    draw = torch.tensor(values, dtype=torch.float64)
    zeros = WeightSpaceFeatures.zeros(spec, 1, dtype=torch.float64)
    a = zeros.map(lambda t: draw[torch.randint(len(values), t.shape, generator=generator)])
    b = MonomialElement.sample(spec, 1, generator=generator).act(a)
    assume(told_apart(a.map(lambda t: t[0]), activation == "tanh"))
    assert align(spec, a, b).residual.tolist() == [0.0]


# Dtypes and sizes.


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
def test_low_precision(activation, dtype):
    spec = NetworkSpec.cnn([1, 16, 16], kernel=3, outputs=10, activation=activation)
    a = WeightSpaceFeatures.randn(spec, 50, dtype=dtype).map(lambda t: t / 4)
    b = MonomialElement.sample(spec, 50, (1.0, 1e3)).act(a)
    assert align(spec, a, b).twins.all() and align(spec, a.to(dtype=torch.float64), b).twins.all()
    noisy = a.map(lambda t: t + 0.1 * torch.randn(t.shape).to(dtype))
    assert not align(spec, noisy, b).twins.any()


@pytest.mark.parametrize("size", [1e30, 1e-30])
def test_extreme_sizes(size):
    spec = NetworkSpec.mlp([3, 4, 2], "relu")
    a = WeightSpaceFeatures.randn(spec, 2)
    g = MonomialElement.identity(spec, 2)
    b = MonomialElement(g.permutations, [size * d for d in g.scales]).act(a)
    found = align(spec, a, b)
    assert found.twins.all() and found.after.max() <= 1e-6
    huge = a.to(dtype=torch.float64).map(lambda t: t * 1e150)
    assert align(spec, huge, huge).twins.all() and not align(spec, a, huge).twins.any()
    with pytest.raises(NumericError, match="too large"):
        align(spec, a, huge.map(lambda t: t * 1e100))


def test_a_pair_alone_gives_what_it_gives_in_a_batch():
    spec = NetworkSpec.mlp([2, 9, 7, 1], "sin", omega=30.0)
    a, b, _, _ = draw_twins(spec, 6, 5, torch.float32)
    b = b.select(torch.tensor([0, 2, 1, 3, 5, 4]))
    together = align(spec, a, b)
    for row in range(6):
        alone = align(spec, *(f.select(slice(row, row + 1)) for f in (a, b)))
        assert torch.equal(alone.residual, together.residual[row : row + 1])
        for p, q in zip(alone.element.permutations, together.element.permutations, strict=True):
            assert torch.equal(p[0], q[row])


def test_tolerances_know_every_dtype_of_weights():
    assert set(TOLERANCE) == {torch.float64, torch.float32, torch.float16, torch.bfloat16}
