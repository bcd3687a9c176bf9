"""NP and HNP: against the slow oracle, for shapes that nobody chose; symmetry, and that wrong elements are noticed."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_permutation import slow_hnp, slow_np

from mnfn_cli import HNPLinear, NPLinear
from mnfn_cli.testing import assert_breaks, assert_equivariant, relative_difference
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.weightspace.spec import NetworkSpec

SLOW = {NPLinear: slow_np, HNPLinear: slow_hnp}
BOTH = pytest.mark.parametrize("kind", [NPLinear, HNPLinear])

widths = st.lists(st.integers(1, 4), min_size=3, max_size=6)
specs = st.builds(
    lambda w, convolutions, kernel: NetworkSpec(
        tuple(w),
        "gelu",
        kernels=((kernel, 1),) * min(convolutions, len(w) - 1),
        strides=((1, 1),) * min(convolutions, len(w) - 1),
        paddings=((0, 0),) * min(convolutions, len(w) - 1),
    ),
    widths,
    st.integers(0, 3),
    st.integers(1, 3),
)


def permutations_only(spec, batch=4, seed=0):
    element = MonomialElement.sample(spec, batch, generator=torch.Generator().manual_seed(seed))
    return MonomialElement(element.permutations, [torch.ones_like(d) for d in element.scales])


@BOTH
@settings(max_examples=12, deadline=None)
@given(spec=specs, d=st.integers(1, 3), e=st.integers(1, 3))
def test_as_the_formulas_say(kind, spec, d, e):
    torch.manual_seed(0)
    layer = kind(spec, d, e).double()
    features = WeightSpaceFeatures.randn(spec, 2, d, dtype=torch.float64)
    with torch.no_grad():
        assert relative_difference(layer(features), SLOW[kind](layer, features)) <= 1e-10


@BOTH
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@settings(max_examples=15, deadline=None)
@given(spec=specs, d=st.integers(1, 3), e=st.integers(1, 3))
def test_equivariant_to_permutations(kind, dtype, spec, d, e):
    torch.manual_seed(0)
    layer = kind(spec, d, e).to(dtype)
    assert_equivariant(layer, spec, channels=d, element=permutations_only(spec))


def test_np_also_lets_inputs_and_outputs_be_permuted():
    spec = NetworkSpec.mlp([3, 5, 4, 3], activation="sin")
    torch.manual_seed(0)
    features = WeightSpaceFeatures.randn(spec, 2, 2, dtype=torch.float64)

    def turn(x):
        first, *middle, last = x.weights
        weights = [first.flip(3), *middle, last.flip(2)]
        return WeightSpaceFeatures(weights, [*x.biases[:-1], x.biases[-1].flip(2)])

    for kind, holds in ((NPLinear, True), (HNPLinear, False)):
        layer = kind(spec, 2, 3).double()
        with torch.no_grad():
            difference = relative_difference(layer(turn(features)), turn(layer(features)))
        assert (difference <= 1e-10) is holds


@BOTH
@pytest.mark.parametrize("factor", [3.0, -1.0])
def test_scales_and_flips_are_noticed(kind, factor):
    spec = NetworkSpec.mlp([2, 5, 4, 3], activation="sin")
    torch.manual_seed(0)
    right = permutations_only(spec)
    assert_breaks(
        kind(spec, 2, 3).double(),
        spec,
        MonomialElement(right.permutations, [factor * d for d in right.scales]),
        channels=2,
    )


@BOTH
def test_a_permutation_of_one_tensor_alone_is_noticed(kind):
    spec = NetworkSpec.mlp([2, 5, 4, 3], activation="sin")
    torch.manual_seed(0)
    layer = kind(spec, 2, 3).double()
    features = WeightSpaceFeatures.randn(spec, 2, 2, dtype=torch.float64)

    def turn(x):
        return WeightSpaceFeatures([x.weights[0].flip(2), *x.weights[1:]], x.biases)

    with torch.no_grad():
        assert relative_difference(layer(turn(features)), turn(layer(features))) > 1e-2


@BOTH
@pytest.mark.parametrize("widths", [[2, 4, 3], [2, 4, 3, 2], [2, 4, 3, 3, 2]])
def test_every_map_matters(kind, widths):
    """Drop any one map, or its bias, and the output changes."""
    spec = NetworkSpec.mlp(widths, activation="sin")
    torch.manual_seed(0)
    layer = kind(spec, 2, 2).double()
    features = WeightSpaceFeatures.randn(spec, 1, 2, dtype=torch.float64)
    with torch.no_grad():
        whole = layer(features)
        for name, parameter in layer.named_parameters():
            kept = parameter.clone()
            parameter.zero_()
            assert relative_difference(layer(features), whole) > 1e-6, name
            parameter.copy_(kept)


@BOTH
def test_maps_start_uniform_within_their_common_bound(kind):
    spec = NetworkSpec.mlp([2, 4, 3, 2], activation="sin")
    torch.manual_seed(0)
    layer = kind(spec, 8, 64)
    maps = layer.middle_weights[0] if kind is HNPLinear else [
        layer.entry[1], layer.weight_scalars[1], layer.weight_inputs[1], layer.weight_outputs[1]
    ]  # fmt: skip
    bound = sum(linear.in_features for linear in maps) ** -0.5
    for linear in maps:
        for parameter in (linear.weight, linear.bias):
            assert 0.9 * bound < float(parameter.detach().abs().max()) <= bound * (1 + 1e-6)


@BOTH
def test_forward_and_backward_on_the_meta_device(kind):
    spec = NetworkSpec.cnn([1, 4, 5], kernel=3, outputs=3)
    with torch.device("meta"):
        layer = kind(spec, 2, 3)
        output = layer(WeightSpaceFeatures.zeros(spec, 4, 2))
        sum(tensor.sum() for tensor in output.tensors()).backward()
    assert output.weights[1].shape == (4, 3, 5, 4, 3, 3) and output.device.type == "meta"
    assert all(parameter.grad is not None for parameter in layer.parameters())
