"""Intervals hold what they promise, on numbers drawn here and on networks; what calibrates them chose nothing."""

import json
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mnfn_cli.errors import DataError, RecipeError, UsageError
from mnfn_cli.recipe import load_recipe
from mnfn_cli.storage.tensors import save_tensors
from mnfn_cli.tasks.application import apply_run
from mnfn_cli.tasks.calibration import CALIBRATION_FILE, Calibration
from mnfn_cli.tasks.data import Split
from mnfn_cli.tasks.division import divide, families_of
from mnfn_cli.tasks.evaluation import evaluate_runs
from mnfn_cli.tasks.finished_run import load_run
from mnfn_cli.tasks.intervals import LEVEL, Intervals, fewest, rank
from mnfn_cli.tasks.training import train_run
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.zoo.augment import augment_zoo
from mnfn_cli.zoo.writer import save_zoo


def draw(random, count):
    """Predictions whose errors grow with the prediction, and are skewed."""
    predicted = random.random(count)
    return predicted, predicted + predicted * (random.exponential(0.2, count) - 0.1)


@pytest.mark.parametrize("count", [9, 10, 25, 99])
def test_the_promise(count):
    """On average over draws, coverage is at least the level, and at most 1 / (n + 1) above it."""
    random = np.random.default_rng(count)
    covered = []
    for _ in range(1500):
        intervals = Intervals.fit(draw(random, 30), draw(random, count), None)
        covered.append(intervals.coverage(*draw(random, 20)))
    tolerance = 4 * np.std(covered) / np.sqrt(len(covered))
    assert LEVEL - tolerance <= np.mean(covered) <= LEVEL + 1 / (count + 1) + tolerance


def test_networks_that_chose_the_model_promise_nothing():
    """The negative of the test above: a spread fitted to the very errors that calibrate it is too small."""
    random = np.random.default_rng(0)
    covered = []
    for _ in range(300):
        same = random.random(30), random.random(30)
        polynomial = np.polynomial.Polynomial.fit(*same, 12)  # a functional that has learned these networks by heart
        fitted = polynomial(same[0]), same[1]
        new = random.random(20)
        covered.append(Intervals.fit(fitted, fitted, (0, 1)).coverage(polynomial(new), random.random(20)))
    assert np.mean(covered) < LEVEL - 0.1


@given(st.integers(9, 60), st.integers(1, 40), st.booleans())
def test_the_bound_is_the_score_of_that_rank(count, selecting, bounded):
    random = np.random.default_rng(count * 100 + selecting)
    selection, calibration = draw(random, selecting), draw(random, count)
    intervals = Intervals.fit(selection, calibration, (0.0, 1.0) if bounded else None)
    predicted, true = calibration
    scores = abs(true - predicted) / np.interp(predicted, intervals.knots, intervals.spreads)
    assert sum(score <= intervals.factor for score in scores) == rank(count)
    low, high = intervals.around(predicted)
    assert (low <= high).all() and all(b >= a for a, b in pairwise(intervals.knots)) and (intervals.spreads > 0).all()
    assert not bounded or (low.min() >= 0 and high.max() <= 1)
    again = Intervals.from_tensors(intervals.to_tensors())
    assert np.array_equal(again.around(predicted), intervals.around(predicted))


def test_too_few_give_none():
    assert (fewest(), fewest(0.5), fewest(0.95)) == (9, 1, 19)
    with pytest.raises(ValueError, match="8 calibration networks; at least 9"):
        Intervals.fit(draw(np.random.default_rng(0), 20), draw(np.random.default_rng(0), 8), None)


def split_of(spec, count):
    names = [str(number) for number in range(count)]
    features = WeightSpaceFeatures.randn(spec, count)
    return Split(names, [(0, name) for name in names], features, torch.arange(count, dtype=torch.float64) / count)


