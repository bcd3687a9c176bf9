"""The canonical form: the same function, and the same form for every scaled or flipped twin."""

from collections import Counter

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mnfn_cli.testing import relative_difference
from mnfn_cli.weightspace.canonical import canonicalize
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.forward_pass import run_networks
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.weightspace.spec import NetworkSpec

SPECS = [
    NetworkSpec.mlp([3, 5, 4, 2], "relu"),
    NetworkSpec.mlp([3, 5, 2], "tanh"),
    NetworkSpec.mlp([2, 6, 6, 1], "sin", omega=2.0),
    NetworkSpec.cnn([1, 4, 3], kernel=3, hidden=[5], outputs=2, activation="leaky_relu"),
    NetworkSpec.mlp([3, 5, 4, 2], "gelu"),
]


@given(spec=st.sampled_from(SPECS), seed=st.integers(0, 2**32), channels=st.integers(1, 3))
@settings(max_examples=80, deadline=None)
def test_one_form_for_all_twins(spec, seed, channels):
    generator = torch.Generator().manual_seed(seed)
    x = WeightSpaceFeatures.randn(spec, 3, channels, generator=generator, dtype=torch.float64)
    g = MonomialElement.sample(spec, 3, (1.0, 1e4), permute=False, generator=generator)
    canonical, element = canonicalize(x, spec)
    assert relative_difference(canonicalize(g.act(x), spec)[0], canonical) <= 1e-10
    assert relative_difference(element.act(x), canonical) == 0
    # Under permutations the form moves along.
    h = MonomialElement.sample(spec, 3, (1.0, 1e4), generator=generator)
    permutation = MonomialElement(h.permutations, [torch.ones_like(d) for d in h.scales])
    assert relative_difference(canonicalize(h.act(x), spec)[0], permutation.act(canonical)) <= 1e-10


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_the_function_stays(spec):
    x = WeightSpaceFeatures.randn(spec, 3, dtype=torch.float64)
    inputs = torch.randn(7, *((spec.widths[0], 9, 9) if spec.kernels else (spec.widths[0],)), dtype=torch.float64)
    canonical, _ = canonicalize(x, spec)
    assert relative_difference(run_networks(spec, canonical, inputs), run_networks(spec, x, inputs)) <= 1e-10


def test_incoming_norms_are_one_but_of_silent_neurons():
    spec = NetworkSpec.mlp([3, 4, 4, 2], "relu")
    x = WeightSpaceFeatures.randn(spec, 2, dtype=torch.float64)
    x.weights[0][:, :, 1] = 0
    x.biases[0][:, :, 1] = 0
    canonical, element = canonicalize(x, spec)
    for i in (0, 1):
        norms = (canonical.weights[i].square().sum(dim=(1, 3)) + canonical.biases[i].square().sum(dim=1)).sqrt()
        expected = torch.ones_like(norms)
        expected[:, 1] = 0 if i == 0 else 1
        torch.testing.assert_close(norms, expected)
    assert (element.scales[0][:, 1] == 1).all() and (canonical.weights[1][..., 1] == 0).all()
    assert all(torch.isfinite(tensor).all() for tensor in canonical.tensors())


@pytest.mark.parametrize("size", [1e30, 1e-30])
def test_extreme_weights_neither_overflow_nor_vanish(size):
    spec = NetworkSpec.mlp([3, 4, 2], "relu")
    x = WeightSpaceFeatures.randn(spec, 2, dtype=torch.float32)
    g = MonomialElement.identity(spec, 2)
    g = MonomialElement(g.permutations, [size * d for d in g.scales])
    twin = canonicalize(g.act(x), spec)[0]
    assert relative_difference(twin, canonicalize(x, spec)[0]) <= 1e-5


@pytest.mark.parametrize("spec", SPECS[:4], ids=str)
def test_silent_neurons_leave_no_freedom(spec):
    """No incoming weights and no bias: nothing fixes a neuron's scale, so what it sends on must not show."""
    x = WeightSpaceFeatures.randn(spec, 3, dtype=torch.float64)
    x.weights[0][:, :, 1] = 0
    x.biases[0][:, :, 1] = 0
    if spec.num_layers > 2:
        # Silent in turn, for it hears the silent neuron alone.
        x.weights[1][:, :, 2] = 0
        x.weights[1][:, :, 2, 1] = 5.0
        x.biases[1][:, :, 2] = 0
    inputs = torch.randn(7, *((spec.widths[0], 9, 9) if spec.kernels else (spec.widths[0],)), dtype=torch.float64)
    g = MonomialElement.sample(spec, 3, (2.0, 1e4), permute=False)
    canonical, _ = canonicalize(x, spec)
    assert relative_difference(canonicalize(g.act(x), spec)[0], canonical) <= 1e-10
    assert relative_difference(run_networks(spec, canonical, inputs), run_networks(spec, x, inputs)) <= 1e-10
    if spec.num_layers > 2:
        assert (canonical.weights[2][:, :, :, 2] == 0).all()


ODD_SPECS = [
    NetworkSpec.mlp([2, 4, 3, 3, 1], "tanh"),
    NetworkSpec.mlp([1, 2, 2, 1], "sin", omega=15.0),
    NetworkSpec.cnn([1, 3, 2], kernel=(1, 2), hidden=[4], outputs=1, activation="tanh"),
]
VALUES = {
    "few": [-2.0, -1.0, 0.0, 1.0, 2.0],  # sums are 0 all the time
    "fractions": [-0.6, -0.3, -0.2, -0.1, 0.1, 0.2, 0.3, 0.6],  # sums that are 0 but for rounding
    "far": [-1e8, -1.0, -1e-8, 1e-8, 1.0, 1e8],  # sums that lose their small terms, in float32 and float64
}


