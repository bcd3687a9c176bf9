"""The zoo on disk: what goes in comes out, and every damage is named."""

import json
from dataclasses import replace

import polars as pl
import pytest
import torch

from mnfn_cli.errors import DataError, OutputError
from mnfn_cli.storage.marks import State, mark
from mnfn_cli.storage.tensors import read_tensors
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo import shards, writer
from mnfn_cli.zoo.shards import tensor_names
from mnfn_cli.zoo.store import open_zoo
from mnfn_cli.zoo.table import read_table
from mnfn_cli.zoo.verification import verify_zoo
from mnfn_cli.zoo.writer import save_zoo

SPEC = NetworkSpec.cnn([1, 4, 5], kernel=3, outputs=3)


def make_zoo(path, count=10, dtype=torch.float32, **columns):
    features = WeightSpaceFeatures.randn(SPEC, count, dtype=dtype)
    table = {
        "id": [f"{i:03d}" for i in range(count)],
        "split": ["train"] * (count - 4) + ["val"] * 2 + ["test"] * 2,
        "test_accuracy": [i / count for i in range(count)],
    }
    return save_zoo(path, SPEC, features, table | columns), features


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_round_trip(tmp_path, dtype):
    zoo, features = make_zoo(tmp_path / "zoo", dtype=dtype)
    assert zoo.spec == SPEC and len(zoo) == 10
    assert zoo.ids[:2] == ["000", "001"]
    assert torch.equal(zoo.read().flatten(), features.flatten())
    assert torch.equal(zoo.read([7, 2, 2]).flatten(), features.select([7, 2, 2]).flatten())
    assert torch.equal(zoo.read(slice(3, 6)).flatten(), features.select(slice(3, 6)).flatten())
    assert zoo.read(slice(4, 4)).batch == 0
    assert zoo.rows("test") == [8, 9]
    assert verify_zoo(tmp_path / "zoo") == []


def test_several_shards(tmp_path, monkeypatch):
    monkeypatch.setattr(writer.ShardWriter.__init__, "__defaults__", (4 * SPEC.num_parameters * 3,))
    zoo, features = make_zoo(tmp_path / "zoo")
    shards = sorted(path.name for path in (tmp_path / "zoo").glob("weights-*"))
    assert shards == [f"weights-{n:05d}-of-00004.safetensors" for n in range(1, 5)]
    assert torch.equal(zoo.read().flatten(), features.flatten())
    assert torch.equal(zoo.read(slice(2, 8)).flatten(), features.select(slice(2, 8)).flatten())
    assert torch.equal(zoo.read([9, 0, 5]).flatten(), features.select([9, 0, 5]).flatten())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_batches_of_any_size_and_order_in_memory(tmp_path, dtype):
    features = WeightSpaceFeatures.randn(SPEC, 23, dtype=dtype)
    turned = features.map(lambda t: t.movedim(0, -1).contiguous().movedim(-1, 0))
    shards = writer.ShardWriter(tmp_path, SPEC, max_bytes=5 * SPEC.num_parameters * dtype.itemsize)
    start = 0
    for size in (1, 0, 2, 11, 3, 6):
        shards.append(turned.select(slice(start, start + size)))
        start += size
    shards.finish()
    stored = [read_tensors(path)[0] for path in sorted(tmp_path.iterdir())]
    assert [len(tensors["layers.0.bias"]) for tensors in stored] == [5, 5, 5, 5, 3] and shards.count == 23
    for name, tensor in zip(tensor_names(SPEC), features.tensors(), strict=True):
        assert torch.equal(torch.cat([tensors[name] for tensors in stored]), tensor[:, 0])


def test_a_shard_holds_numbers_of_one_dtype(tmp_path):
    shards = writer.ShardWriter(tmp_path, SPEC)
    batches = [WeightSpaceFeatures.randn(SPEC, 2, dtype=dtype) for dtype in (torch.float32, torch.float64)]
    for batch in batches:
        shards.append(batch)
    shards.finish()
    for path, batch in zip(sorted(tmp_path.iterdir()), batches, strict=True):
        assert torch.equal(read_tensors(path)[0]["layers.1.bias"], batch.biases[1][:, 0])


