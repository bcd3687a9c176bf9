"""Interrupted at any kind of step, a run ends with the same bytes as one that was not."""

import json
import shutil

import pytest
import torch
from interrupted_runs import StopAfter, assert_same

from mnfn_cli.errors import DataError, InterruptedRun, NumericError, OutputError, UsageError
from mnfn_cli.recipe import load_recipe
from mnfn_cli.runtime.context import Context
from mnfn_cli.runtime.processes import Processes
from mnfn_cli.storage.tensors import read_tensors
from mnfn_cli.tasks import generalization, training
from mnfn_cli.tasks.training import resume_run, train_run
from mnfn_cli.training import loop
from mnfn_cli.training.step_log import StepLog


def make_recipe(zoo, *overrides):
    return load_recipe(
        "generalization/relu-monomial",
        [
            "training.epochs=3",
            "model.channels=[4,2]",
            "model.head=[8,8]",
            "model.dropout=0.2",
            "augment.scale=[1,100]",
            f"data.zoo=['{zoo.path}']",
            *overrides,
        ],
    )


@pytest.fixture(scope="module")
def uninterrupted(digits_zoo, tmp_path_factory):
    path = tmp_path_factory.mktemp("resume") / "whole"
    train_run(make_recipe(digits_zoo), path)
    return path


class Killed(BaseException):
    """A stand-in for kill -9: nothing of ours handles it."""


def kill_in(monkeypatch, module, name, call, *, after=False):
    """Die at the n-th call of a function, before or after it did its work."""
    real, calls = getattr(module, name), iter(range(10**9))

    def dying(*args, **kwargs):
        due = next(calls) == call
        if due and not after:
            raise Killed
        result = real(*args, **kwargs)
        if due:
            raise Killed
        return result

    monkeypatch.setattr(module, name, dying)


# Four steps an epoch; a check follows each step and each validation.
@pytest.mark.parametrize("checks", [0, 1, 3, 4, 5, 6, 8, 9, 13, 14])
def test_interrupted_at_any_check(digits_zoo, uninterrupted, tmp_path, checks):
    with pytest.raises(InterruptedRun, match="train --resume"):
        train_run(make_recipe(digits_zoo), tmp_path / "run", context=Context(interruption=StopAfter(checks)))
    assert json.loads((tmp_path / "run" / "run.json").read_text())["state"] == "running"
    resume_run(tmp_path / "run")
    assert_same(tmp_path / "run", uninterrupted)


def test_interrupted_again_and_again(digits_zoo, uninterrupted, tmp_path):
    with pytest.raises(InterruptedRun):
        train_run(make_recipe(digits_zoo), tmp_path / "run", context=Context(interruption=StopAfter(1)))
    for _ in range(100):
        try:
            resume_run(tmp_path / "run", context=Context(interruption=StopAfter(2)))
            break
        except InterruptedRun:
            pass
    assert_same(tmp_path / "run", uninterrupted)


@pytest.mark.parametrize(
    ("module", "name", "call", "after"),
    [
        (loop, "_step", 6, False),  # mid-epoch
        (loop, "_step", 6, True),
        (generalization, "kendall_tau", 1, False),  # in a validation
        (loop, "append_metrics", 1, True),  # between the metrics and the state that knows of them
        (loop, "save_state", 1, False),  # before, and after a save
        (loop, "save_state", 1, True),
        (loop, "save_state", 0, False),  # before the first
        (training, "save_tensors", 0, True),  # after the final model
        (training, "write_record", 0, False),  # before the result
    ],
)
@pytest.mark.fault("K3", "K4")
def test_killed_anywhere(digits_zoo, uninterrupted, tmp_path, monkeypatch, module, name, call, after):
    kill_in(monkeypatch, module, name, call, after=after)
    with pytest.raises(Killed):
        train_run(make_recipe(digits_zoo), tmp_path / "run")
    monkeypatch.undo()
    resume_run(tmp_path / "run")
    assert_same(tmp_path / "run", uninterrupted)


@pytest.mark.fault("K5")
@pytest.mark.parametrize(("name", "call"), [("load_state", 0), ("take_up_metrics", 0), ("save_state", 0)])
def test_killed_in_a_run_that_was_resumed(digits_zoo, uninterrupted, tmp_path, monkeypatch, name, call):
    with pytest.raises(InterruptedRun):
        train_run(make_recipe(digits_zoo), tmp_path / "run", context=Context(interruption=StopAfter(6)))
    kill_in(monkeypatch, loop, name, call, after=True)
    with pytest.raises(Killed):
        resume_run(tmp_path / "run")
    monkeypatch.undo()
    resume_run(tmp_path / "run")
    assert_same(tmp_path / "run", uninterrupted)


