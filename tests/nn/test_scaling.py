"""Layers that change sizes: standardised, of unit size, learned, and rescaled without a trace in the result."""

import pytest
import torch

from mnfn_cli.nn.scaling import LearnedScale, RescalePositions, Standardize, UnitScale
from mnfn_cli.runtime.seeds import generator
from mnfn_cli.tasks.functional import build_model
from mnfn_cli.testing import relative_difference
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.build.siren_fit import draw_siren

SPEC = NetworkSpec.cnn([1, 6, 5], kernel=[3, (2, 1)], hidden=[4], outputs=3, activation="relu")
SIREN = NetworkSpec.mlp([2, 40, 50, 3], activation="sin", omega=15.0)


def make_model():
    torch.manual_seed(0)
    model = build_model("generalization/monomial", SPEC).double()
    rescale, *others = model.features
    assert isinstance(rescale, RescalePositions)
    return model, torch.nn.Sequential(*others)


def test_the_functional_does_not_notice():
    model, without = make_model()
    features = WeightSpaceFeatures.randn(SPEC, 4, dtype=torch.float64)
    expected = torch.autograd.grad(without(features).square().sum(), list(without.parameters()))
    found = torch.autograd.grad(model.features(features).square().sum(), list(without.parameters()))
    torch.testing.assert_close(model.features(features), without(features))
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("size", [1e36, 1e-40])
def test_gradients_of_extreme_weights_are_finite(size):
    model, _ = make_model()
    model.float()
    features = WeightSpaceFeatures.randn(SPEC, 4)
    # Layer 1's neurons, and each pair of layer 2, are positions: a factor on them is what the group may do.
    weights = [size * weight for weight in features.weights[:2]] + list(features.weights[2:])
    acted = WeightSpaceFeatures(weights, [size * features.biases[0], *features.biases[1:]])
    output = model.head(model.features(acted))
    output.sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in model.parameters())
    if size > 1:  # below float32's normal numbers the weights themselves have lost their digits
        assert relative_difference(output.detach(), model.head(model.features(features)).detach()) < 1e-3


def test_largest_entry_is_one_and_zeros_stay():
    features = WeightSpaceFeatures.randn(SPEC, 2)
    features.weights[1][:, :, 2, 3] = 0
    out = RescalePositions(SPEC)(features)
    assert (out.weights[1][:, :, 2, 3] == 0).all()
    largest = out.weights[1].abs().amax(dim=(1, 4, 5))
    largest[:, 2, 3] = 1
    torch.testing.assert_close(largest, torch.ones_like(largest))
    assert torch.equal(out.biases[-1], features.biases[-1])


def test_standardised_weights_have_mean_0_and_deviation_1():
    torch.manual_seed(0)
    x = WeightSpaceFeatures.randn(SPEC, 50).map(lambda tensor: 3 + 0.1 * tensor)
    x = WeightSpaceFeatures(x.weights, [x.biases[0] * 0 + 2, *x.biases[1:]])
    layer = Standardize(SPEC)
    assert all(torch.equal(a, b) for a, b in zip(layer(x).tensors(), x.tensors(), strict=True))
    layer.fit(x)
    for number, tensor in enumerate(layer(x).tensors()):
        assert abs(float(tensor.mean())) < 1e-4
        # The constant bias keeps its deviation of 0: nothing is divided by next to nothing.
        assert float(tensor.std(correction=0)) == pytest.approx(0.0 if number == 1 else 1.0, abs=1e-4)
    assert list(layer.parameters()) == [] and set(layer.state_dict()) == {"means", "deviations"}


def test_unit_scale_brings_a_siren_before_training_to_deviation_1():
    start = draw_siren(SIREN, [generator(0, str(number)) for number in range(200)])
    for tensor in UnitScale(SIREN)(start).tensors():
        assert float(tensor.std()) == pytest.approx(1.0, abs=0.05)
    assert float(start.weights[0].std() / start.weights[1].std()) > 10


def test_learned_scale_has_one_number_a_tensor():
    layer = LearnedScale(SIREN)
    assert sum(parameter.numel() for parameter in layer.parameters()) == 6
    with torch.no_grad():
        layer.weights[1] = 3.0
    x = WeightSpaceFeatures.randn(SIREN, 2)
    y = layer(x)
    assert torch.equal(y.weights[1], 3 * x.weights[1])
    torch.testing.assert_close(y.biases[0], 0.01 * x.biases[0])
