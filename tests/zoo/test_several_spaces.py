"""Zoos of several weight spaces: shards by weight space, one table, and a view of each part."""

import json

import polars as pl
import pytest
import torch

from mnfn_cli.errors import DataError
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.layout import find_layout
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.record import spaces_of
from mnfn_cli.zoo.store import open_zoo
from mnfn_cli.zoo.verification import verify_zoo
from mnfn_cli.zoo.writer import ShardWriter, finish_zoo, save_zoo

SPECS = [
    NetworkSpec.cnn([1, 4, 5], stride=2, outputs=3, activation="tanh"),
    NetworkSpec.mlp([6, 4, 3], "relu", input_size=(1, 2, 3)),
    NetworkSpec.cnn([1, 4, 5], outputs=3, pool=["max2", "none"], activation="tanh"),
]
PLACES = [0, 1, 0, 2, 1, 1, 0, 2, 2, 0]
"""The weight space of each network."""


@pytest.fixture
def networks():
    return [WeightSpaceFeatures.randn(spec, PLACES.count(i)) for i, spec in enumerate(SPECS)]


@pytest.fixture
def zoo(tmp_path, networks):
    table = {
        "id": [f"n{i}" for i in range(10)],
        "split": ["train", "test"] * 5,
        "weight_space": [str(place + 1) for place in PLACES],
    }
    return save_zoo(tmp_path / "zoo", spaces_of([(spec, None) for spec in SPECS]), networks, table)


def test_each_part_is_a_zoo_of_its_own(zoo, networks):
    assert len(zoo) == 10 and [part.spec for part in zoo.parts] == SPECS
    for i, (part, expected) in enumerate(zip(zoo.parts, networks, strict=True)):
        rows = [row for row, place in enumerate(PLACES) if place == i]
        assert list(part.numbers) == rows and part.ids == [f"n{row}" for row in rows]
        assert torch.equal(part.read().flatten(), expected.flatten())
        assert torch.equal(part.read([1, 0]).flatten(), expected.select([1, 0]).flatten())
        assert part.rows("train") == [place for place, row in enumerate(rows) if row % 2 == 0]
        assert part.parts == [part] and part.fingerprint == zoo.fingerprint
    assert verify_zoo(zoo.path) == []


def test_what_needs_one_weight_space_says_so(zoo):
    for use in (lambda: zoo.spec, lambda: zoo.layout, zoo.read):
        with pytest.raises(DataError, match="holds networks of 3 weight spaces; this needs one"):
            use()


def test_networks_that_are_not_finite_are_named_in_the_order_of_the_table(tmp_path, networks):
    networks[2].biases[0][1, 0, 0] = float("nan")
    networks[0].weights[1][0, 0, 0, 0, 0, 0] = float("inf")
    table = {
        "id": list("abcdefghij"),
        "split": ["test"] * 10,
        "weight_space": [str(place + 1) for place in PLACES],
    }
    zoo = save_zoo(tmp_path / "bad", spaces_of([(spec, None) for spec in SPECS]), networks, table)
    assert zoo.bad_networks() == [(0, "layers.1.weight is not finite"), (7, "layers.0.bias is not finite")]
    assert zoo.bad_networks([7, 1]) == [(7, "layers.0.bias is not finite")]
    assert zoo.parts[2].bad_networks() == [(1, "layers.0.bias is not finite")]


def test_layouts_and_every_field_of_a_spec_come_back(tmp_path):
    spec = NetworkSpec.cnn([1, 4, 2], kernel=[3, 2], flatten=True, input_size=(4, 4), input_mean=(0.1,), outputs=3)
    names = {"a.weight": (4, 1, 3, 3), "b.weight": (2, 16), "b.bias": (2,), "c.weight": (3, 2), "c.bias": (3,)}
    layout = find_layout(names, "a file")
    zoo = save_zoo(
        tmp_path / "zoo",
        spaces_of([(spec, layout)]),
        WeightSpaceFeatures.randn(spec, 2),
        {"id": ["a", "b"], "split": ["train", "test"]},
    )
    assert zoo.spec == spec and zoo.layout == layout and open_zoo(zoo.path).layout == layout


@pytest.mark.parametrize("change", ["unknown space", "other counts", "no column", "twice"])
def test_contradictions_are_named(zoo, change):
    file, record = zoo.path / "table.csv", zoo.path / "zoo.json"
    document = json.loads(record.read_text())
    column = zoo.table["weight_space"].to_list()
    match change:
        case "unknown space":
            column[3], expected = "7", "weight space '7'; the zoo has 1, 2, 3"
        case "other counts":
            column[3], expected = "1", "weight space 1: 4 networks in the tensors, 5 in the table"
        case "no column":
            column, expected = [], "no column 'weight_space'"
        case _:
            document["spaces"][1]["name"], expected = "1", "names a weight space twice"
    bare = zoo.table.drop("weight_space")
    file.write_text((bare.with_columns(weight_space=pl.Series(column)) if column else bare).write_csv())
    document["files"]["table.csv"]["bytes"] = file.stat().st_size
    record.write_text(json.dumps(document))
    with pytest.raises(DataError, match=expected):
        open_zoo(zoo.path)


def test_an_interrupted_writer_goes_on_to_the_same_bytes(tmp_path):
    spec = SPECS[0]
    networks = WeightSpaceFeatures.randn(spec, 20)
    table = pl.DataFrame({"id": [str(i) for i in range(20)], "split": ["test"] * 20})
    limit = 3 * 4 * spec.num_parameters
    for name in ("whole", "again"):
        folder = tmp_path / name
        folder.mkdir()
        writer = ShardWriter(folder, spec, max_bytes=limit)
        if name == "again":
            writer.append(networks.select(slice(0, 11)))  # killed: three shards are complete, two networks waited
            writer = ShardWriter(folder, spec, max_bytes=limit)
            assert writer.count == 9
        for start in range(writer.count, 20, 4):
            writer.append(networks.select(slice(start, start + 4)))
        writer.finish()
        finish_zoo(folder, spec, table, made={})
    files = sorted(path.name for path in (tmp_path / "whole").iterdir())
    assert len(files) == 9
    for file in files:
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "again" / file).read_bytes()
