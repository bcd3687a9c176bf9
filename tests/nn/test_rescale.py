"""Rescaled positions: nothing changes but the size of the numbers on the way."""

import pytest
import torch

from mnfn_cli.nn.rescale import RescalePositions
from mnfn_cli.tasks.functional import build_model
from mnfn_cli.testing import relative_difference
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec

SPEC = NetworkSpec.cnn([1, 6, 5], kernel=[3, (2, 1)], hidden=[4], outputs=3, activation="relu")


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
