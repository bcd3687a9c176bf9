"""Features that stay in blocks: the same numbers and gradients as layer after layer, at any size, on any device."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rounding import moved_by_rounding
from spaces import specs
from torch import nn

from mnfn_cli.models.monomial import MonomialGeneralization
from mnfn_cli.nn import blockwise
from mnfn_cli.nn.blocks import arrange, equivariant_blocks, restore
from mnfn_cli.nn.blockwise import BlockwiseInvariant
from mnfn_cli.nn.invariant import NormalizeEntries, _MeanDirection, _unit
from mnfn_cli.testing import relative_difference
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec

SPEC = NetworkSpec.cnn([1, 4, 3], kernel=[(2, 3), 1], hidden=[4], outputs=2, activation="relu")
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5}


def make_stack(spec, channels, sign_terms=True, activation="auto"):
    options = {"invariant": "auto", "layer": "linear", "hnp_channels": [], "head": [], "dropout": 0.0}
    model = MonomialGeneralization(spec, channels, activation, sign_terms=sign_terms, canonicalize=False, **options)
    assert isinstance(model.features, BlockwiseInvariant)
    return model.features


def results_of(module, features, direction):
    """Return the output, and the gradients of its product with ``direction``: of parameters, then of the features."""
    features = features.map(lambda tensor: tensor.clone().requires_grad_())
    output = module(features)
    wanted = [*module.parameters(), *features.tensors()]
    return [output.detach(), *torch.autograd.grad((output * direction).sum(), wanted)]


def assert_close(found, expected, tolerance, rounding=0.0):
    scale = max(1.0, *(float(tensor.abs().max()) for tensor in expected))
    for ours, slow in zip(found, expected, strict=True):
        assert ours.shape == slow.shape
        assert float((ours - slow).abs().max()) <= max(tolerance * scale, rounding)


@given(
    spec=specs(),
    channels=st.lists(st.integers(1, 3), min_size=1, max_size=3),
    sign_terms=st.booleans(),
    sine=st.booleans(),
    dtype=st.sampled_from([torch.float64, torch.float32]),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=120, deadline=None)
def test_the_same_as_layer_after_layer(spec, channels, sign_terms, sine, dtype, seed):
    torch.manual_seed(seed)
    activation = "sin" if sine and spec.group == "sign" else "auto"
    stack = make_stack(spec, channels, sign_terms, activation).to(dtype)
    features = WeightSpaceFeatures.randn(spec, 3, dtype=dtype)
    direction = torch.randn(3, stack[-1].numbers, dtype=dtype)
    slow = nn.Sequential(*stack)

    def numbers(networks):
        return torch.cat([tensor.flatten() for tensor in results_of(slow, networks, direction)])

    # The gradient of a direction grows as its vector shrinks, and its rounding errors too.
    rounding = 4 * moved_by_rounding(numbers, features, dtype)
    expected = results_of(slow, features, direction)
    assert_close(results_of(stack, features, direction), expected, TOLERANCE[dtype], rounding)


@pytest.mark.parametrize("size", [0.0, 1e-30, 1e30])
def test_the_same_at_zero_and_at_extreme_sizes(size):
    torch.manual_seed(0)
    stack = make_stack(SPEC, [3, 2])
    features = WeightSpaceFeatures.randn(SPEC, 3)
    weights = [*features.weights[:1], size * features.weights[1], *features.weights[2:]]
    scaled = WeightSpaceFeatures(weights, features.biases)
    direction, kept = torch.randn(3, stack[-1].numbers), 1 + len(list(stack.parameters()))
    # The gradients of weights of such sizes are as extreme; those of parameters are not.
    expected = results_of(nn.Sequential(*stack), scaled, direction)[:kept]
    assert_close(results_of(stack, scaled, direction)[:kept], expected, 1e-5)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("positions", [1, 7, 24])
def test_chunks_change_nothing(activation, positions, monkeypatch):
    torch.manual_seed(0)
    spec = replace(SPEC, activation=activation)
    stack = make_stack(spec, [3, 2]).double()
    features = WeightSpaceFeatures.randn(spec, 5, dtype=torch.float64)
    direction = torch.randn(5, stack[-1].numbers, dtype=torch.float64)
    whole = results_of(stack, features, direction)
    monkeypatch.setattr(blockwise, "POSITIONS_TOGETHER", positions)
    assert_close(results_of(stack, features, direction), whole, 1e-12)
    for values in arrange(equivariant_blocks(spec, True), features):
        chunks = blockwise._in_chunks(values)
        assert torch.equal(torch.cat(list(chunks)), values)
        assert all(len(chunk) == 1 or len(chunk) * chunk.shape[1] <= positions for chunk in chunks)


def test_a_change_of_one_layer_is_seen():
    torch.manual_seed(0)
    stack = make_stack(SPEC, [3, 2])
    features = WeightSpaceFeatures.randn(SPEC, 3)
    before = stack(features).detach()
    normalize = next(module for module in stack if isinstance(module, NormalizeEntries))
    for parameter in (stack[1].matrices[1], stack[3].constant, normalize.bias_offsets[0]):
        with torch.no_grad():
            parameter += 1
        after = stack(features).detach()
        assert relative_difference(after, before) > 1e-4
        before = after


def test_gradient_of_the_mean_direction():
    x = torch.randn(2, 5, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(_MeanDirection.apply, (x,))
    torch.testing.assert_close(_MeanDirection.apply(x), _unit(x, (3,)).mean(dim=1))


@pytest.mark.parametrize("sign_terms", [False, True])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_restore_undoes_arrange(activation, sign_terms):
    spec = NetworkSpec.cnn([2, 4, 3], kernel=[(2, 3), 1], outputs=2, activation=activation)
    features = WeightSpaceFeatures.randn(spec, 3, 5)
    blocks = equivariant_blocks(spec, sign_terms)
    again = restore(blocks, arrange(blocks, features), 5)
    assert all(torch.equal(a, b) for a, b in zip(again.tensors(), features.tensors(), strict=True))


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_on_the_meta_device(activation):
    spec = NetworkSpec.cnn([1, 4, 3], kernel=2, outputs=2, activation=activation)
    stack = make_stack(spec, [3, 2]).to("meta")
    features = WeightSpaceFeatures.zeros(spec, 3).to(device="meta")
    output = stack(features)
    output.sum().backward()
    assert output.is_meta and output.shape == (3, stack[-1].numbers)
    assert all(parameter.grad.is_meta for parameter in stack.parameters())


def test_names_of_parameters_are_those_of_the_sequence():
    stack = make_stack(SPEC, [3, 2])
    assert set(stack.state_dict()) == set(nn.Sequential(*stack).state_dict())
