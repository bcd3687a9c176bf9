"""Runs that come with mnfn: found by name, only read, small, and free of what belongs to one machine."""

import importlib.util
import json
import shutil
from pathlib import Path

import pytest
import yaml

from mnfn_cli import load_run, pretrained
from mnfn_cli.errors import DataError, UsageError
from mnfn_cli.pretrained import find_run, list_pretrained
from mnfn_cli.report.card import CARD_FILE
from mnfn_cli.zoo.export import export_zoo

ROOT = Path(__file__).parents[2]
NAMES = {"generalization": "digits-relu-small", "classification": "digits-small", "editing": "digits-dilate-small"}


def script():
    specification = importlib.util.spec_from_file_location("store_run", ROOT / "scripts" / "store_run.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def stored(relu_run, classes_run, dilate_run, tmp_path_factory):
    """A folder as ``pretrained/``, with a run of each task."""
    root = tmp_path_factory.mktemp("package") / "pretrained"
    for run, (task, name) in zip((relu_run, classes_run, dilate_run), NAMES.items(), strict=True):
        script().store(run, f"{task}/{name}", root)
    return root


@pytest.fixture
def found(stored, monkeypatch):
    monkeypatch.setattr(pretrained, "FOLDERS", (stored.parent / "nothing", stored))
    return stored


def bytes_of(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_comes_with_mnfn_is_small_and_whole():
    runs = list_pretrained()
    assert (ROOT / "pretrained" / "README.md").exists()
    for run in runs:
        assert run.size <= script().MOST_BYTES, f"{run.name} has {run.size} bytes"
        assert load_run(run.path).folder.record.command in (run.path / CARD_FILE).read_text()
        for file in run.path.glob("*.json"):
            assert '"/' not in file.read_text(), f"{file} names a path of the machine that made it"


def test_names_and_paths(found, relu_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = f"generalization/{NAMES['generalization']}"
    assert find_run(name) == found / name and load_run(name).folder.path == found / name
    shutil.copytree(relu_run, tmp_path / name)
    assert find_run(name) == Path(name)  # a path wins
    assert find_run("no/run") == Path("no/run") and find_run("a\0b") == Path("a\0b")
    with pytest.raises(
        DataError, match=r"none of this name comes with mnfn; did you mean 'editing/digits-dilate-small'"
    ):
        load_run("editing/digits-dilate-smal")
    with pytest.raises(DataError, match=r"no such run$"):
        load_run("nothing like it")


def test_commands_take_names_and_write_nothing_there(found, mnfn, fail, digits_zoo, inr_zoo, tmp_path):
    before = bytes_of(found)
    names = {task: f"{task}/{name}" for task, name in NAMES.items()}
    listed = mnfn("pretrained")
    assert all(name in listed for name in names.values()) and "weights alone" in listed
    assert {row["name"] for row in json.loads(mnfn("pretrained", "--json"))} == set(names.values())
    assert mnfn("predict", names["generalization"], digits_zoo.path).startswith("network,predicted_accuracy")
    mnfn("classify", names["classification"], inr_zoo.path, "-o", "classes.csv")
    mnfn("edit", names["editing"], inr_zoo.path, "--split", "test", "-o", "edited")
    mnfn("evaluate", names["generalization"], "--zoo", digits_zoo.path, "--scales", "10", "-o", "evaluation")
    mnfn("zoo", "build", "siren", "--images", "digits", "--count", "3",
         "--like", names["classification"], "-o", "like")  # fmt: skip
    fail("predict", names["generalization"], digits_zoo.path, "-o", found / names["generalization"] / "x.csv", code=6)
    assert "did you mean" in fail("predict", "generalization/digits-relu-smal", digits_zoo.path, code=3)
    assert bytes_of(found) == before


def test_nothing_of_the_machine_is_left(found, digits_zoo, relu_run):
    folder = found / "generalization" / NAMES["generalization"]
    for file in folder.iterdir():
        if file.suffix in (".json", ".yaml", ".md"):
            assert str(digits_zoo.path.parent) not in file.read_text() and str(relu_run.parent) not in file.read_text()
    record = json.loads((folder / "run.json").read_text())
    assert [zoo["path"] for zoo in record["zoos"]] == ["zoos/relu"] and record["state"] == "done"
    assert json.loads((folder / "result.json").read_text())["environment"]["machine"] == ""
    assert yaml.safe_load((folder / CARD_FILE).read_text().split("---\n")[1])["library_name"] == "mnfn"
    assert {file.name for file in folder.iterdir()} <= {*record["files"], "run.json", "result.json", "recipe.yaml"} | {
        "model.safetensors"
    }


def test_commands_are_those_that_anyone_can_type():
    store = script()
    zoos = {"/data/z/digits-relu": "zoos/digits-relu"}
    command = "mnfn train --recipe generalization/relu-hybrid --zoo /data/z/digits-relu -o '/scratch/my runs/a'"
    assert store._command(command, zoos, "generalization/digits-relu-hybrid") == (
        "mnfn train --recipe generalization/relu-hybrid --zoo zoos/digits-relu -o runs/digits-relu-hybrid"
    )


def test_what_cannot_be_stored(relu_run, tmp_path, monkeypatch):
    store = script()
    with pytest.raises(UsageError, match="write generalization/NAME"):
        store.store(relu_run, "classification/x", tmp_path)
    monkeypatch.setattr(store, "MOST_BYTES", 1000)
    with pytest.raises(UsageError, match="MB come with mnfn"):
        store.store(relu_run, "generalization/x", tmp_path)
    assert not (tmp_path / "generalization" / "x").exists()


def test_single_files_too(found, mnfn, digits_zoo, tmp_path):
    export_zoo(digits_zoo, tmp_path / "files", split="test")
    rows = json.loads(mnfn("predict", f"generalization/{NAMES['generalization']}", tmp_path / "files", "--json"))
    assert len(rows) == len(digits_zoo.rows("test"))
