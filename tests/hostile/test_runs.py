"""Runs that were changed or damaged: before they are resumed, and after they were done."""

import errno
import json
import os
import shutil
from pathlib import Path

import pytest
from damage import AUGMENT, TRAIN, case, flip, in_json, in_tensors, instead, write
from interrupted_runs import StopAfter, assert_same
from small_world import tree

from mnfn_cli.recipe import load_recipe
from mnfn_cli.runtime.context import Context
from mnfn_cli.tasks.training import train_run
from mnfn_cli.training import loop

RESUME = "train --resume u"
PREDICT = "predict done z"
ZOO = "data.zoo=['z']"


@pytest.fixture
def unfinished(world):
    """An interrupted run with two training states and several validations, and the folder ``u`` where it lies."""
    recipe = load_recipe("mine.yaml", [ZOO, "training.epochs=null", "training.steps=6", "training.validate_every=1"])
    with pytest.raises(Exception, match="continue with"):
        train_run(recipe, Path("u"), context=Context(interruption=StopAfter(7)))
    assert len(states()) == 2 and len(Path("u/metrics.jsonl").read_text().splitlines()) > 2
    return Path("u")


@pytest.fixture
def done(world):
    """A finished run ``done``, and another one of another seed."""
    for name, seed in (("done", 0), ("other", 1)):
        train_run(load_recipe("mine.yaml", [ZOO, f"training.seed={seed}"]), Path(name))
    return Path("done")


def states():
    return sorted(Path("u/checkpoints").glob("step-*"))


def newest(change):
    return lambda: change(states()[-1])


def in_newest(change):
    return lambda: in_tensors(states()[-1], change)()


def edit_recipe():
    file = Path("u/recipe.yaml")
    file.write_text(file.read_text().replace("lr: 0.001", "lr: 0.002"))


def without_random_state(tensors, metadata):
    del tensors["random.cpu"], metadata["sha256"]


def shorter_metrics():
    file = Path("u/metrics.jsonl")
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:1]))


def no_states():
    for state in states():
        state.unlink()


@pytest.mark.parametrize(
    "case",
    [
        case("H13 K8", "recipe", edit_recipe, RESUME, 3, "u/recipe.yaml", "checksum differs from run.json"),
        case("H14 K9", "shard", flip("z/weights-00001-of-00001.safetensors", -5000), RESUME, 3, "checksum differs"),
        case("K9", "zoo.json", in_json("z/zoo.json", lambda d: d["files"]["table.csv"].update(sha256="0" * 64)), RESUME,
             3, "z", "changed since the run started", faults=2),
        case("K10", "version", in_json("u/run.json", lambda d: d["versions"].update(mnfn="0.0.1")), RESUME, 2,
             "was started by mnfn 0.0.1"),
        case("H15 K7", "bit in a state", newest(lambda path: flip(path, -50)()), RESUME, 3, "step-", "its checksum",
             "the state before it is step-", real=True),
        case("H15 K7", "bit in its header", newest(lambda path: flip(path, 200)()), RESUME, 3, "step-"),
        case("K7", "cut state", newest(lambda path: os.truncate(path, 3000)), RESUME, 3, "step-",
             "the state before it is step-"),
        case("K13", "no random state", in_newest(without_random_state), RESUME, 3, "step-", "damaged training state"),
        case("H10", "metrics gone", lambda: Path("u/metrics.jsonl").unlink(), RESUME, 3, "u/metrics.jsonl: 0 bytes"),
        case("H10", "metrics garbage", lambda: flip("u/metrics.jsonl", 20)(), RESUME, 3, "metrics.jsonl: was changed"),
        case("H10", "metrics shorter", shorter_metrics, RESUME, 3, "u/metrics.jsonl", "the newest training state says"),
        case("H10 H11", "metrics FIFO", instead("u/metrics.jsonl", os.mkfifo), RESUME, 3, "u/metrics.jsonl",
             "no regular file"),
        case("H10", "checkpoints gone", lambda: shutil.rmtree("u/checkpoints"), RESUME, 3, "u/checkpoints: gone"),
        case("H10", "states gone", no_states, RESUME, 3, "u/metrics.jsonl", "the training states that followed them"),
    ],
)  # fmt: skip
def test_what_cannot_be_resumed_is_named(refused, unfinished, case, capfd):
    case.check(refused)


@pytest.mark.fault("K6")
def test_a_torn_last_line_of_metrics_is_mended(mnfn, unfinished):
    shutil.copytree("u", "whole")
    with Path("u/metrics.jsonl").open("a") as file:
        file.write('{"step": 9, "ep')
    assert mnfn(RESUME)[0] == 0 and mnfn("train --resume whole")[0] == 0
    assert_same(Path("u"), Path("whole"))


def other_model():
    shutil.copy("other/model.safetensors", "done/model.safetensors")