@pytest.mark.fault("K4", "K6")
def test_killed_in_the_middle_of_a_write(digits_zoo, uninterrupted, tmp_path):
    """What a kill leaves: a temporary beside the state, and a torn last line of metrics."""
    with pytest.raises(InterruptedRun):
        train_run(make_recipe(digits_zoo), tmp_path / "run", context=Context(interruption=StopAfter(9)))
    (tmp_path / "run" / "checkpoints" / ".step-1.safetensors.999.mnfn-tmp").write_bytes(b"half")
    with (tmp_path / "run" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 8, "epo')
    resume_run(tmp_path / "run")
    assert_same(tmp_path / "run", uninterrupted)


@pytest.mark.fault("K7")
def test_a_damaged_state_is_named_and_never_skipped(digits_zoo, uninterrupted, tmp_path):
    with pytest.raises(InterruptedRun):
        train_run(make_recipe(digits_zoo), tmp_path / "run", context=Context(interruption=StopAfter(12)))
    before, newest = sorted((tmp_path / "run" / "checkpoints").glob("step-*"))
    newest.write_bytes(newest.read_bytes()[:-100])
    with pytest.raises(DataError) as caught:
        resume_run(tmp_path / "run")
    assert newest.name in str(caught.value) and before.name in str(caught.value)
    newest.unlink()
    resume_run(tmp_path / "run")
    assert_same(tmp_path / "run", uninterrupted)


@pytest.mark.fault("K11", "K12")
def test_other_surroundings_are_marked(digits_zoo, tmp_path, monkeypatch):
    with pytest.raises(InterruptedRun):
        train_run(make_recipe(digits_zoo), tmp_path / "run", context=Context(interruption=StopAfter(3)))
    monkeypatch.setattr(loop, "describe_environment", lambda device, processes: {"threads": "64"})
    assert resume_run(tmp_path / "run").bit_for_bit is False


def test_a_changed_zoo_is_refused(digits_zoo, tmp_path):
    zoo = tmp_path / "zoo"
    shutil.copytree(digits_zoo.path, zoo)
    recipe = make_recipe(digits_zoo, f"data.zoo=['{zoo}']")
    with pytest.raises(InterruptedRun):
        train_run(recipe, tmp_path / "run", context=Context(interruption=StopAfter(3)))
    document = json.loads((zoo / "zoo.json").read_text())
    document["files"]["table.csv"]["sha256"] = "0" * 64
    (zoo / "zoo.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match="changed since"):
        resume_run(tmp_path / "run")


def test_done_and_unfinished_runs(digits_zoo, uninterrupted, tmp_path):
    with pytest.raises(UsageError, match="done"):
        resume_run(uninterrupted)
    with pytest.raises(DataError, match="no such run"):
        resume_run(tmp_path / "nowhere")
    with pytest.raises(OutputError, match="--force"):
        train_run(make_recipe(digits_zoo), uninterrupted)
    with pytest.raises(InterruptedRun):
        train_run(make_recipe(digits_zoo), tmp_path / "run", context=Context(interruption=StopAfter(3)))
    with pytest.raises(OutputError, match="unfinished run"):
        train_run(make_recipe(digits_zoo), tmp_path / "run")


def test_force_keeps_the_old_run_until_the_new_one_is_done(digits_zoo, uninterrupted, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(uninterrupted, run)
    for _ in range(2):
        with pytest.raises(InterruptedRun):
            train_run(make_recipe(digits_zoo), run, force=True, context=Context(interruption=StopAfter(3)))
        assert_same(tmp_path / "run.mnfn-replaced", uninterrupted)
    resume_run(run)
    assert_same(run, uninterrupted)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.fault("N1")
def test_losses_that_are_not_finite_stop_with_the_step(digits_zoo, tmp_path):
    recipe = make_recipe(digits_zoo, "optimizer.lr=1e30")
    with pytest.raises(NumericError, match="step"):
        train_run(recipe, tmp_path / "run")


@pytest.mark.parametrize(("bad", "problem"), [(float("nan"), "is not finite"), (1e25, "is too large")])
@pytest.mark.parametrize("ends", [True, False], ids=["before a save", "before a loss"])
@pytest.mark.fault("N1")
def test_gradients_that_are_not_finite_name_the_tensor(bad, problem, ends):
    layer = torch.nn.Linear(2, 1)
    optimizer = torch.optim.Adam(layer.parameters(), lr=1e-3, fused=True)
    log = StepLog(layer, optimizer, first=5)

    def step(gradient):
        optimizer.zero_grad()
        loss = layer(torch.ones(1, 2)).sum()
        loss.backward()
        layer.bias.grad[0] = gradient
        log.add(loss, Processes(), 0)
        log.look()
        optimizer.step()

    step(1.0)
    log.require_finite_gradients()
    step(bad)
    with pytest.raises(NumericError, match=f"gradient of bias at step 7 {problem}"):
        if ends or bad == bad:
            log.require_finite_gradients()
        step(1.0)


def test_standardisation_comes_from_the_training_networks_and_stays_with_the_model(digits_zoo, tmp_path):
    recipe = load_recipe(
        "generalization/relu-np",
        ["training.epochs=2", "model.channels=[2]", "model.head=[4,4]", f"data.zoo=['{digits_zoo.path}']"],
    )
    train_run(recipe, tmp_path / "whole")
    with pytest.raises(InterruptedRun):
        train_run(recipe, tmp_path / "run", context=Context(interruption=StopAfter(3)))
    resume_run(tmp_path / "run")
    saved, again = (read_tensors(tmp_path / name / "model.safetensors")[0] for name in ("whole", "run"))
    assert all(torch.equal(saved[name], again[name]) for name in saved)
    first = digits_zoo.read(digits_zoo.rows("train")).weights[0].double()
    assert float(saved["features.0.means"][0]) == pytest.approx(float(first.mean()), abs=1e-6)
    assert float(saved["features.0.deviations"][0]) == pytest.approx(float(first.std(correction=0)), rel=1e-5)
