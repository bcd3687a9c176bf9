"""Products along the edges: equivariant, bounded, and equal to their formulas entry by entry."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from spaces import specs

from mnfn_cli.errors import UsageError
from mnfn_cli.nn.messages import EdgeMessages, MessageLayer, canonical_frame
from mnfn_cli.nn.monomial import MonomialLinear
from mnfn_cli.testing import assert_breaks, assert_equivariant, relative_difference
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.weightspace.spec import NetworkSpec

RELU = NetworkSpec.mlp([3, 5, 4, 2], activation="relu")
SINE = NetworkSpec.mlp([3, 5, 4, 2], activation="sin", omega=15.0)
TANH_CNN = NetworkSpec.cnn([2, 3, 4], kernel=2, outputs=3, activation="tanh")
RELU_CNN = NetworkSpec.cnn([2, 3, 4], kernel=[(1, 2), 2], hidden=[3], outputs=2, activation="relu")


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def slow_frame(W, b):
    """Bring one network with several channels into the canonical frame, neuron by neuron, from the first layer on."""
    scales, before = [], torch.ones(W[0].shape[2], dtype=torch.float64)
    V, c = [w.clone() for w in W], [v.clone() for v in b]
    for i in range(len(W)):
        scale = torch.zeros(W[i].shape[1], dtype=torch.float64)
        for j in range(W[i].shape[1]):
            for k in range(W[i].shape[2]):
                V[i][:, j, k] = W[i][:, j, k] * before[k]
            scale[j] = (V[i][:, j].square().sum() + b[i][:, j].square().sum()).sqrt()
            if scale[j] > 0:
                V[i][:, j] /= scale[j]
                c[i][:, j] /= scale[j]
        scales.append(scale)
        before = scale
    return V, c, scales


def slow_messages(spec, x):
    """Return the products for every network, channel, neuron and kernel entry in turn."""
    y = WeightSpaceFeatures.zeros(spec, x.batch, x.channels, dtype=x.dtype)
    for n in range(x.batch):
        W, b = [w[n] for w in x.weights], [v[n] for v in x.biases]
        scaling = spec.group == "scale"
        V, c, s = slow_frame(W, b) if scaling else (W, b, [torch.ones(v.shape[1]) for v in b])
        for i in range(len(W)):
            channels, n_out, n_in = W[i].shape[:3]
            for channel in range(channels):
                for j in range(n_out):
                    arriving = 0.0
                    if i > 0:
                        arriving += sum(V[i][channel, j, k].mean() * c[i - 1][channel, k] for k in range(n_in)) / n_in
                    if i + 1 < len(W):
                        n_next = W[i + 1].shape[1]
                        for p in range(n_next):
                            arriving += V[i + 1][channel, p, j].mean() * c[i + 1][channel, p] / n_next
                    y.biases[i][n, channel, j] = s[i][j] * arriving
                    for k in range(n_in):
                        product = c[i][channel, j] * (c[i - 1][channel, k] if i > 0 else 1.0)
                        y.weights[i][n, channel, j, k] = product * (W[i][channel, j, k] if scaling else 1.0)
    return y


@given(
    spec=specs(),
    channels=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    sign_terms=st.booleans(),
    dtype=st.sampled_from([torch.float64, torch.float32]),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=60, deadline=None)
def test_equivariant_and_equal_to_the_formulas(spec, channels, sign_terms, dtype, seed):
    torch.manual_seed(seed)
    layer = MessageLayer(spec, *channels, sign_terms=sign_terms).to(dtype)
    assert_equivariant(layer, spec, channels=channels[0], batch=2, seed=seed)
    x = WeightSpaceFeatures.randn(spec, 2, channels[0], dtype=torch.float64)
    assert relative_difference(EdgeMessages(spec)(x), slow_messages(spec, x)) <= 1e-10
    assert count(layer) == count(MonomialLinear(spec, 2 * channels[0], channels[1], sign_terms=sign_terms))


@pytest.mark.parametrize("spec", [RELU, RELU_CNN])
def test_messages_of_the_scaling_group_are_bounded(spec):
    x = WeightSpaceFeatures.randn(spec, 3, 2, dtype=torch.float64)
    x = MonomialElement.sample(spec, 3, (1e-4, 1e4), log_uniform=True).act(x)
    y, (_, scales) = EdgeMessages(spec)(x), canonical_frame(x)
    for message, scale in zip(y.biases, scales, strict=True):
        assert (message.abs() <= 2 * scale[:, None] * (1 + 1e-12)).all()
    assert all((new.abs() <= old.abs()).all() for new, old in zip(y.weights, x.weights, strict=True))


def test_a_neuron_of_norm_zero_has_scale_zero():
    x = WeightSpaceFeatures.randn(RELU, 2, dtype=torch.float64)
    x.weights[1][:, :, 1], x.biases[1][:, :, 1] = 0.0, 0.0
    y, (_, scales) = EdgeMessages(RELU)(x), canonical_frame(x)
    assert (scales[1][:, 1] == 0).all() and (scales[1][:, 0] > 0).all()
    assert (y.biases[1][:, :, 1] == 0).all() and torch.isfinite(y.flatten()).all()
    element = MonomialElement.sample(RELU, 2)
    assert relative_difference(EdgeMessages(RELU)(element.act(x)), element.act(y)) <= 1e-10


@pytest.mark.parametrize("spec", [RELU, RELU_CNN, SINE])
def test_gradients_are_finite_at_zero(spec):
    tiny = WeightSpaceFeatures.randn(spec, 2)
    tiny.weights[0][:, :, 0], tiny.biases[0][:, :, 0] = 1e-30, 0.0
    tiny.weights[1][:, :, 0], tiny.biases[1][:, :, 0] = 1e-40, 0.0
    for x in (WeightSpaceFeatures.zeros(spec, 2), WeightSpaceFeatures.randn(spec, 2), tiny):
        x = x.map(lambda tensor: tensor.clone().requires_grad_())
        EdgeMessages(spec)(x).flatten().sum().backward()
        assert all(torch.isfinite(tensor.grad).all() for tensor in x.tensors() if tensor.grad is not None)


def test_sizes_at_the_ends_of_float32():
    """Scales of 1e30 and 1e-30 neither overflow when they are squared nor vanish."""
    x = WeightSpaceFeatures.randn(RELU, 2)
    for size in (1e30, 1e-30):
        element = MonomialElement.identity(RELU, 2)
        element = MonomialElement(element.permutations, [element.scales[0] * size, element.scales[1]])
        after, before = EdgeMessages(RELU)(element.act(x)), element.act(EdgeMessages(RELU)(x))
        assert relative_difference(after, before) <= 1e-5


@pytest.mark.parametrize("spec", [SINE, TANH_CNN])
def test_what_is_no_flip_is_noticed(spec):
    right = MonomialElement.identity(spec, 3)
    wrong = MonomialElement(right.permutations, [2 * d for d in right.scales])
    assert_breaks(EdgeMessages(spec), spec, wrong, channels=2)


@pytest.mark.parametrize("spec", [RELU, RELU_CNN])
def test_what_is_no_scaling_is_noticed(spec):
    right = MonomialElement.identity(spec, 3)
    wrong = MonomialElement(right.permutations, [-d for d in right.scales])
    assert_breaks(EdgeMessages(spec), spec, wrong, channels=2)


def test_permutations_alone_are_refused():
    with pytest.raises(UsageError, match="permutation symmetry only"):
        EdgeMessages(NetworkSpec.mlp([2, 3, 1], activation="gelu"))


@pytest.mark.parametrize("spec", [RELU_CNN, TANH_CNN])
def test_forward_and_backward_on_the_meta_device(spec):
    with torch.device("meta"):
        layer = MessageLayer(spec, 2, 3)
        output = layer(WeightSpaceFeatures.zeros(spec, 4, 2))
        output.flatten().sum().backward()
    assert all(parameter.grad is not None for parameter in layer.parameters())
