"""Fourier features, position encoding, dropout, messages: against their formulas."""

from math import cos, pi, sin

import pytest
import torch

from mnfn_cli.nn.activation import ChannelDropout
from mnfn_cli.nn.encodings import GaussianFourierFeatures, InputOutputEncoding, _SinesAndCosines
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec

SPEC = NetworkSpec.mlp([3, 5, 4, 2], activation="sin", omega=15.0)
CNN = NetworkSpec.cnn([2, 3, 4], kernel=2, outputs=3, activation="tanh")


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


def test_gradient_of_sines_and_cosines():
    phases = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(_SinesAndCosines.apply, (phases,))
    torch.testing.assert_close(_SinesAndCosines.apply(phases), torch.cat([phases.sin(), phases.cos()], dim=1))
