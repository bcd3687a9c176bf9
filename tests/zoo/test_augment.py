"""Augmentation: other weights, same functions, and the proof can fail."""

import math

import polars as pl
import pytest
import torch

from mnfn_cli.errors import NumericError, OutputError, UsageError
from mnfn_cli.testing import relative_difference
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo import augment as module
from mnfn_cli.zoo.augment import augment_zoo
from mnfn_cli.zoo.probes import compare_outputs
from mnfn_cli.zoo.verification import verify_zoo
from mnfn_cli.zoo.writer import save_zoo


def test_copies_keep_split_labels_and_function(digits_zoo, tmp_path):
    report = augment_zoo(digits_zoo, tmp_path / "zoo", scale=(1.0, 1e4), copies=2)
    table, source = report.zoo.table, digits_zoo.table
    assert verify_zoo(report.zoo.path) == []
    assert table.height == 80
    joined = table.join(source, left_on="source_id", right_on="id")
    assert (joined["split"] == joined["split_right"]).all()
    assert (joined["test_accuracy"] == joined["test_accuracy_right"]).all()
    assert report.largest_error == table["relative_error"].max() <= 1e-4
    assert report.constant == table["constant"].sum()
    first, second = report.zoo.read(slice(0, 40)), report.zoo.read(slice(40, 80))
    assert relative_difference(first, digits_zoo.read()) > 1
    assert relative_difference(first, second) > 1


def test_keep_original_comes_first_and_unchanged(tanh_zoo, tmp_path):
    report = augment_zoo(tanh_zoo, tmp_path / "zoo", keep_original=True)
    assert report.zoo.ids[:40] == tanh_zoo.ids
    assert torch.equal(report.zoo.read(slice(0, 40)).flatten(), tanh_zoo.read().flatten())
    flipped = report.zoo.read(slice(40, 80))
    # Sign flips and permutations: the same absolute values in another order.
    sizes = flipped.flatten().abs().sort().values, tanh_zoo.read().flatten().abs().sort().values
    assert torch.equal(*sizes)
    assert report.zoo.record.made.to_json()["group_elements"]["scale"] is None


def test_an_augmented_zoo_can_be_augmented(digits_zoo, tmp_path):
    once = augment_zoo(digits_zoo, tmp_path / "once", scale=(1.0, 10.0)).zoo
    twice = augment_zoo(once, tmp_path / "twice", scale=(1.0, 10.0)).zoo
    assert twice.table["source_id"].to_list() == once.ids
    assert twice.ids[0] == f"{digits_zoo.ids[0]}-g1-g1"


def test_same_seed_same_bytes_and_other_seed_other_bytes(digits_zoo, tmp_path):
    a = augment_zoo(digits_zoo, tmp_path / "a", seed=1, verify=False).zoo
    b = augment_zoo(digits_zoo, tmp_path / "b", seed=1, verify=False).zoo
    c = augment_zoo(digits_zoo, tmp_path / "c", seed=2, verify=False).zoo
    assert a.fingerprint == b.fingerprint != c.fingerprint
    assert "relative_error" not in a.table.columns


def test_a_network_beyond_the_tolerance_is_an_error_and_leaves_nothing(digits_zoo, tmp_path, monkeypatch):
    right = MonomialElement.sample

    def wrong(*args, **kwargs):
        element = right(*args, **kwargs)
        scales = [scale.clone() for scale in element.scales]
        scales[0][3] *= -1  # a negative factor does not commute with relu
        return MonomialElement(element.permutations, scales)

    monkeypatch.setattr(module.MonomialElement, "sample", wrong)
    with pytest.raises(NumericError) as caught:
        augment_zoo(digits_zoo, tmp_path / "zoo")
    assert f"{digits_zoo.ids[3]}-g1" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.fault("N6")
def test_weights_that_leave_their_dtype_are_noticed(tmp_path):
    spec = NetworkSpec.mlp([2, 3, 1], "relu")
    features = WeightSpaceFeatures.randn(spec, 3, dtype=torch.float16).map(lambda t: t * 1e4)
    zoo = save_zoo(tmp_path / "half", spec, features, {"id": list("abc"), "split": ["train"] * 3})
    with pytest.raises(NumericError):
        augment_zoo(zoo, tmp_path / "out", scale=(1e3, 1e4))


@pytest.mark.fault("N3")
def test_constant_and_zero_networks_are_counted():
    spec = NetworkSpec.mlp([2, 3, 1], "relu")
    features = WeightSpaceFeatures.randn(spec, 3, dtype=torch.float64)
    features.weights[0][1] = 0
    for tensor in features.tensors():
        tensor[2] = 0
    found = compare_outputs(spec, features, features, [torch.randn(8, 2)])
    assert found.constant.tolist() == [False, True, True]
    assert found.relative.tolist() == found.absolute.tolist() == [0.0, 0.0, 0.0]
    broken = features.map(torch.clone)
    broken.biases[-1][2] = 1e-9
    assert math.isinf(compare_outputs(spec, features, broken, [torch.randn(8, 2)]).relative[2])


def test_refused(digits_zoo, tmp_path):
    with pytest.raises(UsageError, match="copies"):
        augment_zoo(digits_zoo, tmp_path / "zoo", copies=0)
    with pytest.raises(UsageError, match="interval"):
        augment_zoo(digits_zoo, tmp_path / "zoo", scale=(10.0, 1.0))
    for output in (digits_zoo.path, digits_zoo.path / "inside", digits_zoo.path.parent):
        with pytest.raises(OutputError):
            augment_zoo(digits_zoo, output, force=True)
    assert list(tmp_path.iterdir()) == []
    assert isinstance(digits_zoo.table, pl.DataFrame)