@given(st.integers(18, 60), st.integers(1, 3), st.integers(0, 5))
def test_families_are_not_divided(digits_zoo, count, copies, seed):
    spec = digits_zoo.spec
    families = [number for number in range(count) for _ in range(copies)]
    division = divide(split_of(spec, count * copies), families, 0.5, seed)
    again = divide(split_of(spec, count * copies), families, 0.5, seed)
    assert division.selection.ids == again.selection.ids and division.calibration.ids == again.calibration.ids
    selecting = {families[int(name)] for name in division.selection.ids}
    calibrating = [families[int(name)] for name in division.calibration.ids]
    assert len(set(calibrating)) == len(calibrating) == round(count / 2) and not selecting & set(calibrating)
    assert len(division.selection.ids) == copies * (count - len(calibrating))
    for part in (division.selection, division.calibration):
        assert part.targets.tolist() == [int(name) / (count * copies) for name in part.ids]


def test_few_networks_all_choose_the_model(digits_zoo):
    division = divide(split_of(digits_zoo.spec, 16), list(range(16)), 0.5, 0)
    assert division.calibration is None and len(division.selection.ids) == 16
    assert division.remarks[0].startswith("8 of 16 validation networks would calibrate intervals of 90%; at least 9")
    assert divide(split_of(digits_zoo.spec, 16), list(range(16)), 0, 0).remarks == ()


def test_families_of_copies_within_a_zoo_and_between_zoos(digits_zoo, tmp_path):
    rows = len(digits_zoo.rows("val"))
    alone = augment_zoo(digits_zoo, tmp_path / "alone", copies=2).zoo
    both = augment_zoo(digits_zoo, tmp_path / "both", keep_original=True).zoo
    for zoos, times in (([digits_zoo], 1), ([alone], 2), ([both], 2), ([digits_zoo, alone], 3)):
        families = families_of(zoos, "val", frozenset())
        assert len(families) == times * rows and len(set(families)) == rows
    skipped = frozenset({(str(digits_zoo.path), digits_zoo.ids[digits_zoo.rows("val")[0]])})
    assert len(families_of([digits_zoo], "val", skipped)) == rows - 1


@pytest.fixture(scope="module")
def wide(digits_zoo, tmp_path_factory):
    """The small zoo with half of its networks for validation."""
    splits = ["val" if row % 2 else "train" if row % 4 else "test" for row in range(len(digits_zoo))]
    table = digits_zoo.table.with_columns(split=pl.Series(splits))
    return save_zoo(tmp_path_factory.mktemp("zoos") / "wide", digits_zoo.spec, digits_zoo.read(), table)