def test_an_existing_zoo_is_kept(tmp_path):
    zoo, _ = make_zoo(tmp_path / "zoo")
    with pytest.raises(OutputError, match="--force"):
        make_zoo(tmp_path / "zoo")
    assert open_zoo(tmp_path / "zoo").fingerprint == zoo.fingerprint
    features = WeightSpaceFeatures.randn(SPEC, 1)
    replaced = save_zoo(tmp_path / "zoo", SPEC, features, {"id": ["a"], "split": ["test"]}, force=True)
    assert len(replaced) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["zoo"]


def test_a_failed_write_leaves_nothing(tmp_path):
    with pytest.raises(DataError, match="not unique"):
        make_zoo(tmp_path / "zoo", id=["same"] * 10)
    with pytest.raises(DataError, match="split 'later'"):
        make_zoo(tmp_path / "zoo", split=["later"] * 10)
    with pytest.raises(DataError, match="rows in the table"):
        save_zoo(tmp_path / "zoo", SPEC, WeightSpaceFeatures.randn(SPEC, 2), {"id": ["a"], "split": ["test"]})
    with pytest.raises(DataError, match="at least one network"):
        save_zoo(tmp_path / "zoo", SPEC, WeightSpaceFeatures.zeros(SPEC, 0), {"id": [], "split": []})
    assert list(tmp_path.iterdir()) == []


def test_damage_is_named(tmp_path):
    make_zoo(tmp_path / "zoo")
    shard = tmp_path / "zoo" / "weights-00001-of-00001.safetensors"
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    faults = verify_zoo(tmp_path / "zoo")
    assert len(faults) == 1 and "checksum" in str(faults[0]) and shard.name in str(faults[0])
    shard.write_bytes(content[:-10])
    with pytest.raises(DataError, match="bytes, expected"):
        open_zoo(tmp_path / "zoo")
    shard.unlink()
    with pytest.raises(DataError, match="missing"):
        open_zoo(tmp_path / "zoo")


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_networks_that_are_not_finite_are_all_named(tmp_path, monkeypatch, dtype):
    monkeypatch.setattr(shards, "NUMBERS_AT_ONCE", 50)
    features = WeightSpaceFeatures.randn(SPEC, 10, dtype=dtype)
    features.weights[0][0, 0] = torch.finfo(dtype).max
    features.weights[0][1, 0] = torch.finfo(dtype).smallest_normal / 2
    features.weights[1][3, 0, 0, 0, 0, 0] = float("nan")
    features.biases[2][7] = float("-inf")
    table = {"id": [f"n{i}" for i in range(10)], "split": ["test"] * 10}
    zoo = save_zoo(tmp_path / "zoo", SPEC, features, table)
    assert zoo.bad_networks() == [(3, "layers.1.weight is not finite"), (7, "layers.2.bias is not finite")]
    assert [str(fault).rsplit("zoo:")[1] for fault in verify_zoo(tmp_path / "zoo")] == [
        "n3: layers.1.weight is not finite",
        "n7: layers.2.bias is not finite",
    ]


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("zoo.json", lambda text: "{", "cannot be read"),
        ("zoo.json", lambda text: "[]", "is no JSON object"),
        (
            "zoo.json",
            lambda text: text.replace('"format": 1', '"format": 3'),
            "format: is 3; this version of mnfn reads 1 and 2",
        ),
        ("zoo.json", lambda text: text.replace('"format": 1', '"format": 2'), "spaces: missing"),
        ("zoo.json", lambda text: text.replace('"spec"', '"space"'), "spec: missing"),
        (
            "zoo.json",
            lambda text: text.replace('"relu"', '"softplus"'),
            "spec: is no weight space: .*softplus",
        ),
        ("zoo.json", lambda text: text.replace('"count": 10', '"count": 11'), "11 in zoo.json"),
        ("zoo.json", lambda text: text.replace("table.csv", "../table.csv"), "string should match"),
    ],
)
def test_damaged_descriptions(tmp_path, file, change, message):
    make_zoo(tmp_path / "zoo")
    path = tmp_path / "zoo" / file
    path.write_text(change(path.read_text()))
    with pytest.raises(DataError, match=message):
        open_zoo(tmp_path / "zoo")


