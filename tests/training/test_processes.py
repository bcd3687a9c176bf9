"""Trained by several processes, every kind of functional ends with the numbers that one process gives, to rounding."""

import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import torch
from many_processes import Job

from mnfn_cli.recipe import load_recipe
from mnfn_cli.runtime.place import Place
from mnfn_cli.runtime.processes import Processes
from mnfn_cli.storage.tensors import read_tensors
from mnfn_cli.tasks.batch_share import share_of_batch
from mnfn_cli.tasks.training import train_run
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.mixed import MixedFeatures
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.record import spaces_of
from mnfn_cli.zoo.store import open_zoo
from mnfn_cli.zoo.writer import save_zoo

FIRST = Path(__file__).parents[1] / "formats" / "first"
WORKER = Path(__file__).with_name("many_processes.py")
STEPS = ["training.epochs=null", "training.steps=4", "training.batch_size=5", "training.precision=fp64"]
SMALL = ["model.channels=[3,2]", "model.head=[6,6]"]
AUGMENTED = ["model.dropout=0.3", "augment.scale=[1,100]"]
ASKED = ["model.members=2", "model.questions=6", "model.asked=3"]
CASES = {
    "monomial": ("generalization/relu-monomial", "classifiers", [*SMALL, *AUGMENTED]),
    "np": ("generalization/relu-np", "classifiers", [*SMALL, "model.dropout=0.3"]),
    "statnn": ("generalization/relu-statnn", "classifiers", ["model.head=[6,6]", "model.dropout=0.3"]),
    "gnn": ("generalization/relu-gnn", "classifiers", ["model.size=4", "model.rounds=1", "model.head=[6,5]"]),
    "ensemble": ("generalization/relu-canonical-statistics", "classifiers", ["model.members=3", "model.head=[6,5]"]),
    "learned test set": ("generalization/relu-learned-test-set", "classifiers", ASKED),
    "hybrid": ("generalization/relu-hybrid", "classifiers", [*ASKED, "model.features=[Y,P]"]),
    "trees": ("generalization/relu-trees", "classifiers", ["model.features=[P]"]),
    "two weight spaces": ("generalization/mixed-monomial", "two", ["model.dropout=0.3", "augment.scale=[1,100]"]),
    "classifier": ("classification/digits-monomial", "inrs", ["model.base_channels=[4]", "model.head=[6,5]"]),
    "dropped channels": (
        "classification/digits-np",
        "inrs",
        ["model.base_channels=[4,4]", "model.head=[6,5]", "model.channel_dropout=0.4"],
    ),
    "graded": ("classification/digits-graded", "inrs", ["model.size=4", "model.rounds=1", "model.head=[6,5]"]),
    "probe": ("classification/digits-probe", "inrs", ["model.points=4", "model.hidden=[6]", "model.distortion=0.1"]),
    "editor": ("editing/digits-dilate-monomial-strict", "inrs", ["model.base_channels=[4,4]"]),
}


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    """Return the recipe and the overrides of every case by its name."""
    zoo = open_zoo(FIRST / "classifiers")
    spaces = spaces_of([(zoo.spec, None), (replace(zoo.spec, activation="tanh"), None)])
    tables = [zoo.table.with_columns(id=space.name + pl.col("id"), weight_space=pl.lit(space.name)) for space in spaces]
    two = tmp_path_factory.mktemp("zoos") / "two"
    save_zoo(two, spaces, [zoo.read(), zoo.read()], pl.concat(tables))
    places = {"two": two, "classifiers": FIRST / "classifiers", "inrs": FIRST / "inrs"}
    steps = {"trees": ["training.precision=fp64"]}
    return {
        name: (recipe, [*steps.get(name, STEPS), *overrides, f"data.zoo=['{places[zoo]}']"])
        for name, (recipe, zoo, overrides) in CASES.items()
    }


@pytest.fixture(scope="module")
def alone(plan, tmp_path_factory):
    """Return the folder with the runs of one process."""
    folder = tmp_path_factory.mktemp("alone")
    for name, (recipe, overrides) in plan.items():
        train_run(load_recipe(recipe, overrides), folder / name)
    return folder


