"""Twins in a zoo: all that augmentation makes, no others, and leaks told from declared copies."""

import polars as pl
import pytest
import torch

from mnfn_cli.errors import InterruptedRun, NumericError
from mnfn_cli.runtime.context import Context, Interruption
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.augment import augment_zoo
from mnfn_cli.zoo.record import spaces_of
from mnfn_cli.zoo.twins import find_twins
from mnfn_cli.zoo.writer import save_zoo


@pytest.mark.parametrize("name", ["digits_zoo", "tanh_zoo", "inr_zoo"])
def test_every_copy_and_no_other_network(name, request, tmp_path):
    """Trained networks of every group, and INRs that started from the same weights."""
    zoo = request.getfixturevalue(name)
    assert find_twins(zoo) == []
    copied = augment_zoo(zoo, tmp_path / "copied", scale=(1.0, 1e4), keep_original=True).zoo
    found = find_twins(copied)
    assert {pair.ids for pair in found} == {(network, f"{network}-g1") for network in zoo.ids}
    assert all(pair.expected and not pair.leak and pair.distance <= 1e-6 for pair in found)


def test_copies_of_copies(digits_zoo, tmp_path):
    twice = augment_zoo(digits_zoo, tmp_path / "two", copies=2).zoo
    assert len(find_twins(twice)) == 40 and all(pair.expected for pair in find_twins(twice))
    once = augment_zoo(digits_zoo, tmp_path / "one", keep_original=True).zoo
    again = augment_zoo(once, tmp_path / "again").zoo
    # A merged zoo: originals, copies, and copies of copies; each says what it was made of.
    bare = [zoo.table.drop("relative_error", "constant") for zoo in (once, again)]
    table = pl.concat([bare[0], bare[1].with_columns(id="again-" + pl.col("id"))], how="diagonal")
    merged = save_zoo(tmp_path / "merged", once.spec, WeightSpaceFeatures.cat([once.read(), again.read()]), table)
    found = find_twins(merged)
    assert len(found) == 40 * 6 and all(pair.expected for pair in found)


def test_leaks_come_first(tmp_path):
    spec = NetworkSpec.mlp([2, 6, 5, 1], "leaky_relu")
    x = WeightSpaceFeatures.randn(spec, 6)
    copies = MonomialElement.sample(spec, 6).act(x).select([0, 1, 2])
    table = {
        "id": [*"abcdef", "a2", "b2", "c2"],
        "split": [*["train"] * 5, "test", "train", "test", "test"],
        "source_id": [None] * 6 + [None, None, "c"],
    }
    zoo = save_zoo(tmp_path / "zoo", spec, WeightSpaceFeatures.cat([x, copies]), table)
    found = find_twins(zoo)
    assert [pair.ids for pair in found] == [("b", "b2"), ("c", "c2"), ("a", "a2")]
    assert [pair.leak for pair in found] == [True, True, False]
    assert [pair.declared for pair in found] == [False, True, False]
    assert not any(pair.expected for pair in found)
    assert found[0].to_json() == {
        "ids": ["b", "b2"], "splits": ["train", "test"], "distance": found[0].distance, "leak": True, "declared": False,
    }  # fmt: skip


def test_all_of_many_equal_networks(tmp_path):
    spec = NetworkSpec.mlp([2, 4, 1], "tanh")
    x = WeightSpaceFeatures.randn(spec, 1).select([0] * 20)
    zoo = save_zoo(tmp_path / "z", spec, x, {"id": [f"{i:02}" for i in range(20)], "split": ["train"] * 20})
    found = find_twins(zoo)
    assert len(found) == 190 and all(pair.distance == 0 for pair in found)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_other_dtypes(dtype, tmp_path):
    spec = NetworkSpec.cnn([1, 8, 8], outputs=3)
    a = WeightSpaceFeatures.randn(spec, 30, dtype=dtype)
    b = MonomialElement.sample(spec, 30).act(a)
    table = {"id": [str(i) for i in range(60)], "split": ["train"] * 60}
    zoo = save_zoo(tmp_path / "z", spec, WeightSpaceFeatures.cat([a, b]), table)
    assert {pair.ids for pair in find_twins(zoo)} == {(str(i), str(i + 30)) for i in range(30)}


def test_each_weight_space_on_its_own(tmp_path):
    kinds = [
        NetworkSpec.mlp([2, 4, 1], "tanh"),
        NetworkSpec.mlp([2, 3, 3, 1], "relu"),
        NetworkSpec.mlp([2, 4, 1], "relu"),
    ]
    parts = []
    for spec in kinds[:2]:
        x = WeightSpaceFeatures.randn(spec, 2)
        parts.append(WeightSpaceFeatures.cat([x, MonomialElement.sample(spec, 2).act(x)]))
    parts.append(parts[0].select([0]))  # the same weights with another activation
    table = {
        "id": list("abcdefghi"),
        "split": ["train", "test"] * 4 + ["test"],
        "weight_space": ["1", "2"] * 4 + ["3"],
    }
    zoo = save_zoo(tmp_path / "z", spaces_of([(spec, None) for spec in kinds]), parts, table)
    assert {pair.ids for pair in find_twins(zoo)} == {("a", "e"), ("c", "g"), ("b", "f"), ("d", "h")}


def test_networks_that_cannot_be_compared_and_an_interruption(tmp_path):
    spec = NetworkSpec.mlp([2, 4, 1], "relu")
    x = WeightSpaceFeatures.randn(spec, 3, dtype=torch.float64)
    for tensor in x.tensors():
        tensor[1] *= 1e200
    zoo = save_zoo(tmp_path / "z", spec, x, {"id": list("abc"), "split": ["train"] * 3})
    with pytest.raises(NumericError, match="z:b: the weights are too large"):
        find_twins(zoo)
    interruption = Interruption()
    interruption._remember(2, None)
    with pytest.raises(InterruptedRun):
        find_twins(zoo, Context(interruption=interruption))


def test_one_network_has_no_twin(tmp_path):
    spec = NetworkSpec.mlp([2, 4, 1], "relu")
    table = {"id": ["a"], "split": ["train"]}
    assert find_twins(save_zoo(tmp_path / "z", spec, WeightSpaceFeatures.randn(spec, 1), table)) == []


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_two_thousand_networks(activation, tmp_path):
    spec = NetworkSpec.cnn([1, 16, 16, 16], kernel=3, stride=2, outputs=10, activation=activation)
    a = WeightSpaceFeatures.randn(spec, 1000)
    b = MonomialElement.sample(spec, 1000).act(a).select(torch.randperm(1000))
    table = {"id": [str(i) for i in range(2000)], "split": ["train"] * 1000 + ["test"] * 1000}
    found = find_twins(save_zoo(tmp_path / "z", spec, WeightSpaceFeatures.cat([a, b]), table))
    assert len(found) == 1000 and all(pair.leak for pair in found)
    assert len({network for pair in found for network in pair.ids}) == 2000