def rewrite_table(path, text):
    """Change table.csv, and its size in zoo.json, so that only the content is at fault."""
    (path / "table.csv").write_text(text)
    document = json.loads((path / "zoo.json").read_text())
    document["files"]["table.csv"]["bytes"] = len(text)
    (path / "zoo.json").write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,split\n1,test\n1,test\n", "not unique"),
        ("id,split\n1,test\n", "1 in the table"),
        ("name,split\n1,test\n", "no column 'id'"),
        ("id,split\n1,test,3,4\n", "table.csv:row 2: 4 cells; the heading has 2"),
        ("", "no readable table"),
    ],
)
def test_damaged_tables(tmp_path, text, message):
    make_zoo(tmp_path / "zoo")
    rewrite_table(tmp_path / "zoo", text)
    with pytest.raises(DataError, match=message):
        open_zoo(tmp_path / "zoo")


def test_whole_numbers_of_any_length_are_read(tmp_path):
    rows = {"id": ["1", "2"], "split": ["test", "test"], "digest": ["9" * 40, "1"], "count": [2**62, 1]}
    save_zoo(tmp_path / "zoo", SPEC, WeightSpaceFeatures.randn(SPEC, 2), rows)
    table = open_zoo(tmp_path / "zoo").table
    assert table["digest"].to_list() == ["9" * 40, "1"] and list(map(int, table["count"])) == [2**62, 1]


def test_ids_are_text(tmp_path):
    features = WeightSpaceFeatures.randn(SPEC, 2)
    zoo = save_zoo(tmp_path / "zoo", SPEC, features, {"id": ["001", "1"], "split": ["test", "test"]})
    assert open_zoo(zoo.path).ids == ["001", "1"]


def test_not_a_zoo(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "growing.mnfn-partial").mkdir()
    mark(tmp_path / "growing.mnfn-partial", State.UNFINISHED, tmp_path / "growing")
    for name, message in {
        "empty": "no zoo.json",
        "file": "is a file",
        "nowhere": "no such zoo",
        "growing": "not complete yet",
    }.items():
        with pytest.raises(DataError, match=message):
            open_zoo(tmp_path / name)


def test_missing_labels_are_named(tmp_path):
    zoo, _ = make_zoo(tmp_path / "zoo", note=["x"] * 9 + [None])
    zoo.require_column("test_accuracy")
    with pytest.raises(DataError, match="1 networks have no note"):
        zoo.require_column("note")
    with pytest.raises(DataError, match="no column 'colour'"):
        zoo.require_column("colour")
    assert isinstance(zoo.table, pl.DataFrame)


def test_a_zoo_in_format_1_takes_its_input_size_from_its_pictures(digits_zoo, tmp_path):
    """Zoos of classifiers from older versions recorded the size of the pictures beside the specification."""
    for number, spec in enumerate(
        (digits_zoo.spec, NetworkSpec.mlp([2, 4, 1], "sin"), NetworkSpec.mlp([48, 4, 3], "tanh"))
    ):
        networks = WeightSpaceFeatures.randn(replace(spec, input_size=None), 1)
        table = {"id": ["0"], "split": ["test"]}
        size = [4, 4] if number else [16, 16]
        zoo = save_zoo(tmp_path / f"{number}", replace(spec, input_size=None), networks, table, images={"size": size})
        assert zoo.record.format == 1 and zoo.record.spec.input_size is None
        assert zoo.spec.input_size == ((16, 16), None, (3, 4, 4))[number]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (["1"] * 150 + ["1.5"], 1.5),
        (["1"] * 150 + ["x"], "x"),
        ([""] * 150 + ["3"], 3),
        (["true"] * 150 + ["7"], "7"),
        (["1"] * 150 + ["9" * 50], "9" * 50),
        (["a"] * 150 + ["3"], "3"),
    ],
)
def test_all_values_of_a_column_decide_its_type(tmp_path, column, expected):
    rows = [f"00{row},train,{value}" for row, value in enumerate(column)]
    (tmp_path / "table.csv").write_text("\n".join(["id,split,c", *rows]) + "\n")
    table = read_table(tmp_path / "table.csv")
    assert table["c"][-1] == expected and type(table["c"][-1]) is type(expected)
    assert table["id"][0] == "000"