@pytest.fixture(scope="module")
def run(wide, tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "wide"
    small = ["model.head=[8,8]", "training.epochs=2", "training.batch_size=4", f"data.zoo=['{wide.path}']"]
    train_run(load_recipe("generalization/relu-statnn", small), path)
    return path


def test_a_run_gives_intervals_everywhere(run, wide):
    loaded, applied = load_run(run), apply_run(run, wide.path, split="test")
    predicted = loaded.predict(wide.read(wide.rows("test")))
    low, high = loaded.intervals(predicted)
    assert torch.equal(torch.tensor(applied.columns["low"]), low) and (low <= predicted).all() and (high <= 1).all()
    table = pl.read_csv(run / "predictions.csv")
    assert table.columns == ["network", "predicted_accuracy", "low", "high", "true_accuracy"]
    np.testing.assert_allclose(table["high"].to_numpy(), high.numpy())
    assert applied.to_csv().startswith("network,predicted_accuracy,low,high,true_accuracy,unlike,unlike_score\n")
    assert applied.shown == ["network", "predicted_accuracy", "low", "high", "true_accuracy", "unlike", "unlike_score"]
    figures = json.loads((run / "result.json").read_text())["intervals"]
    inside = (table["low"] <= table["true_accuracy"]) & (table["true_accuracy"] <= table["high"])
    assert figures["coverage"] == inside.mean() == applied.facts["coverage"]
    assert (figures["calibration"], figures["test"], figures["level"]) == (10, 10, 0.9)
    assert figures["two_standard_errors"] == pytest.approx(2 * np.sqrt(0.09 * (1 / 10 + 1 / 10)))
    rows = evaluate_runs([loaded], [(1.0, 1.0)]).rows
    assert rows[0].others["coverage"] == figures["coverage"] and rows[0].reads == "weights alone"


def test_intervals_are_in_the_units_of_the_target(wide, tmp_path):
    """A column without bounds, of numbers around 500: nothing is clipped, and coverage is the same everywhere."""
    table = wide.table.with_columns(error=500 + 100 * pl.col("test_accuracy"))
    zoo = save_zoo(tmp_path / "zoo", wide.spec, wide.read(), table)
    small = ["model.head=[8,8]", "training.epochs=2", "training.batch_size=4", f"data.zoo=['{zoo.path}']"]
    result = train_run(load_recipe("generalization/relu-statnn", [*small, "data.label=error"]), tmp_path / "run")
    table = pl.read_csv(tmp_path / "run" / "predictions.csv")
    assert table["low"].min() > 1 and (table["low"] < table["high"]).all()
    inside = (table["low"] <= table["true_error"]) & (table["true_error"] <= table["high"])
    assert inside.mean() == result.intervals.coverage
    run = load_run(tmp_path / "run")
    assert evaluate_runs([run], [(1.0, 1.0)]).rows[0].others["coverage"] == result.intervals.coverage
    assert run.calibration.intervals.bounds is None and result.intervals.median_width > 1


def test_calibration_networks_choose_nothing(run, wide):
    """The validation figures are those of the other half."""
    loaded = load_run(run)
    rows = wide.rows("val")
    names = [wide.ids[row] for row in rows]
    split = Split(names, [(0, name) for name in names], wide.read(rows), loaded.task.targets(wide, rows))
    division = divide(split, list(range(len(rows))), 0.5, 0)
    best = json.loads((run / "result.json").read_text())["validation"]["tau"]
    assert loaded.task.validate(loaded.model, division.selection)["val_tau"] == pytest.approx(best)
    assert loaded.task.validate(loaded.model, split)["val_tau"] != pytest.approx(best)


def test_runs_without_intervals(relu_run, wide, tmp_path):
    assert load_run(relu_run).calibration == Calibration() and not (relu_run / CALIBRATION_FILE).exists()
    assert any(
        "2 of 4 validation networks" in line for line in json.loads((relu_run / "result.json").read_text())["remarks"]
    )
    applied = apply_run(relu_run, wide.path)
    assert "low" not in applied.columns and any("the run has no intervals" in line for line in applied.remarks)
    with pytest.raises(UsageError, match="has no intervals"):
        load_run(relu_run).intervals(applied.answers)
    small = ["model.head=[4,4]", "training.epochs=1", "training.calibration=0", f"data.zoo=['{wide.path}']"]
    result = train_run(load_recipe("generalization/relu-statnn", [*small, "training.batch_size=4"]), tmp_path / "run")
    assert result.intervals is None
    assert not any("intervals" in line for line in apply_run(tmp_path / "run", wide.path).remarks)


def test_a_damaged_calibration_is_named(run, tmp_path):
    save_tensors(tmp_path / CALIBRATION_FILE, {"intervals.knots": torch.zeros(3)})
    with pytest.raises(DataError, match=r"calibration\.safetensors: is no calibration of a run: 'spreads'"):
        Calibration.read(tmp_path, [])


def test_the_share_is_of_tasks_with_intervals():
    assert load_recipe("generalization/relu-monomial").training.calibration == 0.5
    assert load_recipe("classification/digits-monomial").training.calibration is None
    with pytest.raises(RecipeError, match="only task generalization has intervals, not classification; leave it out"):
        load_recipe("classification/digits-monomial", ["training.calibration=0.5"])
    with pytest.raises(RecipeError, match=r"training\.calibration"):
        load_recipe("generalization/relu-monomial", ["training.calibration=1"])