def train_with(count, plan, folder):
    (folder / "plan.json").write_text(json.dumps([(str(folder / name), *rest) for name, rest in plan.items()]))
    with Job(count, [WORKER, folder / "plan.json"]) as job:
        codes, _, stderr = job.wait()
    assert codes == [0] * count, stderr
    return folder


@pytest.fixture(scope="module", params=[2, pytest.param(4, marks=pytest.mark.crash)])
def together(request, plan, tmp_path_factory):
    """Return the folder with the runs of several processes."""
    return train_with(request.param, plan, tmp_path_factory.mktemp("together"))


@pytest.mark.parametrize("name", CASES)
def test_as_one_process(alone, together, name):
    runs = [folder / name for folder in (alone, together)]
    one, many = (read_tensors(run / "model.safetensors", floats_only=False)[0] for run in runs)
    assert one.keys() == many.keys()
    for key, tensor in one.items():
        assert torch.allclose(tensor, many[key], rtol=1e-12, atol=1e-12, equal_nan=True), key
    lines = [list(map(json.loads, (run / "metrics.jsonl").read_text().splitlines())) for run in runs]
    for expected, found in zip(*lines, strict=True):
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            assert found[key] == (value if value is None else pytest.approx(value, rel=1e-10, abs=1e-12)), key
    results = [json.loads((run / "result.json").read_text()) for run in runs]
    assert results[1]["environment"].pop("processes") in ("2", "4")
    assert results[0]["environment"] | {"threads": "1"} == results[1]["environment"]
    assert results[1]["bit_for_bit"] is True


def test_the_comparison_can_fail(alone, plan, tmp_path):
    recipe, overrides = plan["monomial"]
    train_run(load_recipe(recipe, [*overrides, "training.seed=1"]), tmp_path / "run")
    one, other = (read_tensors(run / "model.safetensors")[0] for run in (alone / "monomial", tmp_path / "run"))
    assert any(float((one[key] - other[key]).abs().max()) > 1e-3 for key in one)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 12])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_shares_make_up_the_batch(size, count):
    train = WeightSpaceFeatures.zeros(NetworkSpec.mlp([2, 3, 1], activation="relu"), 20)
    batch = torch.randperm(20)[:size]
    shares = [share_of_batch(train, batch, Processes(Place(rank, count))) for rank in range(count)]
    assert sum(share.weight for share in shares) == pytest.approx(1)
    if size >= count:
        assert torch.equal(torch.cat([batch[share.positions] for share in shares]), batch)
    else:
        assert all(torch.equal(batch[share.positions], batch) for share in shares)


@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize("period", [1, 2, 3, 5, 8, 13])
def test_alike_items_are_computed_by_one_process_and_all_have_as_much_to_do(count, period):
    owners = [Processes(Place(0, count)).owner(number, period) for number in range(period * 6)]
    shares = [owners.count(rank) for rank in range(count)]
    assert max(shares) - min(shares) <= 1 and sum(shares) == len(owners)
    turns = [owners[start : start + period] for start in range(0, len(owners), period)]
    same = period // count * count
    assert all(turn[:same] == turns[0][:same] for turn in turns)


def test_a_batch_that_cannot_be_divided_is_computed_by_all():
    train = WeightSpaceFeatures.zeros(NetworkSpec.mlp([2, 3, 1], activation="relu"), 20)
    batch = torch.arange(6)
    shares = [share_of_batch(train, batch, Processes(Place(rank, 3)), divisible=False) for rank in range(3)]
    assert all(torch.equal(batch[share.positions], batch) and share.rows is None for share in shares)
    assert sum(share.weight for share in shares) == pytest.approx(1)


def test_a_weight_space_of_few_networks_is_not_divided():
    specs = [NetworkSpec.mlp([2, width, 1], activation="relu") for width in (3, 4)]
    spaces = torch.tensor([0, 0, 0, 0, 1])
    parts = [WeightSpaceFeatures.zeros(spec, int((spaces == n).sum())) for n, spec in enumerate(specs)]
    train, places = MixedFeatures(parts, spaces), [Processes(Place(rank, 2)) for rank in range(2)]
    few = [share_of_batch(train, torch.arange(5), place) for place in places]
    assert all(share.rows is None and share.weight == 0.5 for share in few)
    enough = [share_of_batch(train, torch.arange(4), place) for place in places]
    assert [share.positions.tolist() for share in enough] == [[0, 1], [2, 3]]
