"""Evaluations of runs of every task, on one zoo or on several, and means over runs that differ only in their seed."""

import json
from math import isnan

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from mnfn_cli.errors import UsageError
from mnfn_cli.recipe import load_recipe
from mnfn_cli.report.evaluation import markdown, to_document
from mnfn_cli.report.figures import plot_robustness
from mnfn_cli.tasks.evaluation import evaluate_runs
from mnfn_cli.tasks.finished_run import load_run
from mnfn_cli.tasks.result import read_result
from mnfn_cli.tasks.seed_means import means_over_seeds
from mnfn_cli.tasks.training import train_run
from mnfn_cli.zoo.augment import augment_zoo

TINY = ["training.epochs=1", "model.head=[4,4]"]


def trained(folder, zoo, *overrides, recipe="generalization/relu-statnn"):
    resolved = load_recipe(recipe, [*TINY, *overrides, f"data.zoo=['{zoo.path}']"])
    train_run(resolved, folder)
    return load_run(folder)


@pytest.fixture(scope="module")
def runs(digits_zoo, tmp_path_factory):
    """Two seeds on the small zoo, and one on its original networks with a copy of each."""
    folder = tmp_path_factory.mktemp("many")
    both = augment_zoo(digits_zoo, folder / "relu-10", scale=(1.0, 10.0), keep_original=True).zoo
    return [
        trained(folder / "a-seed0", digits_zoo),
        trained(folder / "b-seed0", both),
        trained(folder / "a-seed1", digits_zoo, "training.seed=1"),
    ]


@pytest.mark.parametrize(("name", "figure"), [("classes_run", "accuracy"), ("dilate_run", "mse")])
def test_runs_on_pictures_are_scored_as_in_their_results(name, figure, request):
    path = request.getfixturevalue(name)
    evaluation = evaluate_runs([load_run(path)], [(1.0, 10.0)])
    assert evaluation.figure == figure and evaluation.group == "sign"
    original, moved = evaluation.rows
    assert moved.condition.label == "sign flips, permuted" and moved.others == {}
    known = read_result(path).test[figure]
    assert original.value == pytest.approx(known.value, rel=1e-5)
    assert (original.low, original.high) == pytest.approx(known.interval, rel=1e-5)
    exact = evaluate_runs([load_run(path).to(dtype=torch.float64)], [(1.0, 10.0)])
    assert original.largest_change == 0 < exact.rows[1].largest_change < 1e-5
    assert exact.rows[1].value == pytest.approx(exact.rows[0].value, rel=1e-5)
    document = to_document(evaluation)
    assert document["rows"][0][figure] == original.value and document["published"] == document["means"] == []
    words = {"accuracy": "a probability", "mse": "a pixel"}[figure]
    assert f"| {figure} | 95 % interval | largest change of {words} |" in markdown(evaluation)


def test_each_editor_is_scored_on_the_targets_of_its_own_edit(dilate_run, inr_zoo, tmp_path):
    small = ["model.base_channels=[4,4]", "training.epochs=null", "training.steps=2", f"data.zoo=['{inr_zoo.path}']"]
    train_run(load_recipe("editing/digits-dilate-np", [*small, "data.edit=contrast"]), tmp_path / "contrast")
    evaluation = evaluate_runs([load_run(dilate_run), load_run(tmp_path / "contrast")], [])
    for path in (dilate_run, tmp_path / "contrast"):
        measured = read_result(path).test["mse"].value
        assert evaluation.of_run(str(path))[0].value == pytest.approx(measured, rel=1e-5)


def test_each_run_is_scored_on_the_test_networks_of_its_own_zoo(runs, digits_zoo):
    evaluation = evaluate_runs(runs, [(1.0, 100.0)])
    count = len(digits_zoo.rows("test"))
    assert evaluation.count == 3 * count
    first, second, other = (run.folder.path for run in (runs[0], runs[2], runs[1]))
    assert [row.run for row in evaluation.rows[::2]] == [str(first), str(second), str(other)]
    assert evaluation.zoos == {
        str(first): digits_zoo.path.name,
        str(second): digits_zoo.path.name,
        str(other): "relu-10",
    }
    assert evaluation.augmented == {str(first): False, str(second): False, str(other): True}
    for path, row in zip((first, second, other), evaluation.rows[::2], strict=True):
        tau = read_result(path).test["tau"].value
        assert row.value == tau or (tau is None and isnan(row.value))
    alone = evaluate_runs([runs[1]], [(1.0, 100.0)])
    assert list(alone.rows) == evaluation.of_run(str(other))
    with pytest.raises(UsageError, match="on different zoos"):
        evaluate_runs(runs, [], zoos=[digits_zoo.path])


def test_means_are_those_of_the_rows(runs, digits_zoo):
    evaluation = evaluate_runs(runs, [(1.0, 10.0)])
    means = means_over_seeds(evaluation)
    assert [(mean.label, mean.zoos, mean.seeds) for mean in means[::2]] == [
        ("statnn", digits_zoo.path.name, 2), ("statnn", "relu-10", 1),
    ]  # fmt: skip
    values = [evaluation.of_run(str(runs[number].folder.path))[0].value for number in (0, 2)]
    assert means[0].value == pytest.approx(np.mean(values))
    assert means[0].high - means[0].value == pytest.approx(np.std(values, ddof=1))
    one = evaluation.of_run(str(runs[1].folder.path))[0]
    assert (means[2].value, means[2].low, means[2].high) == (one.value, one.low, one.high)
    document = json.loads(json.dumps(to_document(evaluation)))
    assert document["means"][0]["tau_sd"] == pytest.approx(np.std(values, ddof=1))
    assert document["means"][2]["seeds"] == 1 and document["means"][2]["tau_sd"] is None
    assert f"| statnn | {digits_zoo.path.name} | original | 2 | {np.mean(values):.3f} ± " in markdown(evaluation)


def test_other_recipes_of_one_model_are_not_averaged(runs, digits_zoo, tmp_path):
    wide = trained(tmp_path / "wide-seed3", digits_zoo, "model.head=[5,5]", "training.seed=3")
    evaluation = evaluate_runs([runs[0], wide, runs[1]], [])
    assert list(evaluation.labels.values()) == ["a", "wide", "statnn"]
    assert {mean.seeds for mean in means_over_seeds(evaluation)} == {1} and to_document(evaluation)["means"] == []


def test_runs_on_several_zoos_are_drawn_over_the_zoos(runs, digits_zoo):
    axes = Figure().add_subplot()
    evaluation = evaluate_runs(runs, [(1.0, 10.0)])
    plot_robustness(evaluation, axes)
    assert [label.get_text() for label in axes.get_xticklabels()] == [digits_zoo.path.name, "relu-10"]
    line = next(line for line in axes.lines if line.get_label() == "statnn")
    means = [mean.value for mean in means_over_seeds(evaluation) if not mean.condition.acted]
    np.testing.assert_array_equal(line.get_ydata(), means)
    assert axes.get_ylabel() == "Kendall's tau, standard deviation over seeds" and axes.get_xlabel() == "zoo"
