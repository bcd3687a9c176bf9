"""Fourier features, position encoding, dropout, messages: against their formulas."""

from math import cos, pi, sin

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mnfn_cli.errors import UsageError
from mnfn_cli.nn.activation import ChannelDropout
from mnfn_cli.nn.encodings import GaussianFourierFeatures, InputOutputEncoding
from mnfn_cli.nn.messages import SignMessages
from mnfn_cli.nn.scaling import LearnedScale, UnitScale
from mnfn_cli.testing import assert_breaks, assert_equivariant
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.weightspace.spec import NetworkSpec

SPEC = NetworkSpec.mlp([3, 5, 4, 2], activation="sin", omega=15.0)
CNN = NetworkSpec.cnn([2, 3, 4], kernel=2, outputs=3, activation="tanh")

sign_specs = st.lists(st.integers(1, 5), min_size=3, max_size=6).map(lambda w: NetworkSpec.mlp(w, activation="sin"))


@pytest.mark.parametrize("spec", [SPEC, CNN])
def test_fourier_features(spec):
    torch.manual_seed(0)
    layer = GaussianFourierFeatures(channels=2, size=3, scale=0.7).double()
    features = WeightSpaceFeatures.randn(spec, 2, 2, dtype=torch.float64)
    result = layer(features)
    assert list(layer.parameters()) == [] and "frequencies" in layer.state_dict()
    for before, after in zip(features.tensors(), result.tensors(), strict=True):
        flat, out = before.flatten(2), after.flatten(2)
        for b in range(2):
            for entry in range(flat.shape[2]):
                phases = [2 * pi * sum(layer.frequencies[f, c] * flat[b, c, entry] for c in range(2)) for f in range(3)]
                expected = [sin(p) for p in phases] + [cos(p) for p in phases]
                torch.testing.assert_close(out[b, :, entry], torch.tensor(expected, dtype=torch.float64))


def test_sines_are_odd_and_cosines_even():
    layer = GaussianFourierFeatures(channels=1, size=4, scale=3.0)
    x = WeightSpaceFeatures.randn(SPEC, 2)
    for plus, minus in zip(layer(x).tensors(), layer(x.map(torch.neg)).tensors(), strict=True):
        assert torch.equal(plus[:, :4], -minus[:, :4]) and torch.equal(plus[:, 4:], minus[:, 4:])


def test_position_encoding():
    bands, top = 3, 5.0
    layer = InputOutputEncoding(SPEC, bands, top).double()
    features = WeightSpaceFeatures.randn(SPEC, 2, 2, dtype=torch.float64)
    result = layer(features)
    frequencies = [1 + (top / 2 - 1) * n / (bands - 1) for n in range(bands)]

    def code(neuron, count):
        t = -1 + 2 * neuron / (count - 1)
        return [sin(pi * f * t) for f in frequencies] + [cos(pi * f * t) for f in frequencies] + [t]

    for i, (weight, bias) in enumerate(zip(result.weights, result.biases, strict=True)):
        assert torch.equal(weight[:, :2], features.weights[i]) and torch.equal(bias[:, :2], features.biases[i])
        for j in range(weight.shape[2]):
            output = code(j, 2) if i == 2 else [0.0] * 7
            torch.testing.assert_close(bias[0, 2:, j].tolist(), output, atol=1e-6, rtol=0)
            for k in range(weight.shape[3]):
                expected = code(k, 3) if i == 0 else output
                torch.testing.assert_close(weight[1, 2:, j, k].tolist(), expected, atol=1e-6, rtol=0)


def test_one_neuron_stands_at_minus_one():
    spec = NetworkSpec.mlp([2, 3, 1], activation="sin")
    coded = InputOutputEncoding(spec, 2, 4.0)(WeightSpaceFeatures.zeros(spec, 1))
    assert coded.biases[-1][0, -1].tolist() == [-1.0]


def test_dropout_silences_whole_channels_in_training_only():
    torch.manual_seed(0)
    layer = ChannelDropout(0.25)
    ones = WeightSpaceFeatures.zeros(CNN, 50, 8).map(lambda tensor: tensor + 1)
    for tensor in layer(ones).tensors():
        channels = tensor.flatten(2)
        assert torch.equal(channels.amin(dim=2), channels.amax(dim=2))
        assert set(channels.unique().tolist()) == {0.0, torch.tensor(4 / 3).item()}
        assert 0.15 < float((channels == 0).float().mean()) < 0.35
    assert layer.eval()(ones) is ones


@settings(max_examples=20, deadline=None)
@given(spec=sign_specs, channels=st.integers(1, 3))
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_messages_commute_with_flips_and_permutations(dtype, spec, channels):
    layer = torch.nn.Sequential(UnitScale(spec), SignMessages(spec), LearnedScale(spec).to(dtype))
    assert_equivariant(layer, spec, channels=channels)


def test_messages_notice_what_is_no_flip():
    right = MonomialElement.identity(SPEC, 3)
    wrong = MonomialElement(right.permutations, [2 * d for d in right.scales])
    assert_breaks(SignMessages(SPEC), SPEC, wrong, channels=2)


def test_messages_entry_by_entry():
    torch.manual_seed(0)
    x = WeightSpaceFeatures.randn(SPEC, 2, 2, dtype=torch.float64)
    y = SignMessages(SPEC)(x)
    ones = torch.ones(3, dtype=torch.float64)
    for n in range(2):
        for c in range(2):
            W, b = [w[n, c] for w in x.weights], [v[n, c] for v in x.biases]
            for i in range(3):
                before = b[i - 1] if i > 0 else ones
                torch.testing.assert_close(y.weights[i][n, c], b[i][:, None] * before[None, :])
                expected = W[i] @ before / len(before) if i > 0 else torch.zeros_like(b[0])
                if i < 2:
                    expected = expected + W[i + 1].T @ b[i + 1] / len(b[i + 1])
                torch.testing.assert_close(y.biases[i][n, c], expected)


def test_messages_need_a_dense_network_with_flips():
    for spec in (CNN, NetworkSpec.mlp([2, 3, 1], activation="relu")):
        with pytest.raises(UsageError, match="dense network with sign flips"):
            SignMessages(spec)
