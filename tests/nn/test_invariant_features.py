"""The features Y, S and P move by rounding alone when the group acts, and by more when a wrong element does."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rounding import moved_by_rounding

from mnfn_cli.models.learned_test_set import LearnedTestSet
from mnfn_cli.models.trees import FixedFeatures
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.weightspace.spec import NetworkSpec

SMALL = {"members": 2, "questions": 12, "asked": 6, "noise": 0.5}
RANGES = ({"scale": (1.0, 1e4)}, {"scale": (1e-4, 1e4), "log_uniform": True})


def spec_of(kind, activation):
    match kind:
        case "stride":
            return NetworkSpec.cnn([1, 6, 5], stride=2, outputs=4, activation=activation, input_size=(9, 9))
        case "pool":
            return NetworkSpec.cnn(
                [2, 5, 4], padding=1, pool="max2", hidden=[6], outputs=3, activation=activation, input_size=(8, 8)
            )
        case "flatten":
            return NetworkSpec.cnn(
                [1, 4, 5], kernel=[3, 7], flatten=True, outputs=3, activation=activation, input_size=(9, 9)
            )
        case "pictures":
            return NetworkSpec.mlp([48, 7, 5, 3], activation, input_size=(3, 4, 4))
        case _:
            return NetworkSpec.mlp([6, 7, 5, 3], activation)


def all_features(spec):
    torch.manual_seed(0)
    learned, fixed = LearnedTestSet(spec, **SMALL).eval(), FixedFeatures(spec, ["S", "P"], 8, None)
    return lambda networks: torch.cat([learned.summary(networks), fixed(networks)], dim=1)


def networks_of(spec, seed, size):
    """Return ordinary networks, and three that are dead or saturated in every hidden layer, or in one neuron."""
    random = torch.Generator().manual_seed(seed)
    networks = WeightSpaceFeatures.randn(spec, 8, generator=random, dtype=torch.float64).map(lambda t: size * t)
    networks.biases[0][0] = -1e3 * size  # of ReLU, all dead; of tanh, all saturated
    networks.biases[-2][1] = 1e3 * size
    networks.weights[0][2, :, 0] = networks.biases[0][2, :, 0] = 0
    networks.weights[-2][3] = networks.biases[-2][3] = 0
    return networks


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10**6), size=st.sampled_from([0.1, 0.5, 2.0]))
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("kind", ["stride", "pool", "flatten", "pictures", "vectors"])
def test_features_stay(kind, activation, seed, size):
    spec = spec_of(kind, activation)
    features = all_features(spec)
    networks = networks_of(spec, seed, size)
    before = features(networks)
    assert before.dtype == torch.float64 and before.isfinite().all()
    for options in RANGES:
        element = MonomialElement.sample(spec, 8, generator=torch.Generator().manual_seed(seed), **options)
        moved = element.act(networks)
        assert (features(moved) - before).abs().max() <= 1e-9
        change = (features(moved.to(dtype=torch.float32)) - before).abs().max()
        assert change <= 1e-4 or change <= moved_by_rounding(features, networks, torch.float32)


@pytest.mark.parametrize(("activation", "factor"), [("relu", -1.0), ("tanh", 3.0)])
@pytest.mark.parametrize("kind", ["stride", "flatten", "vectors"])
def test_a_wrong_element_is_noticed(kind, activation, factor):
    spec = spec_of(kind, activation)
    networks = WeightSpaceFeatures.randn(spec, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    right = MonomialElement.identity(spec, 8)
    wrong = MonomialElement(right.permutations, [factor * d for d in right.scales]).act(networks)
    torch.manual_seed(0)
    learned, fixed = LearnedTestSet(spec, **SMALL).eval(), FixedFeatures(spec, ["P"], 8, None)
    for features in (learned.summary, fixed):
        assert ((features(wrong) - features(networks)).abs().amax(dim=1) > 1e-2).all()


def test_what_the_features_are():
    """Fifty-seven numbers for ten classes, and numbers that tell trained networks from constant ones."""
    spec = NetworkSpec.cnn([1, 16, 16, 16], stride=2, outputs=10, input_size=(16, 16))
    assert LearnedTestSet(spec, **SMALL).numbers == 57
    for kind in ("stride", "pool", "vectors"):
        small = spec_of(kind, "relu")
        networks = networks_of(small, 0, 1.0)
        learned, fixed = LearnedTestSet(small, **SMALL), FixedFeatures(small, ["P"], 8, None)
        assert learned.summary(networks).shape == (8, learned.numbers)
        assert fixed(networks).shape == (8, fixed.responses.numbers)


def test_a_wide_and_a_single_neuron():
    for widths in ([3, 1, 1, 2], [3, 40, 40, 30]):
        spec = NetworkSpec.mlp(widths, "relu")
        networks = WeightSpaceFeatures.randn(spec, 3, dtype=torch.float64)
        fixed = FixedFeatures(spec, ["S", "P"], 8, None)
        assert fixed(networks).isfinite().all()
        element = MonomialElement.sample(spec, 3, (1.0, 1e4))
        assert (fixed(element.act(networks)) - fixed(networks)).abs().max() <= 1e-9
