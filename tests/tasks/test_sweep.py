"""Sweeps: every run once, tables from result files, disagreement refused."""

import json
from math import isnan

import pytest

from mnfn_cli.errors import InterruptedRun, RecipeError, UsageError
from mnfn_cli.recipe import load_recipe
from mnfn_cli.runtime.context import Context, Interruption
from mnfn_cli.tasks import training as training_module
from mnfn_cli.tasks.sweep import markdown, plan_sweep, run_sweep, summarise

SMALL = ["training.epochs=1", "model.head=[4,4]"]
VARIANTS = [["model.channels=[3]"], ["model.channels=[3,2]"]]


def plan(zoo, *, seeds=(0, 1), overrides=SMALL, variants=VARIANTS):
    return plan_sweep(["generalization/relu-monomial"], seeds, variants=variants, overrides=overrides, zoos=[zoo.path])


def test_every_combination_once(digits_zoo):
    trials = plan(digits_zoo)
    assert [(trial.variant[0], trial.seed) for trial in trials] == [
        ("model.channels=[3]", 0), ("model.channels=[3]", 1), ("model.channels=[3,2]", 0), ("model.channels=[3,2]", 1),
    ]  # fmt: skip
    assert [trial.resolved.training.seed for trial in trials] == [0, 1, 0, 1]
    assert trials[2].resolved.model.channels == (3, 2)
    assert trials[0].folder == "generalization-relu-monomial+model.channels=-3-seed0"
    with pytest.raises(UsageError, match="twice"):
        plan(digits_zoo, seeds=(0, 0))
    with pytest.raises(RecipeError, match="did you mean 'channels'"):
        plan(digits_zoo, variants=[["model.chanels=[3]"]])


def test_a_sweep_continues_and_runs_nothing_twice(digits_zoo, tmp_path, monkeypatch):
    class StopInThirdRun(Interruption):
        def check(self, where, what_to_do):
            if where.name.endswith("3,2-seed0"):
                raise InterruptedRun(where, what_to_do)

    trials = plan(digits_zoo)
    with pytest.raises(InterruptedRun):
        run_sweep(trials, tmp_path, context=Context(interruption=StopInThirdRun()))
    assert len(json.loads((tmp_path / "results.json").read_text())) == 2
    trained, resumed = [], []
    real_train, real_resume = training_module.train_run, training_module.resume_run
    monkeypatch.setattr(
        training_module, "train_run", lambda r, path, **k: trained.append(path.name) or real_train(r, path, **k)
    )
    monkeypatch.setattr(
        training_module, "resume_run", lambda path, **k: resumed.append(path.name) or real_resume(path, **k)
    )
    rows = run_sweep(trials, tmp_path, context=Context(command="as it was typed"))
    kept = json.loads((tmp_path / "results.json").read_text())
    assert [result["command"] for result in kept] == ["Python"] * 3 + ["as it was typed"]
    assert (resumed, trained) == ([trials[2].folder], [trials[3].folder])
    assert [row["variant"] for row in rows] == ["model.channels=[3]", "model.channels=[3,2]"]
    results = [json.loads((tmp_path / trial.folder / "result.json").read_text()) for trial in trials]
    for name in ("test", "intervals", "unlike"):
        assert [run.get(name) for run in kept] == [result.get(name) for result in results]
    errors = [result["test"]["l1"]["value"] for result in results]
    assert rows[0]["l1"] == pytest.approx((errors[0] + errors[1]) / 2)
    assert markdown(run_sweep(trials, tmp_path)) == (tmp_path / "results.md").read_text() and len(trained) == 1


def test_runs_of_another_recipe_are_all_named_and_none_is_trained(digits_zoo, tmp_path):
    run_sweep(plan(digits_zoo), tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    other = plan(digits_zoo, overrides=["training.epochs=1", "model.head=[4,4]", "optimizer.lr=5e-3"], seeds=(0, 1, 2))
    with pytest.raises(UsageError, match="another recipe") as caught:
        run_sweep(other, tmp_path)
    assert len(caught.value.faults) == 4
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}


def test_a_zoo_that_fits_one_recipe_only_is_told_before_any_is_trained(digits_zoo, tmp_path):
    recipes = ["generalization/relu-statnn", "generalization/tanh-statnn", "generalization/tanh-np"]
    with pytest.raises(RecipeError, match="this recipe is for tanh networks") as caught:
        run_sweep(plan_sweep(recipes, [0], zoos=[digits_zoo.path]), tmp_path / "sweep")
    assert len(caught.value.faults) == 1 and not (tmp_path / "sweep").exists()


