"""Batches of weights: stacking, splitting, naming."""

import pytest
import torch

from mnfn_cli.errors import DataError, UsageError
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec

SPEC = NetworkSpec.cnn([1, 4, 5], kernel=3, outputs=3)


def test_state_dicts_round_trip():
    features = WeightSpaceFeatures.randn(SPEC, 3)
    back = WeightSpaceFeatures.from_state_dicts(features.to_state_dicts(), SPEC)
    assert torch.equal(back.flatten(), features.flatten())


def test_foreign_names_in_any_order():
    features = WeightSpaceFeatures.randn(SPEC, 1)
    names = ["net.2.weight", "net.2.bias", "net.9.weight", "net.9.bias", "net.10.weight", "net.10.bias"]
    state_dict = features.to_state_dicts(names)[0]
    shuffled = {f"module.{name}": state_dict[name] for name in sorted(names)}
    assert torch.equal(WeightSpaceFeatures.from_state_dicts([shuffled], SPEC).flatten(), features.flatten())


def test_every_bad_network_is_named():
    good, a, b, c = WeightSpaceFeatures.randn(SPEC, 4).to_state_dicts()
    del a["layers.1.weight"]
    b["bn.running_mean"] = torch.zeros(3)
    c["layers.0.weight"] = torch.zeros(4, 1, 5, 5)
    with pytest.raises(DataError) as caught:
        WeightSpaceFeatures.from_state_dicts([good, a, b, c], SPEC, names=["good", "a", "b", "c"])
    faults = caught.value.faults
    assert [fault.split(":")[0] for fault in faults] == ["a", "b", "c"]
    assert "layers.1.bias" in faults[0] and "no weight" in faults[0]
    assert "bn.running_mean" in faults[1]
    assert "layers.0.weight" in faults[2] and "(4, 1, 3, 3)" in faults[2]


def test_spec_counts_and_json():
    small_cnn_zoo = NetworkSpec.cnn([1, 16, 16, 16], kernel=3, stride=2, outputs=10)
    assert small_cnn_zoo.num_parameters == 4970
    assert NetworkSpec.mlp([2, 32, 32, 3], "sin", omega=30.0).num_parameters == 1251
    for spec in (small_cnn_zoo, NetworkSpec.mlp([2, 32, 32, 3], "sin", omega=30.0)):
        assert NetworkSpec.from_json(spec.to_json()) == spec


@pytest.mark.parametrize(
    "make",
    [
        lambda: NetworkSpec.mlp([2, 3], "relu"),
        lambda: NetworkSpec.mlp([2, 0, 3], "relu"),
        lambda: NetworkSpec.mlp([2, 3, 1], "softplus"),
        lambda: NetworkSpec.cnn([1, 2, 2], kernel=[3], outputs=2),
        lambda: NetworkSpec.cnn([1, 2, 2], stride=0, outputs=2),
    ],
)
def test_impossible_specs_are_refused(make):
    with pytest.raises(UsageError, match="network spec"):
        make()
