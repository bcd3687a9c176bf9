"""The functions do what the commands do, with the same files, numbers and messages."""

import shutil
import sys
from pathlib import Path

import polars as pl
import pytest

from mnfn_cli import edit, evaluate, load_run, predict, resume, sweep, train
from mnfn_cli.cli.app import main
from mnfn_cli.errors import OutputError, RecipeError, UsageError
from mnfn_cli.recipe import load_recipe
from mnfn_cli.testing import example_zoo
from mnfn_cli.weightspace.features import WeightSpaceFeatures

SHORT = {"training.epochs": 1}


def command(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["mnfn", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return train("generalization/relu-statnn", example_zoo(), tmp_path_factory.mktemp("runs") / "run", SHORT, seed=3)


def test_train_is_mnfn_train(run, tmp_path, monkeypatch, capsys):
    recipe = ["--recipe", "generalization/relu-statnn", "--zoo", example_zoo().path, "--seed", 3]
    assert not command(monkeypatch, "train", *recipe, "-o", tmp_path / "run", "training.epochs=1")
    for name in ("model.safetensors", "recipe.yaml", "predictions.csv"):
        assert (tmp_path / "run" / name).read_bytes() == (run.path / name).read_bytes()
    assert (run.path / "training.png").exists() and (run.path / "README.md").exists()
    assert run.curves["step"].to_list() == [1] and "val_tau" in run.curves.columns


def test_a_recipe_object_and_texts_as_overrides(run, tmp_path):
    recipe = load_recipe("generalization/relu-statnn")
    again = train(recipe, example_zoo().path, tmp_path / "run", ["training.epochs=1"], seed=3)
    assert (again.path / "model.safetensors").read_bytes() == (run.path / "model.safetensors").read_bytes()


def test_events_for_tensorboard(run, tmp_path, monkeypatch):
    assert not [*run.path.glob("events.*")]
    zoo = example_zoo()
    again = train("generalization/relu-statnn", zoo, tmp_path / "run", SHORT, seed=3, tensorboard=True)
    assert len([*again.path.glob("events.*")]) == 1
    assert (again.path / "model.safetensors").read_bytes() == (run.path / "model.safetensors").read_bytes()
    found = sweep("generalization/relu-statnn", zoo, tmp_path / "sweep", SHORT, tensorboard=True)
    assert len([*found.folders[0].glob("events.*")]) == 1
    monkeypatch.setattr("mnfn_cli.training.events.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="tensorboard is not installed"):
        train("generalization/relu-statnn", zoo, tmp_path / "none", SHORT, tensorboard=True)


def test_errors_are_those_of_the_command(run, tmp_path, monkeypatch, capsys):
    with pytest.raises(RecipeError, match=r"training\.epoch: .*epochs") as raised:
        train("generalization/relu-statnn", example_zoo(), tmp_path / "run", {"training.epoch": 1})
    arguments = ["--recipe", "generalization/relu-statnn", "--zoo", example_zoo().path, "-o", tmp_path / "run"]
    assert command(monkeypatch, "train", *arguments, "training.epoch=1") == 2
    assert str(raised.value) in capsys.readouterr().err
    with pytest.raises(OutputError, match="exists"):
        train("generalization/relu-statnn", example_zoo(), run.path, SHORT)
    with pytest.raises(UsageError, match="write them with save_zoo"):
        train("generalization/relu-statnn", example_zoo().split("train"), tmp_path / "run", SHORT)
    with pytest.raises(UsageError, match="run is done"):
        resume(run.path)
    with pytest.raises(UsageError, match="use fp32 or fp64"):
        evaluate(run.path, precision="bf16")


def test_predict_is_mnfn_predict(run, tmp_path, monkeypatch, capsys):
    assert not command(
        monkeypatch, "predict", run.path, example_zoo().path, "--split", "test", "-o", tmp_path / "a.csv"
    )
    found = predict(run.path, example_zoo(), split="test")
    found.save(tmp_path / "b.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    view = predict(load_run(run.path), example_zoo().split("test"))
    assert view.table.equals(found.table) and view.to_polars().equals(found.table)
    memory = predict(run.path, example_zoo().split("test").read())
    assert memory.table["network"].to_list() == ["0", "1"]
    assert memory.answers.tolist() == found.answers.tolist() and not memory.figures
    with pytest.raises(UsageError, match="no true values"):
        memory.plot()
    with pytest.raises(UsageError, match="has no tau"):
        memory.tau  # noqa: B018


def test_plots_are_figures_that_a_notebook_shows(run, tmp_path):
    found = predict(run.path, example_zoo())
    figure = found.plot(tmp_path / "scatter.png")
    assert (tmp_path / "scatter.png").read_bytes().startswith(b"\x89PNG")
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert figure.axes[0].get_xlabel() == "true test accuracy"
    assert run.plot().axes[0].get_xlabel() == "epoch"


def test_evaluate_keeps_the_order_of_loaded_runs_and_of_folders(run, tmp_path):
    copy = Path(shutil.copytree(run.path, tmp_path / "copy"))
    found = evaluate([copy, load_run(run.path)], [10])
    assert list(dict.fromkeys(row.run for row in found.rows)) == [str(copy), str(run.path)]


def test_evaluate_is_mnfn_evaluate(run, tmp_path, monkeypatch, capsys):
    assert not command(monkeypatch, "evaluate", run.path, "--scales", "10,0.1:10", "-o", tmp_path / "a")
    found = evaluate([run.path], [10, (0.1, 10)])
    found.save(tmp_path / "b")
    for name in ("evaluation.csv", "evaluation.md", "robustness.png"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert found.figure == "tau" and [row.condition.acted for row in found.rows] == [False, True, True]
    assert isinstance(found.table, pl.DataFrame) and found.plot().axes[0].get_ylabel().startswith("Kendall's tau")


def test_edit_writes_what_mnfn_edit_writes(tmp_path, monkeypatch, capsys):
    first = Path(__file__).parents[1] / "formats" / "first"
    assert not command(monkeypatch, "edit", first / "editing", first / "inrs", "-o", tmp_path / "a")
    found = edit(first / "editing", first / "inrs", tmp_path / "b")
    assert (tmp_path / "a" / "table.csv").read_bytes() == (tmp_path / "b" / "table.csv").read_bytes()
    assert found.zoo.fingerprint.split("-")[-1] and isinstance(found.answers, WeightSpaceFeatures)
    assert len(found.plot().axes) == 1 and set(found.pictures) == {"before", "after", "target"}
    with pytest.raises(UsageError, match="weights in memory have no form on disk"):
        edit(first / "editing", found.answers, tmp_path / "c")
    with pytest.raises(UsageError, match="nothing was written"):
        edit(first / "editing", first / "inrs").zoo  # noqa: B018
