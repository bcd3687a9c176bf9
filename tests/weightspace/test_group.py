"""The monomial group: its action keeps functions, and it is a group."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mnfn_cli.errors import UsageError
from mnfn_cli.testing import relative_difference
from mnfn_cli.weightspace.canonical import canonicalize
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.forward_pass import run_networks
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.weightspace.spec import NetworkSpec

ACTIVATIONS = ["relu", "leaky_relu", "sin", "tanh", "gelu", "silu", "sigmoid"]
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-3}


@st.composite
def specs(draw, activations=ACTIVATIONS):
    """MLPs and CNNs with L = 2 to 6, any widths, kernels, strides and paddings."""
    activation = draw(st.sampled_from(activations))
    width = st.integers(1, 6)
    if draw(st.booleans()):
        widths = draw(st.lists(width, min_size=3, max_size=7))
        return NetworkSpec.mlp(widths, activation, omega=draw(st.sampled_from([1.0, 15.0])))
    channels = draw(st.lists(width, min_size=2, max_size=5))
    count = len(channels) - 1
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    pool = st.sampled_from(["none", "max2/1", "avg2", "max2:before", "avg1/2:before"])
    pools = draw(st.one_of(st.just(()), st.lists(pool, min_size=count, max_size=count)))
    longest = 1 if pools else 2  # so that pictures of 60x64 pixels are large enough
    return NetworkSpec.cnn(
        channels,
        pool=pools,
        kernel=draw(st.lists(pair, min_size=count, max_size=count)),
        stride=draw(st.lists(st.integers(1, longest), min_size=count, max_size=count)),
        padding=1,
        hidden=draw(st.lists(width, max_size=2)),
        outputs=draw(width),
        activation=activation,
    )


def draw_networks(spec, batch, seed, dtype):
    generator = torch.Generator().manual_seed(seed)
    features = WeightSpaceFeatures.randn(spec, batch, generator=generator, dtype=dtype)
    shape = (spec.widths[0], 60, 64) if spec.pools else (spec.widths[0], 9, 8) if spec.kernels else (spec.widths[0],)
    return features, torch.randn(5, *shape, generator=generator, dtype=dtype), generator


@given(spec=specs(), seed=st.integers(0, 2**32), dtype=st.sampled_from([torch.float64, torch.float32]))
@settings(max_examples=150, deadline=None)
def test_action_keeps_the_function(spec, seed, dtype):
    features, inputs, generator = draw_networks(spec, 3, seed, dtype)
    # A SIREN with weights of this size multiplies rounding by omega in each layer: fewer waves, same symmetry.
    features = features.map(lambda tensor: tensor / spec.omega)
    element = MonomialElement.sample(spec, 3, (1.0, 1e4), generator=generator)
    before = run_networks(spec, features, inputs)
    after = run_networks(spec, element.act(features), inputs)
    assert relative_difference(after, before) <= TOLERANCE[dtype]


@pytest.mark.parametrize("activation", ["relu", "sin", "tanh", "gelu"])
@pytest.mark.parametrize("kind", ["mlp", "cnn"])
def test_wrong_elements_change_the_function(activation, kind):
    if kind == "mlp":
        spec = NetworkSpec.mlp([3, 6, 5, 2], activation)
    else:
        spec = NetworkSpec.cnn([2, 6, 5], kernel=3, outputs=2, activation=activation)
    features, inputs, _ = draw_networks(spec, 3, 0, torch.float64)
    right = MonomialElement.identity(spec, 3)
    wrong_factor = 2.0 if spec.group != "scale" else -1.0
    wrong = MonomialElement(right.permutations, [wrong_factor * d for d in right.scales])
    before = run_networks(spec, features, inputs)
    assert relative_difference(run_networks(spec, wrong.act(features), inputs), before) > 1e-2
    # An uncoupled permutation moves the rows of one layer and not the columns of the next.
    moved = MonomialElement([p.roll(1, dims=1) for p in right.permutations], right.scales).act(features)
    torn = WeightSpaceFeatures([moved.weights[0], *features.weights[1:]], [moved.biases[0], *features.biases[1:]])
    assert relative_difference(run_networks(spec, torn, inputs), before) > 1e-2


@given(spec=specs(), seed=st.integers(0, 2**32), channels=st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_elements_form_a_group_that_acts(spec, seed, channels):
    generator = torch.Generator().manual_seed(seed)
    features = WeightSpaceFeatures.randn(spec, 2, channels, generator=generator, dtype=torch.float64)
    g = MonomialElement.sample(spec, 2, (0.1, 10.0), generator=generator)
    h = MonomialElement.sample(spec, 2, (0.1, 10.0), log_uniform=True, generator=generator)
    assert relative_difference(g.compose(h).act(features), g.act(h.act(features))) <= 1e-12
    assert relative_difference(g.inverse().act(g.act(features)), features) <= 1e-12
    assert relative_difference(MonomialElement.identity(spec, 2).act(features), features) == 0


@given(spec=specs(), seed=st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_action_is_the_formula(spec, seed):
    """The slow, obvious action: one entry at a time, as in docs/symmetries.md."""
    generator = torch.Generator().manual_seed(seed)
    x = WeightSpaceFeatures.randn(spec, 1, 2, generator=generator, dtype=torch.float64)
    g = MonomialElement.sample(spec, 1, (0.1, 10.0), generator=generator)
    p = [torch.arange(spec.widths[0]), *(q[0] for q in g.permutations), torch.arange(spec.widths[-1])]
    d = [torch.ones(spec.widths[0]), *(s[0] for s in g.scales), torch.ones(spec.widths[-1])]
    acted = g.act(x)
    for i in range(spec.num_layers):
        for j in range(spec.widths[i + 1]):
            # Neuron j moves to p[j]: what comes out at p[j] is what was at j.
            out = p[i + 1][j]
            torch.testing.assert_close(acted.biases[i][0, :, out], d[i + 1][out] * x.biases[i][0, :, j])
            for k in range(spec.widths[i]):
                factor = d[i + 1][out] / d[i][p[i][k]]
                torch.testing.assert_close(acted.weights[i][0, :, out, p[i][k]], factor * x.weights[i][0, :, j, k])


def test_samples_stay_in_the_interval_and_in_the_group():
    relu = MonomialElement.sample(NetworkSpec.mlp([2, 50, 50, 1], "relu"), 20, (3.0, 30.0))
    assert all((scale >= 3).all() and (scale <= 30).all() for scale in relu.scales)
    uniform_mean = float(torch.cat(relu.scales).mean())
    logs = MonomialElement.sample(NetworkSpec.mlp([2, 50, 50, 1], "relu"), 20, (3.0, 30.0), log_uniform=True)
    assert uniform_mean == pytest.approx(16.5, rel=0.1)
    assert float(torch.cat(logs.scales).log().mean()) == pytest.approx(math.log(90.0) / 2, rel=0.1)
    tanh = MonomialElement.sample(NetworkSpec.mlp([2, 50, 1], "tanh"), 20)
    assert set(tanh.scales[0].unique().tolist()) == {-1.0, 1.0}
    gelu = MonomialElement.sample(NetworkSpec.mlp([2, 50, 1], "gelu"), 20)
    assert set(gelu.scales[0].unique().tolist()) == {1.0}
    still = MonomialElement.sample(NetworkSpec.mlp([2, 9, 1], "relu"), 2, permute=False)
    assert still.permutations[0].tolist() == [list(range(9))] * 2


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("log_uniform", [False, True])
def test_without_permutations_the_factors_are_those_of_the_permuted_draw(activation, log_uniform):
    spec = NetworkSpec.mlp([2, 9, 7, 1], activation)
    random = [torch.Generator().manual_seed(5) for _ in range(2)]
    permuted, still = (
        MonomialElement.sample(spec, 3, (1.0, 100.0), log_uniform=log_uniform, permute=permute, generator=generator)
        for permute, generator in zip([True, False], random, strict=True)
    )
    assert all(map(torch.equal, permuted.scales, still.scales))
    assert torch.equal(*(generator.get_state() for generator in random))
    assert not any(map(torch.equal, permuted.permutations, still.permutations))


@pytest.mark.parametrize("scale", [(0.0, 1.0), (-1.0, 2.0), (2.0, 1.0), (1.0, float("inf")), (float("nan"), 1.0)])
def test_impossible_intervals_are_refused(scale):
    with pytest.raises(UsageError, match="scale"):
        MonomialElement.sample(NetworkSpec.mlp([2, 3, 1], "relu"), 1, scale)


@pytest.mark.parametrize("pool", ["max2", "max2:before", "max3/1", "avg2", "avg2:before"])
def test_max_pooling_forbids_sign_flips_of_its_layer_only(pool):
    spec = NetworkSpec.cnn([1, 4, 5], pool=[pool, "none"], hidden=[3], outputs=2, activation="tanh")
    allowed = pool.startswith("avg")
    assert spec.groups == ("sign" if allowed else "permutation", "sign", "sign")
    features, inputs, generator = draw_networks(spec, 6, 0, torch.float64)
    before = run_networks(spec, features, inputs)
    for layer, group in enumerate(spec.groups):
        flip = MonomialElement.identity(spec, 6)
        flip.scales[layer].neg_()
        change = relative_difference(run_networks(spec, flip.act(features), inputs), before)
        assert change <= 1e-10 if group == "sign" else change > 1e-3
    drawn = MonomialElement.sample(spec, 6, generator=generator)
    for scales, group in zip(drawn.scales, spec.groups, strict=True):
        assert bool((scales < 0).any()) == (group == "sign")
    canonical, element = canonicalize(features, spec)
    assert relative_difference(run_networks(spec, canonical, inputs), before) <= 1e-10
    assert bool((element.scales[0] < 0).any()) == allowed
