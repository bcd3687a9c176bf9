"""The full group of a sine: flips, and shifts of biases by multiples of pi / omega."""

from math import pi

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mnfn_cli import MonomialLinear
from mnfn_cli.errors import UsageError
from mnfn_cli.nn.invariant import AbsoluteValue, MeanPool
from mnfn_cli.testing import assert_breaks, assert_invariant, relative_difference
from mnfn_cli.weightspace.alignment import align
from mnfn_cli.weightspace.canonical import canonicalize
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.fingerprint import fingerprint, twin_distance
from mnfn_cli.weightspace.forward_pass import run_networks
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.weightspace.spec import NetworkSpec

# 40 shifts add 40 pi to a phase, which float32 stores with an error of 4e-6 to 8e-6 rad in each neuron; layers add up.
TOLERANCE = {torch.float64: 1e-10, torch.float32: 3e-4}
MOST = 40


@st.composite
def specs(draw):
    """SIRENs of any depth, and convolutions of sines with and without pooling."""
    width, omega = st.integers(1, 6), draw(st.sampled_from([1.0, 15.0, 30.0]))
    if draw(st.booleans()):
        return NetworkSpec.mlp(draw(st.lists(width, min_size=3, max_size=6)), "sin", omega=omega)
    channels = draw(st.lists(width, min_size=2, max_size=4))
    count = len(channels) - 1
    pool = st.sampled_from(["none", "max2/1", "avg2/1", "max2/1:before", "avg2/1:before"])
    pools = draw(st.lists(pool, min_size=count, max_size=count))
    hidden = draw(st.lists(width, max_size=2))
    return NetworkSpec.cnn(
        channels, kernel=2, padding=1, pool=pools, hidden=hidden, outputs=2, activation="sin", omega=omega
    )


