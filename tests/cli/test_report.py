"""mnfn report as a command: its output, what it refuses, and that it leaves its inputs as they are."""

import json
import shutil
from pathlib import Path

import pytest
from small_world import tree


def test_report(mnfn, fail, relu_run, digits_zoo):
    shown = mnfn("report", digits_zoo.path, relu_run, "-o", "new/report.html")
    assert "zoo" in shown and "done" in shown
    page = Path("new/report.html").read_bytes()
    assert page.startswith(b"<!doctype html>") and b"<title>relu and relu</title>" in page
    assert "exists already" in fail("report", relu_run, "-o", "new/report.html", code=6)
    options = ("-o", "new/report.html", "--force", "--json", "--title", "<Mine>")
    found = json.loads(mnfn("report", digits_zoo.path, relu_run, *options))
    assert [one["kind"] for one in found["sections"]] == ["zoo", "run"] and found["sections"][1]["state"] == "done"
    again = Path("new/report.html").read_bytes()
    assert again == page.replace(b"relu and relu", b"&lt;Mine&gt;") and found["bytes"] == len(again)


def test_a_folder_of_results_stands_for_what_it_holds(mnfn, fail, relu_run, digits_zoo, tmp_path):
    shutil.copytree(relu_run, tmp_path / "all" / "a-run")
    shutil.copytree(digits_zoo.path, tmp_path / "all" / "zoo")
    shutil.copy(relu_run / "predictions.csv", tmp_path / "all" / "p.csv")
    (tmp_path / "all" / "notes.csv").write_text("a,b\n1,2\n")
    before = tree("all")
    found = json.loads(mnfn("report", "all", "-o", "report.html", "--json"))
    assert [one["path"] for one in found["sections"]] == ["all/zoo", "all/a-run", "all/p.csv"]
    assert tree("all") == before
    mnfn("report", "all", "-o", "all/report.html")  # beside what it reports, not inside
    assert Path("all/report.html").read_bytes() == Path("report.html").read_bytes()
    assert "input a-run" in fail("report", "all", "-o", "all/a-run/report.html", code=6)


def test_runs_that_come_with_mnfn_have_names(mnfn):
    found = json.loads(mnfn("report", "classification/digits-probe", "-o", "report.html", "--json"))
    assert found["sections"][0]["kind"] == "run"


def test_all_faults_are_named(fail, digits_zoo, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "bad.csv").write_text("a\n1\n")
    said = fail("report", "empty", "gone", digits_zoo.path, "notes.txt", "gone.csv", "-o", "r.html", code=3, lines=4)
    for words in ("empty: is no zoo", "gone: ", "notes.txt: is no folder", "gone.csv"):
        assert words in said
    shutil.copytree(digits_zoo.path, tmp_path / "zoo")
    (tmp_path / "zoo" / "table.csv").write_text("x")
    said = fail("report", "bad.csv", "zoo", "-o", "r.html", code=3, lines=2)
    assert "bad.csv" in said and "table.csv" in said and not Path("r.html").exists()


@pytest.mark.parametrize("arguments", [[], ["-o", "r.html"]])
def test_wrong_use(fail, arguments):
    fail("report", *arguments, code=2)
