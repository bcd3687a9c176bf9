"""The protocol by which an imported zoo was split is named in every result that is made from it."""

import json

import pytest

from mnfn_cli.recipe import load_recipe
from mnfn_cli.report.evaluation import write_evaluation
from mnfn_cli.tasks.evaluation import evaluate_runs
from mnfn_cli.tasks.finished_run import load_run
from mnfn_cli.tasks.sweep import plan_sweep, run_sweep
from mnfn_cli.tasks.training import train_run
from mnfn_cli.zoo.augment import augment_zoo
from mnfn_cli.zoo.writer import save_zoo

SPLIT = "monomial: config.activation=relu, then split; step 86, in the order of cifar10_split.csv without its stray row"


@pytest.fixture(scope="module")
def imported(digits_zoo, tmp_path_factory):
    path = tmp_path_factory.mktemp("zoos") / "imported"
    return save_zoo(path, digits_zoo.spec, digits_zoo.read(), digits_zoo.table, made={"split_protocol": SPLIT})


def recipe(*zoos):
    paths = [str(zoo.path) for zoo in zoos]
    small = ["training.epochs=1", "model.channels=[2]", "model.head=[4,4]", f"data.zoo={json.dumps(paths)}"]
    return load_recipe("generalization/relu-monomial", small)


def test_a_run_and_its_evaluation_name_it(imported, tmp_path):
    result = train_run(recipe(imported), tmp_path / "run")
    assert result.data.split_protocol == SPLIT
    assert json.loads((tmp_path / "run" / "result.json").read_text())["data"]["split_protocol"] == SPLIT
    evaluation = evaluate_runs([load_run(tmp_path / "run")], [(1.0, 10.0)])
    write_evaluation(evaluation, tmp_path / "out", command="")
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text())["split_protocol"] == SPLIT
    assert f"(split: {SPLIT})" in (tmp_path / "out" / "evaluation.md").read_text().splitlines()[0]


def test_copies_keep_it(imported, tmp_path):
    once = augment_zoo(imported, tmp_path / "once", verify=False).zoo
    copies = augment_zoo(once, tmp_path / "twice", verify=False).zoo
    assert copies.record.split_protocol == SPLIT
    assert train_run(recipe(copies), tmp_path / "run").data.split_protocol == SPLIT


def test_zoos_with_and_without_one(digits_zoo, imported, tmp_path):
    assert digits_zoo.record.split_protocol is None
    both = f"one activation, split by network with all its copies | {SPLIT}"
    assert train_run(recipe(digits_zoo, imported), tmp_path / "run").data.split_protocol == both


def test_a_sweep_names_it(imported, tmp_path):
    small = ["training.epochs=1", "model.channels=[2]", "model.head=[4,4]"]
    run_sweep(plan_sweep(["generalization/relu-monomial"], [0], overrides=small, zoos=[imported.path]), tmp_path)
    assert [entry["split_protocol"] for entry in json.loads((tmp_path / "results.json").read_text())] == [SPLIT]
