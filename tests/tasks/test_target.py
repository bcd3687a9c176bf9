"""Targets other than the test accuracy: any column of numbers, with and without bounds, from training to prediction."""

import json

import numpy as np
import polars as pl
import pytest
import torch

from mnfn_cli.errors import DataError, RecipeError
from mnfn_cli.models.accuracy import AccuracyPredictor
from mnfn_cli.recipe import load_recipe
from mnfn_cli.report.figures import draw_run
from mnfn_cli.tasks.application import apply_run
from mnfn_cli.tasks.condition import parse_scales
from mnfn_cli.tasks.evaluation import evaluate_runs
from mnfn_cli.tasks.finished_run import load_run
from mnfn_cli.tasks.target import Target, study_target
from mnfn_cli.tasks.training import train_run
from mnfn_cli.zoo.store import open_zoo
from mnfn_cli.zoo.writer import save_zoo

STATNN = "generalization/relu-statnn"


def recipe(*overrides, name=STATNN):
    return load_recipe(name, ["model.head=[16,16]", "training.epochs=3", *overrides])


@pytest.fixture(scope="module")
def zoo(digits_zoo, tmp_path_factory):
    """The small zoo with further columns."""
    source = open_zoo(digits_zoo.path)
    rows = np.arange(len(source))
    table = source.table.with_columns(
        norm=source.read().weights[-1].flatten(1).norm(dim=1).double().numpy() * 50 + 1000,
        word=pl.Series(["1"] * (len(rows) - 1) + ["many"]),
        hole=pl.Series([float("nan"), *rows[1:].tolist()]),
        constant=pl.Series([2.5] * len(rows)),
    )
    path = tmp_path_factory.mktemp("zoos") / "columns"
    return save_zoo(path, source.spec, source.read(), table, made={})


def trained(zoo, folder, *overrides):
    result = train_run(recipe(f"data.zoo=['{zoo.path}']", *overrides), folder, illustrate=draw_run)
    return result, load_run(folder)


def test_a_target_of_any_size_is_learned_in_its_own_units(zoo, tmp_path):
    result, run = trained(zoo, tmp_path / "run", "data.label=norm", "training.epochs=60")
    truth = zoo.table["norm"].to_numpy()
    answers = run.predict(zoo.read()).numpy()
    assert np.corrcoef(answers, truth)[0, 1] > 0.5  # StatNN reads the last layer's variance
    assert abs(answers.mean() - truth.mean()) < truth.std()
    assert result.to_json()["target"]["label"] == "norm"
    table = pl.read_csv(tmp_path / "run" / "predictions.csv")
    assert table.columns == ["network", "predicted_norm", "true_norm"]
    test = zoo.rows("test")
    np.testing.assert_allclose(table["true_norm"].to_numpy(), truth[test], rtol=1e-6)
    np.testing.assert_allclose(table["predicted_norm"].to_numpy(), answers[test], rtol=1e-6)
    applied = apply_run(tmp_path / "run", zoo.path, split="test")
    assert list(applied.columns) == ["network", "predicted_norm", "true_norm"]
    assert "known norm" in applied.summary
    assert applied.figures["l1"].value == pytest.approx(result.test["l1"].value, rel=1e-5)
    (row, *_) = evaluate_runs([run], parse_scales("10")).rows
    assert row.value == pytest.approx(result.test["tau"].value)
    assert row.others["l1"] == pytest.approx(result.test["l1"].value, rel=1e-5)
    assert (tmp_path / "run" / "predicted-vs-true.png").exists()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("relu-trees", ["model.features=[S]", "model.forest.trees=10", "model.forest.rounds=5"]),
        (
            "relu-learned-test-set",
            ["model.questions=8", "model.members=2", "training.steps=2", "training.batch_size=8"],
        ),
    ],
)
def test_functionals_on_inputs_and_trees_learn_any_target(zoo, tmp_path, name, options):
    chosen = load_recipe(f"generalization/{name}", [f"data.zoo=['{zoo.path}']", "data.label=norm", *options])
    train_run(chosen, tmp_path / "run", illustrate=draw_run)
    truth, answers = zoo.table["norm"].to_numpy(), load_run(tmp_path / "run").predict(zoo.read()).numpy()
    assert answers.min() > 900 and abs(answers.mean() - truth.mean()) < 3 * truth.std()


