"""Functionals of the user's own: declared in a plugin, trained, saved, read back and applied like the shipped ones."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from mnfn_cli import open_zoo
from mnfn_cli.errors import DataError, NumericError, RecipeError, UsageError
from mnfn_cli.recipe import MODELS, load_recipe
from mnfn_cli.runtime import plugins
from mnfn_cli.tasks.application import apply_run
from mnfn_cli.tasks.evaluation import evaluate_runs
from mnfn_cli.tasks.finished_run import load_run
from mnfn_cli.tasks.training import train_run

DOCS = Path(__file__).parents[2] / "docs"
LINEAR = """
from typing import Literal
import torch
from mnfn_cli.recipe import Model, declare_model

class Linear(torch.nn.Module):
    def __init__(self, spec, bias):
        super().__init__()
        self.linear = torch.nn.Linear(spec.num_parameters, 1, bias)
    def forward(self, features):
        return torch.sigmoid(self.linear(features.flatten())).squeeze(1)

class Options(Model):
    built_by = Linear
    name: Literal["my-linear"]
    bias: bool = True

declare_model("generalization", Options)
"""


@pytest.fixture
def fresh(monkeypatch):
    """No plugin is loaded, and what one declares is forgotten afterwards."""
    monkeypatch.setattr(plugins, "_loaded", {})
    monkeypatch.setitem(MODELS, "generalization", dict(MODELS["generalization"]))


def ridge(zoo, *overrides):
    return load_recipe(str(DOCS / "examples" / "ridge.yaml"), [f"data.zoo=['{zoo.path}']", *overrides])


def test_the_page_shows_the_files_that_are_tested():
    page = (DOCS / "extending.md").read_text()
    for name in ("ridge.py", "ridge.yaml"):
        assert (DOCS / "examples" / name).read_text() in page
    assert len((DOCS / "examples" / "ridge.py").read_text().splitlines()) <= 45


def test_a_closed_form_functional_is_a_run_like_any_other(fresh, digits_zoo, tmp_path):
    plugins.load_plugin(str(DOCS / "examples" / "ridge.py"))
    result = train_run(ridge(digits_zoo), tmp_path / "run")
    assert (result.model, result.steps) == ("ridge", 0) and result.parameters > 0
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["plugins"][0]["name"].endswith("ridge.py") and len(record["plugins"][0]["sha256"]) == 64
    run = load_run(tmp_path / "run")
    test = digits_zoo.rows("test")
    applied = apply_run(tmp_path / "run", digits_zoo.path, split="test")
    assert torch.equal(applied.answers, run.predict(digits_zoo.read(test)))
    # The same numbers as a solve written out: features of the training networks, and a penalty on the weights.
    x = run.model.statistics(digits_zoo.read(digits_zoo.rows("train")).to(dtype=torch.float64))
    z = torch.cat([(x - x.mean(dim=0)) / x.std(dim=0).clamp_min(1e-6), torch.ones(len(x), 1)], dim=1)
    targets = torch.tensor(digits_zoo.table["test_accuracy"].to_numpy()[digits_zoo.rows("train")])
    weights = torch.linalg.inv(z.T @ z + torch.eye(z.shape[1])) @ z.T @ targets.float().double()
    torch.testing.assert_close(run.model.weights, weights, rtol=1e-6, atol=1e-8)
    evaluation = evaluate_runs([run], [(1.0, 100.0)])
    assert evaluation.rows[0].value == result.test["tau"].value
    assert evaluation.rows[1].largest_change > 1e-3  # statistics of the weights see scales


def test_a_fit_that_is_not_finite_is_told(fresh, digits_zoo, tmp_path):
    plugins.load_plugin(str(DOCS / "examples" / "ridge.py"))
    with pytest.raises(NumericError, match="weights is not finite after the fit"):
        train_run(ridge(digits_zoo, "model.penalty=.nan"), tmp_path / "run")


def test_a_module_is_trained_by_the_loop_and_swept(fresh, digits_zoo, tmp_path, monkeypatch):
    from mnfn_cli.tasks.sweep import plan_sweep, run_sweep

    (tmp_path / "my_models.py").write_text(LINEAR)
    monkeypatch.syspath_prepend(tmp_path)
    plugins.load_plugin("my_models")
    (tmp_path / "linear.yaml").write_text(
        "version: 1\ntask: generalization\nmodel: {name: my-linear}\n"
        "optimizer: {name: adam, lr: 1e-3}\ntraining: {epochs: 1, batch_size: 4}\n"
    )
    trials = plan_sweep([str(tmp_path / "linear.yaml")], [0, 1], zoos=[digits_zoo.path])
    (row,) = run_sweep(trials, tmp_path / "sweep")
    assert row["seeds"] == 2 and row["parameters"] == digits_zoo.spec.num_parameters + 1
    with pytest.raises(RecipeError, match="did you mean 'bias'"):
        load_recipe(str(tmp_path / "linear.yaml"), ["model.bais=true"])


def test_without_the_plugin_a_run_is_refused_and_a_changed_one_is_said(fresh, digits_zoo, tmp_path, monkeypatch):
    file = tmp_path / "mine.py"
    shutil.copy(DOCS / "examples" / "ridge.py", file)
    plugins.load_plugin(str(file))
    train_run(ridge(digits_zoo), tmp_path / "run")
    monkeypatch.setattr(plugins, "_loaded", {})
    del MODELS["generalization"]["ridge"]
    with pytest.raises(UsageError, match=r"--plugin .*mine\.py"):
        load_run(tmp_path / "run")
    file.write_text(file.read_text() + "\n# changed\n")
    plugins.load_plugin(str(file))
    assert "changed since the run" in load_run(tmp_path / "run").remarks[0]
    (tmp_path / "run" / "model.safetensors").write_bytes(b"")
    with pytest.raises(DataError):
        load_run(tmp_path / "run")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (None, "no Python file and no importable module"),
        ("1 / 0", "ZeroDivisionError"),
        ("import nothing_of_that", "nothing_of"),
    ],
)
def test_plugins_that_cannot_be_run(fresh, tmp_path, code, message):
    file = tmp_path / "broken.py"
    if code is not None:
        file.write_text(code)
    with pytest.raises(UsageError, match=message):
        plugins.load_plugin(str(file))


def test_two_files_of_one_name_are_two_plugins(fresh, tmp_path):
    for folder, name in (("a", "my-linear"), ("b", "your-linear")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "model.py").write_text(LINEAR.replace("my-linear", name))
        plugins.load_plugin(str(tmp_path / folder / "model.py"))
    assert {"my-linear", "your-linear"} <= MODELS["generalization"].keys()


def test_a_name_that_is_taken(fresh, tmp_path):
    (tmp_path / "twice.py").write_text(LINEAR.replace("my-linear", "monomial"))
    with pytest.raises(UsageError, match="a model of that name is there already"):
        plugins.load_plugin(str(tmp_path / "twice.py"))


def test_from_the_command_line(fresh, digits_zoo, tmp_path):
    import os
    import subprocess
    import sys

    mnfn = str(Path(sys.executable).with_name("mnfn"))
    plugin, recipe = DOCS / "examples" / "ridge.py", DOCS / "examples" / "ridge.yaml"

    def run(*arguments):
        return subprocess.run(
            [mnfn, *map(str, arguments)], capture_output=True, text=True, cwd=tmp_path, env=os.environ, check=False
        )

    trained = run("train", "--plugin", plugin, "--recipe", recipe, "--zoo", digits_zoo.path, "-o", "run")
    assert trained.returncode == 0 and "running the code of" in trained.stderr
    applied = run("predict", "--plugin", plugin, "run", digits_zoo.path)
    assert applied.returncode == 0 and len(applied.stdout.splitlines()) == 1 + len(open_zoo(digits_zoo.path))
    refused = run("predict", "run", digits_zoo.path)
    assert refused.returncode == 2 and "--plugin" in refused.stderr and len(refused.stderr.splitlines()) == 1