def test_undefined_figures_stay_undefined():
    def result(seed, tau):
        return {
            "recipe": "r", "variant": [], "seed": seed, "parameters": 7, "seconds": {"in_all": 2.0},
            "test": {"tau": {"value": tau}},
        }  # fmt: skip

    (row,) = summarise([result(0, 0.5), result(1, None)])
    assert isnan(row["tau"]) and "undefined" in markdown([row])
    (alone,) = summarise([result(0, 0.5)])
    assert isnan(alone["tau_sd"]) and "| 0.5000 |" in markdown([alone])


def test_the_recipe_of_a_run_is_the_trials(digits_zoo, tmp_path):
    trials = plan(digits_zoo, seeds=(4,), variants=[()])
    run_sweep(trials, tmp_path)
    assert load_recipe(str(tmp_path / trials[0].folder / "recipe.yaml")) == trials[0].resolved


def test_a_sweep_over_two_tasks_keeps_the_figures_of_both(inr_zoo, tmp_path):
    small = ["model.base_channels=[4,4]", "training.epochs=null", "training.steps=2"]
    names = ["classification/digits-hnp", "editing/digits-dilate-np"]
    with pytest.raises(RecipeError):  # editors have no head, so the options of one do not fit the other
        plan_sweep(names, [0], overrides=[*small, "model.head=[4,4]"], zoos=[inr_zoo.path])
    rows = run_sweep(plan_sweep(names, [0], overrides=small, zoos=[inr_zoo.path]), tmp_path / "sweep")
    assert "accuracy" in rows[0] and "mse" not in rows[0] and "mse" in rows[1]
    heading, _, first, second = (tmp_path / "sweep" / "results.md").read_text().splitlines()
    columns = [cell.strip() for cell in heading.split("|")]
    for line, figure, other in ((first, "accuracy", "mse"), (second, "mse", "accuracy")):
        cells = dict(zip(columns, (cell.strip() for cell in line.split("|")), strict=True))
        assert float(cells[figure]) >= 0 and cells[other] == "-"


def test_an_old_sweep_with_relative_zoos_goes_on(digits_zoo, tmp_path, monkeypatch):
    """Runs once kept the paths of their zoos as they were given."""
    monkeypatch.chdir(digits_zoo.path.parent)
    trials = plan_sweep(["generalization/relu-monomial"], [0], overrides=SMALL, zoos=[digits_zoo.path.name])
    run_sweep(trials, tmp_path / "sweep")
    recipe = tmp_path / "sweep" / trials[0].folder / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace(str(digits_zoo.path), digits_zoo.path.name))
    assert run_sweep(trials, tmp_path / "sweep")[0]["seeds"] == 1


def test_recipes_with_zoos_of_their_own(digits_zoo, tanh_zoo, tmp_path):
    recipes = [
        f"generalization/relu-statnn;data.zoo=['{digits_zoo.path}'];optimizer.warmup_steps=3",
        f"generalization/tanh-statnn;data.zoo=['{tanh_zoo.path}']",
    ]
    trials = plan_sweep(recipes, [0], variants=[["optimizer.lr=2e-3"]], overrides=SMALL)
    assert [trial.recipe for trial in trials] == ["generalization/relu-statnn", "generalization/tanh-statnn"]
    assert [trial.resolved.data.zoo for trial in trials] == [(str(zoo.path),) for zoo in (digits_zoo, tanh_zoo)]
    assert [trial.resolved.optimizer.warmup_steps for trial in trials] == [3, 0]
    assert trials[1].variant[1:] == ("optimizer.lr=2e-3",) and trials[1].resolved.optimizer.lr == 2e-3
    rows = run_sweep(trials, tmp_path / "sweep")
    assert [row["seeds"] for row in rows] == [1, 1] and rows[0]["variant"].endswith("warmup_steps=3 optimizer.lr=2e-3")
    with pytest.raises(UsageError, match="--zoo: goes to all recipes, and an override names other zoos"):
        plan_sweep(recipes, [0], zoos=[digits_zoo.path])
    with pytest.raises(RecipeError, match=r"override optimizer\.lt: unknown key"):
        plan_sweep(["generalization/relu-statnn;optimizer.lt=1"], [0])


def test_one_recipe_on_several_zoos(digits_zoo, tanh_zoo):
    variants = [[f"data.zoo=['{zoo.path}']"] for zoo in (digits_zoo, tanh_zoo)]
    trials = plan_sweep(["generalization/relu-statnn"], [0], variants=variants)
    assert len({trial.folder for trial in trials}) == 2
    with pytest.raises(RecipeError, match="this recipe is for relu networks"):
        run_sweep(trials, digits_zoo.path.parent / "never")
