"""One pass over entries: against one step after another, forward and backward, for chunks of any size."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mnfn_cli import HNPLinear, NPLinear
from mnfn_cli.nn import ChannelDropout, InputOutputEmbedding, MeanPool, Pointwise, entries
from mnfn_cli.nn.entries import SpreadMap, SummedFeatures, scaled, with_sums
from mnfn_cli.nn.permutation_maps import RectifiedSequential
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec

CNN = NetworkSpec.cnn([1, 4, 5, 3], kernel=3, stride=2, outputs=3, activation="relu")
MLP = NetworkSpec.mlp([2, 6, 5, 1], activation="sin", omega=30.0)
LIMITS = {torch.float64: 1e-12, torch.float32: 1e-4}


def slow(spread, factors):
    """One step after another, as the formula says."""
    y = nn.functional.linear(spread.values, spread.entry.weight, spread.entry.bias)
    y = y + spread.at_outputs[:, :, None] + spread.at_inputs[:, None]
    return with_sums(scaled(torch.relu(y), factors))


def drawn(shape, numbers, dtype):
    batch, n_out, n_in = shape
    taken, given_numbers = numbers
    entry = nn.Linear(taken, given_numbers).to(dtype)
    sizes = ((batch, n_out, n_in, taken), (batch, n_out, given_numbers), (batch, n_in, given_numbers))
    return SpreadMap(entry, *(torch.randn(size, dtype=dtype, requires_grad=True) for size in sizes))


def inputs_of(spread):
    return [spread.values, spread.at_outputs, spread.at_inputs, spread.entry.weight, spread.entry.bias]


def assert_near(found, expected, dtype):
    found, expected = ([one.detach() for one in each] for each in (found, expected))
    largest = max(float(one.abs().max()) for one in expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert float((ours - theirs).abs().max()) <= LIMITS[dtype] * max(largest, 1e-3)


@pytest.mark.parametrize("dtype", LIMITS)
@settings(max_examples=25, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(1, 4)),
    numbers=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    together=st.integers(1, 300),
    used=st.sets(st.integers(0, 2), min_size=1),
    dropout=st.booleans(),
)
def test_one_pass_is_one_step_after_another(dtype, shape, numbers, together, used, dropout):
    torch.manual_seed(0)
    spread = drawn(shape, numbers, dtype)
    factors = torch.empty(shape[0], numbers[1], dtype=dtype).bernoulli_(0.6).div_(0.6) if dropout else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(entries, "NUMBERS_TOGETHER", together)
        found = spread.rectify(factors)
        expected = slow(spread, factors)
        assert_near(found, expected, dtype)
        weights = [torch.randn_like(one) for one in expected]
        gradients = [
            torch.autograd.grad(sum((outputs[i] * weights[i]).sum() for i in used), inputs_of(spread))
            for outputs in (found, expected)
        ]
    assert_near(*gradients, dtype)


def test_a_gradient_is_that_of_small_differences(monkeypatch):
    monkeypatch.setattr(entries, "NUMBERS_TOGETHER", 40)
    torch.manual_seed(0)
    spread = drawn((3, 4, 2), (3, 5), torch.float64)
    factors = torch.tensor([[0.0, 2.0, 2.0, 2.0, 0.0]], dtype=torch.float64).expand(3, 5)

    def rectified(values, at_outputs, at_inputs, weight, bias):
        entry = nn.Linear(3, 5, dtype=torch.float64)
        del entry.weight, entry.bias
        entry.weight, entry.bias = weight, bias
        return SpreadMap(entry, values, at_outputs, at_inputs).rectify(factors)

    assert torch.autograd.gradcheck(rectified, inputs_of(spread))


def test_what_needs_no_gradient_gets_none():
    spread = drawn((2, 3, 4), (2, 3), torch.float32)
    spread.entry.requires_grad_(False)
    frozen = SpreadMap(spread.entry, spread.values.detach(), spread.at_outputs, spread.at_inputs)
    for one in (spread, frozen):
        sum(each.sum() for each in one.rectify(None)).backward()
    assert spread.values.grad is not None and frozen.values.grad is None and spread.entry.weight.grad is None


LAYERS = {
    "np": lambda spec: [NPLinear(spec, 2, 6), Pointwise(torch.relu), NPLinear(spec, 6, 4), Pointwise(torch.relu)],
    "hnp, dropout": lambda spec: [
        *(HNPLinear(spec, 2, 6), Pointwise(torch.relu), ChannelDropout(0.3)),
        *(HNPLinear(spec, 6, 4), Pointwise(torch.relu), ChannelDropout(0.3)),
    ],
    "another function": lambda spec: [NPLinear(spec, 2, 6), Pointwise(torch.tanh), HNPLinear(spec, 6, 4)],
    "embeddings": lambda spec: [
        *(InputOutputEmbedding(spec, 2), NPLinear(spec, 2, 6), Pointwise(torch.relu)),
        *(InputOutputEmbedding(spec, 6), NPLinear(spec, 6, 4), Pointwise(torch.relu)),
    ],
}


@pytest.mark.parametrize("pooled", [True, False])
@pytest.mark.parametrize("spec", [CNN, MLP], ids=["cnn", "mlp"])
@pytest.mark.parametrize("name", LAYERS)
def test_layers_are_those_of_torch_s_sequence(name, spec, pooled, monkeypatch):
    monkeypatch.setattr(entries, "NUMBERS_TOGETHER", 700)
    torch.manual_seed(0)
    layers = RectifiedSequential(*LAYERS[name](spec), *([MeanPool(spec, 4)] if pooled else [])).double()
    features = WeightSpaceFeatures.randn(spec, 5, 2, dtype=torch.float64)
    for training in (True, False):
        layers.train(training)
        results = []
        for forward in (RectifiedSequential.forward, nn.Sequential.forward):
            torch.manual_seed(1)
            output = forward(layers, features)
            flat = output if pooled else output.flatten()
            loss = (flat * torch.linspace(-1, 1, flat[0].numel(), dtype=torch.float64)).sum()
            results.append((flat, torch.autograd.grad(loss, list(layers.parameters()))))
        (found, found_gradients), (expected, expected_gradients) = results
        assert_near([found], [expected], torch.float64)
        assert_near(found_gradients, expected_gradients, torch.float64)


def test_sums_follow_the_weights_that_are_replaced():
    torch.manual_seed(0)
    layer = NPLinear(CNN, 1, 4).double()
    summed = layer.rectify(WeightSpaceFeatures.randn(CNN, 2, 1, dtype=torch.float64))
    first, *others = summed.weights
    replaced = summed.replaced([first + 1, *others], summed.biases)
    for weight, outputs, inputs in zip(replaced.weights, replaced.over_outputs, replaced.over_inputs, strict=True):
        _, *sums = with_sums(weight.movedim(1, 3).flatten(3))
        assert all(torch.allclose(a, b, rtol=1e-12) for a, b in zip(sums, (outputs, inputs), strict=True))
    assert replaced.over_outputs[1] is summed.over_outputs[1]
    assert not isinstance(summed.map(torch.neg), SummedFeatures)


def test_mixed_precision_rounds_the_products_alone():
    torch.manual_seed(0)
    layers = RectifiedSequential(HNPLinear(MLP, 2, 8), Pointwise(torch.relu), MeanPool(MLP, 8))
    features = WeightSpaceFeatures.randn(MLP, 3, 2)
    exact = layers(features)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = layers(features)
    rounded.float().square().sum().backward()
    difference = (rounded - exact).detach().abs().max() / exact.detach().abs().max()
    assert 0 < float(difference) < 0.03
    assert all(p.grad.dtype == torch.float32 and p.grad.isfinite().all() for p in layers.parameters())


def test_chunks_do_not_change_a_gradient_in_mixed_precision(monkeypatch):
    torch.manual_seed(0)
    layers = RectifiedSequential(HNPLinear(MLP, 2, 8), Pointwise(torch.relu), MeanPool(MLP, 8))
    features = WeightSpaceFeatures.randn(MLP, 16, 2)
    found = []
    for together in (1, 2**20):
        monkeypatch.setattr(entries, "NUMBERS_TOGETHER", together)
        with torch.autocast("cpu", torch.bfloat16):
            output = layers(features)
        found.append(torch.autograd.grad(output.float().square().sum(), list(layers.parameters())))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_forward_and_backward_on_the_meta_device():
    with torch.device("meta"):
        layers = RectifiedSequential(NPLinear(CNN, 2, 8), Pointwise(torch.relu), ChannelDropout(0.1), MeanPool(CNN, 8))
        layers(WeightSpaceFeatures.zeros(CNN, 4, 2)).sum().backward()
    assert all(parameter.grad is not None for parameter in layers.parameters())
