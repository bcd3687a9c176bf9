"""A zoo is a data set for PyTorch: items, batches read as blocks, workers, views of splits, tables in and out."""

import sys

import numpy as np
import polars as pl
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, Subset, random_split

from mnfn_cli.errors import DataError, UsageError
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.record import spaces_of
from mnfn_cli.zoo.store import ZooItem, collate, open_zoo
from mnfn_cli.zoo.writer import save_zoo

SPEC = NetworkSpec.mlp([2, 3, 1], activation="tanh")


@pytest.fixture
def weights():
    return WeightSpaceFeatures.randn(SPEC, 10, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def zoo(tmp_path, weights):
    table = {
        "id": [f"n{row}" for row in range(10)],
        "split": ["train", "val", "test", "train", "train"] * 2,
        "loss": [float(row) for row in range(9)] + [None],
        "depth": list(range(10)),
        "good": [row % 2 == 0 for row in range(10)],
    }
    return save_zoo(tmp_path / "zoo", SPEC, weights, table)


def equal(features, weights, rows):
    return torch.equal(features.flatten(), weights.select(list(rows)).flatten())


def test_items_are_networks_with_their_rows(zoo, weights):
    assert isinstance(zoo, Dataset) and len(zoo) == 10
    item = zoo[3]
    assert equal(item.features, weights, [3])
    assert {name: cell if isinstance(cell, str) else cell.item() for name, cell in item.row.items()} == {
        "id": "n3",
        "split": "train",
        "loss": 3.0,
        "depth": 3,
        "good": False,
    }
    assert zoo[-1].row["id"] == "n9" and torch.isnan(zoo[9].row["loss"])
    assert [item.row["id"] for item in zoo] == zoo.ids
    with pytest.raises(IndexError):
        zoo[10]


@pytest.mark.parametrize("workers", [0, 2])
def test_loaders_give_every_network_once(zoo, weights, workers):
    generator = torch.Generator().manual_seed(1)
    loader = DataLoader(zoo, 4, shuffle=True, collate_fn=collate, num_workers=workers, generator=generator)
    seen = []
    for features, row in loader:
        assert equal(features, weights, row["depth"].tolist())
        assert row["id"] == [f"n{number}" for number in row["depth"].tolist()]
        assert row["loss"].dtype == torch.float64 and row["good"].dtype == torch.bool
        seen += row["id"]
    assert sorted(seen) == sorted(zoo.ids) and seen != zoo.ids


def test_a_batch_is_read_as_one_block_and_is_what_its_items_are(zoo, monkeypatch):
    reads = []
    original = type(zoo).read
    monkeypatch.setattr(type(zoo), "read", lambda self, rows=None: reads.append(rows) or original(self, rows))
    batch = next(iter(DataLoader(zoo, 5, collate_fn=collate)))
    assert reads == [[0, 1, 2, 3, 4]]
    one_by_one = collate([zoo[row] for row in range(5)])
    assert torch.equal(batch.features.flatten(), one_by_one.features.flatten())
    for name, column in batch.row.items():
        other = one_by_one.row[name]
        assert torch.equal(column, other) if isinstance(column, torch.Tensor) else column == other


def test_splits_are_zoos(zoo, weights):
    train = zoo.split("train")
    assert train.ids == ["n0", "n3", "n4", "n5", "n8", "n9"] and train.whole is zoo
    assert equal(train.read(), weights, [0, 3, 4, 5, 8, 9])
    assert equal(train.read(slice(1, 3)), weights, [3, 4])
    assert equal(train.read([5, 0]), weights, [9, 0])
    assert train[1].row["id"] == "n3" and equal(train[1].features, weights, [3])
    some = train.select([2, 0])
    assert some.ids == ["n0", "n4"] and equal(some.read(), weights, [0, 4])
    assert len(zoo.split("test").split("train")) == 0
    with pytest.raises(UsageError, match="splits are train, val, test"):
        zoo.split("training")
    with pytest.raises(IndexError):
        train.select([6])


def test_subsets_of_torch_work_too(zoo):
    first, second = random_split(zoo, [4, 6], generator=torch.Generator().manual_seed(0))
    ids = [
        name
        for part in (first, second)
        for batch in DataLoader(part, 3, collate_fn=collate)
        for name in batch.row["id"]
    ]
    assert sorted(ids) == zoo.ids
    assert collate(Subset(zoo, [1, 2]).__getitems__([0, 1])).row["id"] == ["n1", "n2"]


def test_bad_networks_of_a_view_are_named_by_its_rows(tmp_path, weights):
    weights.weights[0][4] = float("nan")
    table = {"id": [str(row) for row in range(10)], "split": ["train"] * 3 + ["val"] * 3 + ["test"] * 4}
    zoo = save_zoo(tmp_path / "bad", SPEC, weights, table)
    assert [row for row, _ in zoo.split("val").bad_networks()] == [1]
    assert not zoo.split("test").bad_networks()


def test_views_of_several_weight_spaces(tmp_path):
    specs = [NetworkSpec.mlp([2, n, 1], activation="tanh") for n in (3, 4)]
    spaces = spaces_of([(spec, None) for spec in specs])
    features = [WeightSpaceFeatures.randn(spec, 3) for spec in specs]
    names = [spaces[row % 2].name for row in range(6)]
    table = {"id": list("abcdef"), "split": ["train"] * 4 + ["test"] * 2, "weight_space": names}
    zoo = save_zoo(tmp_path / "two", spaces, features, table)
    with pytest.raises(DataError, match="2 weight spaces"):
        zoo[0]
    first, second = zoo.split("train").parts
    assert (first.ids, second.ids) == (["a", "c"], ["b", "d"])
    assert equal(second.read(), features[1], [0, 1]) and equal(first[1].features, features[0], [1])


def test_tables_come_from_pandas_and_go_there(zoo, weights, tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = zoo.to_pandas()
    assert isinstance(frame, pandas.DataFrame) and frame["id"].tolist() == zoo.ids
    again = save_zoo(tmp_path / "again", SPEC, weights, frame)
    assert again.table.equals(zoo.table)
    rows = save_zoo(tmp_path / "rows", SPEC, weights, zoo.table.to_dicts())
    assert rows.table.equals(zoo.table)
    with pytest.raises(UsageError, match="is no polars or pandas DataFrame"):
        save_zoo(tmp_path / "no", SPEC, weights, np.zeros(3))


def test_without_pandas_one_line_says_what_to_do(zoo, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError, match="pip install pandas"):
        zoo.to_pandas()
    assert isinstance(zoo.table, pl.DataFrame)


def test_an_open_zoo_travels_to_another_process_without_its_weights(zoo, weights):
    import io
    from multiprocessing.reduction import ForkingPickler

    zoo.read().weights  # noqa: B018
    text = ForkingPickler.dumps(zoo.split("val"))
    assert len(text) < 20_000
    found = ForkingPickler.loads(io.BytesIO(text).getvalue())
    assert equal(found.read(), weights, [1, 6]) and isinstance(found[0], ZooItem)


def test_opening_reads_no_weights(zoo):
    assert "_weights" not in open_zoo(zoo.path).__dict__