def draw_values(spec, values, seed, channels, dtype):
    generator = torch.Generator().manual_seed(seed)
    zeros = WeightSpaceFeatures.zeros(spec, 2, channels, dtype=dtype)
    draw = torch.tensor(values, dtype=dtype)
    return zeros.map(lambda t: draw[torch.randint(len(values), t.shape, generator=generator)]), generator


def left_tied(x):
    """Return how many neurons after the first layer hear something, and cannot be told from their negatives."""
    count = 0
    for weight, bias in zip(x.weights[1:-1], x.biases[1:-1], strict=True):
        for rows, b in zip(weight.movedim(1, 3).flatten(3), bias.movedim(1, 2), strict=True):
            for neuron, offset in zip(rows, b, strict=True):
                balanced = all(Counter(column.tolist()) == Counter((-column).tolist()) for column in neuron.T)
                count += bool(balanced and not offset.any() and neuron.any())
    return count


def flips(spec, batch, generator, permute):
    element = MonomialElement.sample(spec, batch, permute=True, generator=generator)
    still = MonomialElement.identity(spec, batch).permutations
    order = MonomialElement(element.permutations if permute else still, [d.abs() for d in element.scales])
    return MonomialElement(order.permutations, element.scales), order


@given(
    spec=st.sampled_from(ODD_SPECS),
    values=st.sampled_from(sorted(VALUES)),
    seed=st.integers(0, 2**32),
    channels=st.integers(1, 2),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    permute=st.booleans(),
)
@settings(max_examples=300, deadline=None)
def test_flipped_twins_have_one_form_to_the_last_bit(spec, values, seed, channels, dtype, permute):
    x, generator = draw_values(spec, VALUES[values], seed, channels, dtype)
    canonical, element = canonicalize(x, spec)
    assume(left_tied(canonical) == 0)
    g, order = flips(spec, 2, generator, permute)
    twin, _ = canonicalize(g.act(x), spec)
    assert all(map(torch.equal, twin.tensors(), order.act(canonical).tensors()))
    assert {abs(d) for scales in element.scales for d in scales.flatten().tolist()} == {1.0}
    # The form of the form is itself.
    assert all(map(torch.equal, canonicalize(canonical, spec)[0].tensors(), canonical.tensors()))


def two_neurons(first, second, middle, bias=0.0):
    """Return a network 2 -> 2 -> 1 -> 1 with these weights."""
    weights = [torch.tensor([[first, second]]), torch.tensor([[middle]]), torch.ones(1, 1, 1)]
    biases = [torch.zeros(1, 2), torch.tensor([[bias]]), torch.zeros(1, 1)]
    return WeightSpaceFeatures([w[:, None].double() for w in weights], [b[:, None].double() for b in biases])


SMALL = NetworkSpec.mlp([2, 2, 1, 1], "tanh")


def form(x):
    """Return the canonical form as numbers, up to the order of the two neurons."""
    canonical, _ = canonicalize(x, SMALL)
    swapped = MonomialElement([torch.tensor([[1, 0]]), torch.tensor([[0]])], [torch.ones(1, 2), torch.ones(1, 1)])
    return sorted(f.flatten().tolist() for f in (canonical, swapped.act(canonical)))


def test_neurons_whose_numbers_sum_to_0_have_one_form():
    weights = [-1.0, 1.0], [2.0, 3.0], [1.0, 5.0]
    flipped = [1.0, -1.0], [2.0, 3.0], [-1.0, 5.0]
    assert form(two_neurons(*weights)) == form(two_neurons(*flipped))
    # In later layers too: -3 + 1 + 2 = 0.
    x = two_neurons([1.0, 0.0], [0.0, 1.0], [-3.0, 1.0], 2.0)
    g = MonomialElement(MonomialElement.identity(SMALL, 1).permutations, [torch.ones(1, 2), -torch.ones(1, 1)])
    assert form(g.act(x)) == form(x)


def test_what_is_left_is_a_neuron_equal_to_its_negative():
    """No bias, and weights w and -w from neurons that may change places: nothing is flipped, and twins differ."""
    x = two_neurons([1.0, 0.0], [0.0, 1.0], [3.0, -3.0])
    assert left_tied(x) == 1
    g = MonomialElement(MonomialElement.identity(SMALL, 1).permutations, [torch.ones(1, 2), -torch.ones(1, 1)])
    assert form(g.act(x)) != form(x)


def test_a_change_that_is_no_flip_changes_the_form():
    """A neuron whose incoming weights alone change sign is another function, and must stay one."""
    x = two_neurons([-1.0, 1.0], [2.0, 3.0], [1.0, 5.0])
    torn = WeightSpaceFeatures([x.weights[0] * torch.tensor([-1.0, 1.0]).double()[:, None], *x.weights[1:]], x.biases)
    assert form(torn) != form(x)


@pytest.mark.parametrize("spec", ODD_SPECS, ids=str)
def test_a_network_alone_has_the_form_that_it_has_in_a_batch(spec):
    x, _ = draw_values(spec, VALUES["far"], 0, 1, torch.float32)
    together, _ = canonicalize(x, spec)
    for row in range(2):
        alone, _ = canonicalize(x.select(slice(row, row + 1)), spec)
        assert all(map(torch.equal, alone.tensors(), together.select(slice(row, row + 1)).tensors()))