def test_bounds_are_mapped_to_the_unit_interval(zoo, tmp_path):
    _, run = trained(zoo, tmp_path / "run", "data.label=norm", "data.bounds=[0,5000]")
    answers = run.predict(zoo.read())
    assert (answers > 0).all() and (answers < 5000).all() and answers.mean() > 1
    units = run.model(zoo.read())
    torch.testing.assert_close(answers, units.double() * 5000)


def test_the_test_accuracy_is_recorded_as_before(zoo, tmp_path):
    result, run = trained(zoo, tmp_path / "run")
    assert run.folder.record.facts == {} and "target" not in result.to_json()
    assert "label" not in (tmp_path / "run" / "recipe.yaml").read_text()
    _, named = trained(zoo, tmp_path / "named", "data.label=test_accuracy")
    assert torch.equal(run.predict(zoo.read()), named.predict(zoo.read()))


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        (["data.label=lost"], "no column 'lost'; it has id, "),
        (["data.label=word"], "' is not a finite number; network "),
        (["data.label=split"], "' is not a finite number; network "),
        (["data.label=id"], "id is text; a column of numbers can be learned"),
        (["data.label=hole"], "'nan' is not a finite number; network "),
        (["data.label=constant"], "constant is 2.5 for every training network, so there is nothing to learn"),
        (["data.label=norm", "data.bounds=[0,1]"], " is not a finite number in [0, 1]; network "),
    ],
)
def test_columns_that_cannot_be_learned(zoo, overrides, problem):
    with pytest.raises(DataError) as caught:
        study_target(recipe(*overrides), [zoo])
    assert str(caught.value.where).startswith(str(zoo.path / "table.csv")) and problem in caught.value.problem


def test_a_model_that_answers_between_bounds_needs_them(zoo, monkeypatch):
    chosen = recipe("data.label=norm")
    monkeypatch.setattr(type(chosen.model), "unbounded", False)
    with pytest.raises(RecipeError, match=r"model statnn answers between bounds only; say those of norm"):
        study_target(chosen, [zoo])
    assert study_target(recipe("data.label=norm", "data.bounds=[0,9e3]"), [zoo]).bounds == (0, 9000)


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        (["data.bounds=[1,0]"], "data.bounds: two different numbers are needed, the lower one first"),
        (["data.bounds=[0,1,2]"], "data.bounds: two numbers are needed, not 3"),
    ],
)
def test_bounds_that_are_none(overrides, problem):
    with pytest.raises(RecipeError) as caught:
        recipe(*overrides)
    assert problem in str(caught.value)


def test_other_tasks_have_no_label():
    with pytest.raises(RecipeError, match=r"data\.label: only task generalization has it, not classification"):
        load_recipe("classification/digits-hnp", ["data.label=class"])


def test_units_and_back():
    numbers = torch.tensor([3.0, 8.0, 5.5], dtype=torch.float64)
    for target in (Target(label="x", bounds=(2.0, 10.0)), Target(label="x", bounds=None, mean=4.0, deviation=0.5)):
        torch.testing.assert_close(target.from_units(target.to_units(numbers)), numbers)
        assert Target.model_validate(json.loads(json.dumps(target.to_json()))) == target
    units = torch.rand(3)
    assert Target().from_units(units) is units


def test_without_bounds_the_answer_is_the_logit(zoo):
    bounded, free = (
        AccuracyPredictor(zoo.spec, None, 0, (4, 4), 0.0, False, statistics=["canonical"], bounded=bounded)
        for bounded in (True, False)
    )
    free.load_state_dict(bounded.state_dict())
    x = zoo.read(slice(0, 5))
    torch.testing.assert_close(bounded(x), torch.sigmoid(free(x)))
