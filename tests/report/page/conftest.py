"""Things to report: small real ones, and some whose every text is an attack."""

import numpy as np
import polars as pl
import pytest
import torch
from reported import ATTACKS

from mnfn_cli.pretrained import find_run
from mnfn_cli.report.card import present_run
from mnfn_cli.report.evaluation import write_evaluation
from mnfn_cli.tasks.evaluation import evaluate_runs
from mnfn_cli.tasks.finished_run import load_run
from mnfn_cli.tasks.sweep import plan_sweep, run_sweep
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.writer import save_zoo


@pytest.fixture(scope="session")
def evaluation(relu_run, tmp_path_factory):
    """An evaluation of the small run."""
    found = evaluate_runs([load_run(relu_run)], [(1.0, 10.0), (1.0, 1e4)])
    folder = tmp_path_factory.mktemp("evaluations") / "robustness"
    write_evaluation(found, folder, command="mnfn evaluate")
    return folder


@pytest.fixture(scope="session")
def sweep(digits_zoo, tmp_path_factory):
    """A sweep of two seeds of a small functional."""
    small = ["model.head=[4,4]", "training.epochs=3"]
    trials = plan_sweep(["generalization/relu-statnn"], [0, 1], overrides=small, zoos=[digits_zoo.path])
    folder = tmp_path_factory.mktemp("sweeps") / "sweep"
    run_sweep(trials, folder, illustrate=present_run)
    return folder


@pytest.fixture(scope="session")
def predictions(tmp_path_factory):
    """A table of predictions with intervals, of more networks than a table shows and a chart draws."""
    random = np.random.default_rng(0)
    true = random.random(2500)
    predicted = np.clip(true + 0.1 * random.standard_normal(2500), 0, 1)
    columns = {"network": [f"{number:04}" for number in range(2500)], "predicted_accuracy": predicted}
    columns |= {"low": predicted - 0.15, "high": predicted + 0.15, "true_accuracy": true, "unlike": predicted > 0.97}
    file = tmp_path_factory.mktemp("tables") / "predictions.csv"
    pl.DataFrame(columns).write_csv(file)
    return file


@pytest.fixture(scope="session")
def attacked(tmp_path_factory):
    """A zoo whose ids, classes, hyperparameters, columns and origin are attacks, as is the name of its folder."""
    spec, count = NetworkSpec.mlp([2, 3, 2], activation="relu"), len(ATTACKS)
    table = pl.DataFrame(
        {
            "id": list(ATTACKS),
            "split": ["train", "test"] * (count // 2),
            "class": list(reversed(ATTACKS)),
            "test_accuracy": np.linspace(0, 1, count),
            ATTACKS[0]: list(ATTACKS),
        }
    )
    features = WeightSpaceFeatures.randn(spec, count, generator=torch.Generator().manual_seed(0))
    made = {"command": ATTACKS[0], ATTACKS[1]: ATTACKS[2], "nested": {ATTACKS[0]: [ATTACKS[1]]}}
    folder = tmp_path_factory.mktemp("zoos") / "<i onclick=alert(1)>"
    return save_zoo(folder, spec, features, table, made=made).path


@pytest.fixture(scope="session")
def attacked_predictions(tmp_path_factory):
    """A table of predicted classes whose names are attacks, in a file with such a name."""
    file = tmp_path_factory.mktemp("tables") / "<b>&.csv"
    names = list(ATTACKS)
    pl.DataFrame({"network": names, "predicted_class": names, "true_class": names[::-1]}).write_csv(file)
    return file


@pytest.fixture(scope="session")
def everything(
    digits_zoo, relu_run, inr_zoo, classes_run, dilate_run, evaluation, sweep, predictions, attacked,
    attacked_predictions,
):  # fmt: skip
    """The paths of one of each kind, and of runs that come with mnfn and have learned inputs."""
    learned = [find_run("generalization/digits-relu-hybrid"), find_run("classification/digits-probe")]
    runs = [relu_run, classes_run, dilate_run, *learned]
    return [digits_zoo.path, inr_zoo.path, *runs, evaluation, sweep, predictions, attacked, attacked_predictions]
