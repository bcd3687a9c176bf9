"""Events beside metrics.jsonl: the same figures, once each, whatever interrupts the run."""

import json
import shutil

import numpy as np
import pytest

from mnfn_cli.cli.app import main
from mnfn_cli.errors import InterruptedRun, UsageError
from mnfn_cli.recipe import load_recipe
from mnfn_cli.runtime.context import Context, Interruption
from mnfn_cli.tasks.training import resume_run, train_run
from mnfn_cli.training import events
from mnfn_cli.training.events import EVENTS_FILE, append_events, start_events, take_up_events
from mnfn_cli.training.run_folder import RUN

tensorboard = pytest.importorskip("tensorboard", reason="mnfn[tensorboard] is not installed")

RECIPE = ["training.epochs=4", "training.batch_size=8", "model.head=[4,4]"]


def read(folder):
    """Return the figures that TensorBoard shows of a folder: by name, a list of (step, value)."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder))
    found.Reload()
    return {tag: [(e.step, e.value) for e in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def expected(folder):
    """Return the same from metrics.jsonl, rounded as the format of events rounds."""
    figures = {}
    for line in map(json.loads, (folder / "metrics.jsonl").read_text().splitlines()):
        for name, value in line.items():
            if name != "step" and isinstance(value, int | float):
                figures.setdefault(name, []).append((line["step"], float(np.float32(value))))
    return figures


def train(zoo, path, recipe="relu-statnn", *overrides, **context):
    resolved = load_recipe(f"generalization/{recipe}", [*overrides, f"data.zoo=['{zoo.path}']"])
    return train_run(resolved, path, context=Context(tensorboard=True, **context))


class After(Interruption):
    """An interruption that comes when it was asked so many times."""

    def __init__(self, times):
        super().__init__()
        self.times = times

    @property
    def number(self):
        self.times -= 1
        return 2 if self.times < 0 else 0


def test_the_figures_are_those_of_the_metrics(digits_zoo, tmp_path):
    train(digits_zoo, tmp_path / "run", "relu-statnn", *RECIPE)
    assert read(tmp_path / "run") == expected(tmp_path / "run") and len(expected(tmp_path / "run")["val_tau"]) == 4
    assert EVENTS_FILE in RUN.files(tmp_path / "run")
    train_run(load_recipe("generalization/relu-statnn", [*RECIPE, f"data.zoo=['{digits_zoo.path}']"]), tmp_path / "two")
    assert not (tmp_path / "two" / EVENTS_FILE).exists()
    for name in ("metrics.jsonl", "model.safetensors"):
        assert (tmp_path / "two" / name).read_bytes() == (tmp_path / "run" / name).read_bytes()


def test_a_fit_at_once_has_its_line(digits_zoo, tmp_path):
    train(digits_zoo, tmp_path / "run", "relu-trees", "model.features=[S]")
    assert read(tmp_path / "run") == expected(tmp_path / "run") != {}


@pytest.mark.parametrize("left", ["all", "torn", "a line more", "a line less", "none", "damaged", "empty"])
def test_a_resumed_run_shows_each_step_once(digits_zoo, tmp_path, left):
    run, file = tmp_path / "run", tmp_path / "run" / EVENTS_FILE
    with pytest.raises(InterruptedRun):
        train(digits_zoo, run, "relu-statnn", *RECIPE, interruption=After(9))
    assert 0 < len(expected(run)["val_tau"]) < 4
    content = file.read_bytes()
    if left == "a line more":
        append_events(file, {"step": 1000, "val_tau": 0.5})
    if left == "none":
        start_events(file)
    cut = {"torn": content[:-5], "a line less": content[: len(content) // 2], "empty": b"", "damaged": b"x" * 64}
    if left in cut:
        file.write_bytes(cut[left])
    resume_run(run)
    assert read(run) == expected(run) and len(expected(run)["val_tau"]) == 4


def test_nothing_is_kept_of_steps_after_the_last_line(tmp_path):
    file, lines = tmp_path / EVENTS_FILE, [{"step": step, "loss": step / 8} for step in (4, 8, 12)]
    start_events(file)
    for line in lines:
        append_events(file, line | {"bad": float("nan"), "none": None, "not_finite": ["bad"]})
    take_up_events(file, lines[:1])
    assert read(tmp_path) == {"loss": [(4, 0.5)]}
    take_up_events(file, lines)
    assert read(tmp_path) == {"loss": [(4, 0.5), (8, 1.0), (12, 1.5)]}


def test_without_the_package_nothing_begins(digits_zoo, tmp_path, monkeypatch, capsys):
    with pytest.raises(InterruptedRun):
        train(digits_zoo, tmp_path / "begun", "relu-statnn", *RECIPE, interruption=After(9))
    monkeypatch.setattr(events, "find_spec", lambda name: None)
    begun = {path: path.read_bytes() for path in (tmp_path / "begun").rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match="tensorboard is not installed"):
        resume_run(tmp_path / "begun")
    assert {path: path.read_bytes() for path in (tmp_path / "begun").rglob("*") if path.is_file()} == begun
    shutil.rmtree(tmp_path / "begun")
    for command in ("train", "sweep"):
        arguments = [command, "--recipe", "generalization/relu-statnn", "--zoo", str(digits_zoo.path), "--log"]
        monkeypatch.setattr("sys.argv", ["mnfn", *arguments, "tensorboard", "-o", str(tmp_path / "run")])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr().err
        assert ended.value.code == 2 and said.count("\n") == 1 and "pip install 'mnfn[tensorboard]'" in said
    assert not list(tmp_path.iterdir())
