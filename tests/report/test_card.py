"""The card of a run: a header that the Hub reads, every figure of result.json, and nothing that changes by itself."""

import json
import shutil

import pytest
import yaml

from mnfn_cli.report.card import CARD_FILE, card, present_run
from mnfn_cli.tasks.finished_run import load_run
from mnfn_cli.tasks.result import read_result
from mnfn_cli.training.run_folder import RUN, RunFolder


def parts(text):
    """Return the header of a card as data, and its body."""
    start, header, body = text.split("---\n", 2)
    assert start == ""
    return yaml.safe_load(header), body


@pytest.mark.parametrize("name", ["relu_run", "tanh_run", "classes_run", "dilate_run"])
def test_every_run_carries_one(name, request):
    run = request.getfixturevalue(name)
    result = json.loads((run / "result.json").read_text())
    header, body = parts((run / CARD_FILE).read_text())
    assert header["library_name"] == "mnfn" and "license" not in header
    assert {result["task"], result["model"], "weights-alone"} <= set(header["tags"])
    (entry,) = header["model-index"]
    (found,) = entry["results"]
    assert found["task"]["type"] == result["task"] and {"type", "name"} <= set(found["dataset"])
    values = {metric["type"]: metric["value"] for metric in found["metrics"]}
    for figure, metric in result["test"].items():
        assert values.get(figure) == metric["value"]
        assert metric["value"] is None or f"| {figure} | {metric['value']:.4f} |" in body
    assert "It reads the weights alone: no network is run." in body
    assert str(load_run(run).spec) in body and f"{result['parameters']:,} learned numbers" in body
    for entry in result["invariance"]:
        assert f"| {entry['condition']} | {entry['largest_change']:.1e} |" in body
    assert {entry["networks"] for entry in result["invariance"]} == {result["data"]["networks"]["test"]}
    shifted = [entry for entry in result["invariance"] if "shifts" in entry["condition"]]
    assert len(shifted) == (name in ("classes_run", "dilate_run"))  # which the published layers do not know
    assert ("It is not invariant" in body) == any(entry["largest_change"] > 1e-4 for entry in result["invariance"])


def test_what_is_measured_and_what_is_not_is_said(relu_run):
    _, body = parts((relu_run / CARD_FILE).read_text())
    assert "It gives no intervals around its predictions." in body and "It is not invariant" not in body
    assert "No license is set" in body and "* 2 of 4 validation networks would calibrate" in body
    record, result = RunFolder(relu_run).record, read_result(relu_run)
    moved = result.changed(invariance=(result.invariance[0].changed(largest_change=0.5),), reads="runs the network")
    _, body = parts(card(record, moved))
    assert "It is not invariant: elements of the symmetry group changed its answers by up to 5.0e-01" in body
    assert "runs the network on inputs of its own" in body
    assert "Not measured." in card(record, result.changed(invariance=()))


def test_it_is_the_same_whenever_it_is_written(relu_run, tmp_path):
    shutil.copytree(relu_run, tmp_path / "elsewhere")
    present_run(tmp_path / "elsewhere")
    assert (tmp_path / "elsewhere" / CARD_FILE).read_bytes() == (relu_run / CARD_FILE).read_bytes()
    record = RunFolder(relu_run).record
    assert CARD_FILE in record.files and CARD_FILE in RUN.files(relu_run)


def test_names_of_the_users_cannot_break_it(relu_run):
    record, result = RunFolder(relu_run).record, read_result(relu_run)
    hostile = "zoos/a: b`|\n---\n# x"
    zoo = record.zoos[0].changed(path=hostile, command="mnfn zoo build cnn -o 'a\n\n---'")
    header, body = parts(card(record.changed(zoos=(zoo,), command="mnfn train\n# -o x"), result))
    assert header["model-index"][0]["results"][0]["dataset"]["name"] == "a: b'/\\n---\\n# x"
    assert "\n---" not in body and "\n# x" not in body and "\n# -o" not in body