def draw_networks(spec, batch, seed, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    features = WeightSpaceFeatures.randn(spec, batch, generator=generator, dtype=dtype).map(lambda t: t / spec.omega)
    shape = (spec.widths[0], 5, 6) if spec.kernels else (spec.widths[0],)
    return features, torch.randn(5, *shape, generator=generator, dtype=dtype), generator


def order_of(element):
    return MonomialElement(element.permutations, [torch.ones_like(d) for d in element.scales])


@given(spec=specs(), seed=st.integers(0, 2**32), dtype=st.sampled_from([torch.float64, torch.float32]))
@settings(max_examples=100, deadline=None)
def test_shifts_keep_the_function(spec, seed, dtype):
    features, inputs, generator = draw_networks(spec, 3, seed, dtype)
    element = MonomialElement.sample(spec, 3, shifts=MOST, generator=generator)
    before = run_networks(spec, features, inputs)
    # The largest output: a network whose outputs cancel may have any relative error.
    change = (run_networks(spec, element.act(features), inputs) - before).abs().max()
    size = max(float(before.abs().max()), float(features.weights[-1].abs().max()))
    assert float(change) <= TOLERANCE[dtype] * size


@given(spec=specs(), seed=st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_elements_with_shifts_form_a_group_that_acts(spec, seed):
    features, _, generator = draw_networks(spec, 2, seed)
    g, h, f = (MonomialElement.sample(spec, 2, shifts=MOST, generator=generator) for _ in range(3))
    plain = MonomialElement.sample(spec, 2, generator=generator)
    for one, other in ((g, h), (g, plain), (plain, h)):
        assert relative_difference(one.compose(other).act(features), one.act(other.act(features))) <= 1e-12
    for left, right in ((g.compose(h).compose(f), g.compose(h.compose(f))), (g.compose(g.inverse()), None)):
        right = right or MonomialElement.identity(spec, 2)
        assert all(map(torch.equal, left.permutations + left.scales, right.permutations + right.scales))
        assert all(map(torch.equal, left.shifts, right.shifts or tuple(map(torch.zeros_like, left.shifts))))
    torn = g.inverse().act(g.act(features))
    # The bias came back from 40 pi / omega.
    assert max(float((a - b).abs().max()) for a, b in zip(torn.tensors(), features.tensors(), strict=True)) <= 1e-12


@given(spec=specs(), seed=st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_the_action_is_the_formula(spec, seed):
    """One entry at a time, as in docs/symmetries.md."""
    x, _, generator = draw_networks(spec, 1, seed)
    g = MonomialElement.sample(spec, 1, shifts=MOST, generator=generator)
    p = [torch.arange(spec.widths[0]), *(q[0] for q in g.permutations), torch.arange(spec.widths[-1])]
    d = [torch.ones(spec.widths[0]), *(s[0] for s in g.scales), torch.ones(spec.widths[-1])]
    k = [torch.zeros(spec.widths[0]), *(s[0] for s in g._moves), torch.zeros(spec.widths[-1])]
    acted = g.act(x)
    for i in range(spec.num_layers):
        for j in range(spec.widths[i + 1]):
            out = p[i + 1][j]
            bias = float(d[i + 1][out] * x.biases[i][0, 0, j]) + int(k[i + 1][out]) * pi / spec.omega
            assert float(acted.biases[i][0, 0, out]) == pytest.approx(bias, rel=1e-14, abs=1e-14)
            for n in range(spec.widths[i]):
                place = p[i][n]
                factor = float(d[i + 1][out] / d[i][place]) * (-1) ** int(k[i][place])
                assert torch.equal(acted.weights[i][0, 0, out, place], factor * x.weights[i][0, 0, j, n])


def test_half_a_shift_and_a_wrong_sign_change_the_function():
    spec = NetworkSpec.mlp([2, 6, 5, 1], "sin", omega=15.0)
    features, inputs, _ = draw_networks(spec, 4, 0)
    before = run_networks(spec, features, inputs)
    one = MonomialElement.identity(spec, 4)
    shifted = MonomialElement(one.permutations, one.scales, [torch.ones_like(p) for p in one.permutations], 15.0)
    assert relative_difference(run_networks(spec, shifted.act(features), inputs), before) <= 1e-10
    half = MonomialElement(one.permutations, one.scales, shifted.shifts, 30.0)
    assert relative_difference(run_networks(spec, half.act(features), inputs), before) > 1e-2
    unsigned = WeightSpaceFeatures(features.weights, shifted.act(features).biases)
    assert relative_difference(run_networks(spec, unsigned, inputs), before) > 1e-2
    # The sign of the outgoing weights is (-1)^(d + k), and not (-1)^d.
    flips = MonomialElement(one.permutations, [-d for d in one.scales], shifted.shifts, 15.0).act(features)
    wrong = WeightSpaceFeatures(
        MonomialElement(one.permutations, [-d for d in one.scales]).act(features).weights, flips.biases
    )
    assert relative_difference(run_networks(spec, flips, inputs), before) <= 1e-10
    assert relative_difference(run_networks(spec, wrong, inputs), before) > 1e-2


@given(spec=specs(), seed=st.integers(0, 2**32), dtype=st.sampled_from([torch.float64, torch.float32]))
@settings(max_examples=80, deadline=None)
def test_the_canonical_form_removes_shifts(spec, seed, dtype):
    x, inputs, generator = draw_networks(spec, 2, seed, dtype)
    g = MonomialElement.sample(spec, 2, shifts=MOST, generator=generator)
    form, element = canonicalize(x, spec, shifts=True)
    twin, _ = canonicalize(g.act(x), spec, shifts=True)
    expected = order_of(g).act(form)
    assert all(map(torch.equal, twin.weights, expected.weights))
    rounding = {torch.float64: 1e-10, torch.float32: 1e-5}[dtype]
    for one, other in zip(twin.biases, expected.biases, strict=True):
        assert float((one - other).abs().max()) * spec.omega <= rounding
    assert all(map(torch.equal, element.act(x).tensors(), form.tensors()))
    for bias, periodic in zip(form.biases, spec.periodic, strict=False):
        assert not periodic or float((spec.omega * bias).abs().max()) <= pi / 2 + 10 * rounding
    again, _ = canonicalize(form, spec, shifts=True)
    assert all(map(torch.equal, again.tensors(), form.tensors()))
    before, after = (run_networks(spec, f, inputs) for f in (x, form))
    size = max(float(before.abs().max()), float(x.weights[-1].abs().max()))
    assert float((after - before).abs().max()) <= TOLERANCE[dtype] * size


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("phase", [-pi / 2, pi / 2, 0.0, pi, pi / 4])
def test_phases_at_the_end_of_the_interval_have_one_form(phase, dtype):
    """Cosines, and sines without bias: their flips and shifts are no matter of rounding."""
    spec = NetworkSpec.mlp([2, 6, 5, 1], "sin", omega=30.0)
    x, _, generator = draw_networks(spec, 40, 1, dtype)
    for bias in x.biases[:-1]:
        bias.fill_(phase / 30)
    g = MonomialElement.sample(spec, 40, shifts=MOST, generator=generator)
    form, _ = canonicalize(x, spec, shifts=True)
    twin, _ = canonicalize(g.act(x), spec, shifts=True)
    expected = order_of(g).act(form)
    assert all(map(torch.equal, twin.weights, expected.weights))
    assert relative_difference(twin.flatten(), expected.flatten()) <= {torch.float64: 1e-12, torch.float32: 1e-5}[dtype]
    assert align(spec, x, g.act(x)).twins.all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_sines_without_incoming_weights(dtype):
    """Constants: one that is always 0 sends on nothing; the sign of another is that of the sine of twice its phase."""
    spec = NetworkSpec.mlp([2, 4, 3, 1], "sin", omega=30.0)
    x, _, generator = draw_networks(spec, 20, 2, dtype)
    x.weights[0][:, :, :3] = 0
    x.biases[0][:, :, 0] = 0
    x.biases[0][:, :, 1] = -0.7 / 30
    x.biases[0][:, :, 2] = pi / 2 / 30
    g = MonomialElement.sample(spec, 20, shifts=MOST, permute=False, generator=generator)
    form, _ = canonicalize(x, spec, shifts=True)
    twin, _ = canonicalize(g.act(x), spec, shifts=True)
    assert all(map(torch.equal, twin.weights, form.weights))
    assert (form.weights[1][..., 0] == 0).all() and (form.weights[1][..., 2] != 0).all()
    assert (form.biases[0][:, :, 1] > 0).all()
    assert align(spec, x, g.act(x)).twins.all()


def test_only_the_form_for_shifts_removes_them():
    spec = NetworkSpec.mlp([2, 6, 1], "sin", omega=15.0)
    x, _, generator = draw_networks(spec, 3, 0)
    g = MonomialElement.sample(spec, 3, shifts=3, permute=False, generator=generator)
    assert relative_difference(canonicalize(g.act(x), spec)[0], canonicalize(x, spec)[0]) > 0.1
    assert canonicalize(x, spec)[1].shifts == ()
    for other in (NetworkSpec.mlp([2, 6, 1], "tanh"), NetworkSpec.mlp([2, 6, 1], "relu")):
        plain, full = canonicalize(x, other), canonicalize(x, other, shifts=True)
        assert all(map(torch.equal, plain[0].tensors(), full[0].tensors())) and full[1].shifts == ()


@given(spec=specs(), seed=st.integers(0, 2**32), dtype=st.sampled_from([torch.float64, torch.float32]))
@settings(max_examples=60, deadline=None)
def test_the_element_between_shifted_twins_is_found(spec, seed, dtype):
    x, _, generator = draw_networks(spec, 3, seed, dtype)
    g = MonomialElement.sample(spec, 3, shifts=MOST, generator=generator)
    found = align(spec, x, g.act(x))
    assert found.twins.all() and float(found.after.max()) <= {torch.float64: 1e-13, torch.float32: 1e-5}[dtype]
    assert all(map(torch.equal, found.element.permutations, g.permutations))
    assert all(map(torch.equal, found.element.scales + found.element.shifts, g.scales + g.shifts))
    prints = fingerprint(spec, x), fingerprint(spec, g.act(x))
    assert float((prints[0] - prints[1]).norm(dim=1).max()) <= twin_distance(spec, found.tolerance)


@given(spec=specs(), seed=st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_half_a_shift_makes_no_twin(spec, seed):
    if not any(spec.periodic):
        return
    x, _, generator = draw_networks(spec, 3, seed)
    g = MonomialElement.sample(spec, 3, shifts=MOST, generator=generator)
    layer = [i for i, periodic in enumerate(spec.periodic) if periodic][seed % sum(spec.periodic)]
    biases = list(x.biases)
    biases[layer] = biases[layer].clone()
    biases[layer][:, :, 0] += pi / 2 / spec.omega
    assert not align(spec, x, g.act(WeightSpaceFeatures(x.weights, biases))).twins.any()


def test_changes_of_weights_transform_linearly():
    spec = NetworkSpec.mlp([2, 5, 4, 1], "sin", omega=15.0)
    x, _, generator = draw_networks(spec, 3, 0)
    change = WeightSpaceFeatures.randn(spec, 3, generator=generator, dtype=torch.float64)
    g = MonomialElement.sample(spec, 3, shifts=3, generator=generator)
    moved = g.act(x.zip_map(torch.add, change)).zip_map(torch.sub, g.act(x))
    assert relative_difference(g.act_on_change(change), moved) <= 1e-12
    several = WeightSpaceFeatures.randn(spec, 3, channels=4, generator=generator, dtype=torch.float64)
    g.act_on_change(several)
    with pytest.raises(UsageError, match=r"4 channels; shifts act on raw weights"):
        g.act(several)
    with pytest.raises(UsageError, match=r"4 channels; only raw weights"):
        canonicalize(several, spec, shifts=True)


def test_samples():
    spec = NetworkSpec.mlp([2, 50, 50, 1], "sin", omega=30.0)
    drawn = [MonomialElement.sample(spec, 20, shifts=k, generator=torch.Generator().manual_seed(0)) for k in (0, 2)]
    assert drawn[0].shifts == () and drawn[0].omega is None and drawn[1].omega == 30.0
    assert all(map(torch.equal, drawn[0].permutations + drawn[0].scales, drawn[1].permutations + drawn[1].scales))
    values, counts = drawn[1].shifts[0].unique(return_counts=True)
    assert values.tolist() == [-2, -1, 0, 1, 2] and counts.min() > 150
    chosen = drawn[1].select(slice(3, 5))
    assert torch.equal(chosen.shifts[1], drawn[1].shifts[1][3:5]) and chosen.omega == 30.0
    pooled = NetworkSpec.cnn([1, 4, 4], pool=["max2", "none"], outputs=2, activation="sin")
    assert not MonomialElement.sample(pooled, 3, shifts=9).shifts[0].any()
    assert MonomialElement.sample(pooled, 3, shifts=9).shifts[1].any()


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
def test_shifts_are_for_sines(activation):
    with pytest.raises(UsageError, match="only SIRENs do"):
        MonomialElement.sample(NetworkSpec.mlp([2, 3, 1], activation), 1, shifts=1)
    for shifts in (-1, 10**9):
        with pytest.raises(UsageError, match=f"{shifts} is no whole number from 0 to"):
            MonomialElement.sample(NetworkSpec.mlp([2, 3, 1], "sin"), 1, shifts=shifts)


def test_a_layer_without_biases_is_not_shifted():
    spec = NetworkSpec.mlp([2, 5, 4, 1], "sin", omega=15.0)
    x, inputs, _ = draw_networks(spec, 3, 0)
    x.biases[0].zero_()
    x.biases[1][2] = 0
    g = MonomialElement.sample(spec, 3, shifts=3).for_biases_of(x)
    assert not g.shifts[0].any() and g.shifts[1][:2].any() and not g.shifts[1][2].any()
    assert not g.act(x).biases[0].any()
    assert relative_difference(run_networks(spec, g.act(x), inputs), run_networks(spec, x, inputs)) <= 1e-10


def test_the_published_layers_know_the_signs_and_not_the_shifts():
    spec = NetworkSpec.mlp([2, 6, 5, 1], "sin", omega=15.0)
    layer = torch.nn.Sequential(MonomialLinear(spec, 1, 3).double(), AbsoluteValue(), MeanPool(spec, 3))
    assert_invariant(layer, spec)
    one = MonomialElement.identity(spec, 4)
    shifts = MonomialElement(one.permutations, one.scales, [torch.ones_like(p) for p in one.permutations], 15.0)
    assert_breaks(layer, spec, shifts)
    with pytest.raises(AssertionError, match="not invariant"):
        assert_invariant(layer, spec, shifts=3)
    # What runs the network does not see them.
    inputs = torch.randn(5, 2, dtype=torch.float64)
    assert_invariant(lambda x: run_networks(spec, x.map(lambda t: t / 15), inputs), spec)


def test_elements_for_different_omegas_have_no_product():
    one, other = (
        MonomialElement.sample(NetworkSpec.mlp([2, 3, 1], "sin", omega=omega), 1, shifts=2) for omega in (15.0, 30.0)
    )
    with pytest.raises(ValueError, match="have no product"):
        one.compose(other)
    with pytest.raises(ValueError, match="no omega is given"):
        MonomialElement(one.permutations, one.scales, one.shifts)