def nan_in(path):
    def change(tensors, _):
        next(tensor for tensor in tensors.values() if tensor.is_floating_point()).view(-1)[0] = float("nan")

    return in_tensors(path, change)


@pytest.mark.parametrize(
    "case",
    [
        case("H12", "bit", lambda: flip("done/model.safetensors")(), PREDICT, 3, "done/model.safetensors",
             "checksum differs from run.json", real=True),
        case("H12", "another seed's", other_model, PREDICT, 3, "done/model.safetensors", "checksum differs"),
        case("H12", "gone", lambda: Path("done/model.safetensors").unlink(), PREDICT, 3, "no model.safe"),
    ],
)  # fmt: skip
def test_a_changed_model_is_named(refused, done, case):
    case.check(refused)


@pytest.mark.parametrize(
    "case",
    [
        case("H12", "NaN", nan_in("r/model.safetensors"), "predict r files", 3, "r/model.safetensors:", "not finite"),
        case("H12", "NaN, evaluated", nan_in("r/model.safetensors"), "evaluate r --scales 1 -o o", 3,
             "r/model.safetensors:"),
        case("H11", "FIFO", instead("r/model.safetensors", os.mkfifo), "predict r z", 3, "r/model.safetensors",
             "no regular file"),
    ],
)  # fmt: skip
def test_a_damaged_model_is_named(refused, case):
    case.check(refused)


@pytest.mark.fault("H12")
def test_a_run_without_checksums_is_read_as_before(mnfn, done):
    with_sums = mnfn(PREDICT)
    in_json("done/run.json", lambda document: document.pop("sha256"))()
    assert with_sums[0] == 0 and mnfn(PREDICT)[:2] == with_sums[:2]


@pytest.mark.fault("H8")
@pytest.mark.parametrize("key", ["format", "state", "task", "spec", "facts", "zoos", "networks", "versions", "command"])
def test_null_and_missing_keys_of_a_run(refused, key):
    in_json("r/run.json", lambda found: found.update({key: None}))()
    refused("predict r z", 3, f"r/run.json:{key}")
    in_json("r/run.json", lambda found: found.pop(key))()
    if key != "command":  # which has a default
        refused("predict r z", 3, f"r/run.json:{key}: missing")


@pytest.mark.parametrize(
    "case",
    [
        case("H8", "deep", write("r/run.json", "[" * 200_000), "predict r z", 3, "r/run.json", "too deeply"),
        case("H8", "deep zoo", write("z/zoo.json", '{"made":' * 200_000), "zoo info z", 3, "z/zoo.json", "too deeply",
             real=True),
        case("H8", "null", write("z/zoo.json", "null"), "zoo info z", 3, "z/zoo.json", "no JSON object", real=True),
        case("H8", "deep value", in_json("z/zoo.json", lambda d: d.update(made=json.loads("[" * 900 + "]" * 900))),
             AUGMENT, 3, "z/zoo.json:made"),
        case("H11", "FIFO", instead("z/zoo.json", os.mkfifo), "zoo info z", 3, "z/zoo.json", "no regular file",
             real=True),
        case("H11", "FIFO table", instead("z/table.csv", os.mkfifo), "zoo info z", 3, "z/table.csv", real=True),
    ],
)  # fmt: skip
def test_descriptions_that_are_none(refused, case):
    case.check(refused)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        pytest.param("fsync", errno.ENOSPC, marks=pytest.mark.fault("D1")),
        pytest.param("fsync", errno.EDQUOT, marks=pytest.mark.fault("D2")),
        pytest.param("fsync", errno.EFBIG, marks=pytest.mark.fault("D3")),
        pytest.param("fsync", errno.EIO, marks=pytest.mark.fault("D5")),
        pytest.param("rename", errno.EXDEV, marks=pytest.mark.fault("D6")),
        pytest.param("mkdir", errno.EROFS, marks=pytest.mark.fault("D4")),
    ],
)
@pytest.mark.parametrize("command", [AUGMENT, TRAIN])
def test_a_file_system_that_refuses(refused, monkeypatch, command, name, number):
    def refuse(*arguments, **options):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, name, refuse)
    refused(command, 4, os.strerror(number))


@pytest.mark.fault("D8")
def test_a_folder_that_is_deleted_while_a_run_is_trained(mnfn, world, monkeypatch):
    real = loop.save_state

    def save_state(folder, *arguments):
        shutil.rmtree(folder.parent)
        real(folder, *arguments)

    monkeypatch.setattr(loop, "save_state", save_state)
    before = tree(".")
    code, _, err = mnfn(TRAIN)
    assert code == 4 and "Traceback" not in err
    assert len([line for line in err.splitlines() if line.startswith("mnfn: error: ")]) == 1
    assert tree(".") == before
