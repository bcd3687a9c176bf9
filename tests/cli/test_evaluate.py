"""mnfn evaluate as a user types it."""

import json
import re

import pytest

from mnfn_cli.cli.app import main


def test_the_published_figures_stand_in_a_table_of_their_own(mnfn, relu_run):
    ours, theirs = mnfn("evaluate", relu_run, "--scales", "1e4", "-o", "out").split("\n\n")
    assert ours.splitlines()[0] == "out: 8 test networks (split: one activation, split by network with all its copies)"
    headings = ["test networks", "tau", "low 95 %", "high 95 %", "largest change"]
    headings += ["pairs reordered", "at most apart", "reads"]
    assert re.split("  +", ours.splitlines()[1]) == headings
    assert "U[1, 10000], permuted" in ours and "ublished" not in ours
    assert theirs.splitlines()[0] == "Published, and measured on Small CNN Zoo, CIFAR-10"
    assert theirs.splitlines()[-1].split() == ["monomial", "original", "U[1,", "10000],", "permuted", "0.920"]


def test_json_has_tables_of_objects(mnfn, relu_run):
    document = json.loads(mnfn("evaluate", relu_run, "--scales", "10", "-o", "out", "--json"))
    assert [row["networks"] for row in document["rows"]] == ["original", "U[1, 10], permuted"]
    assert [row["tau"] for row in document["published"]] == [0.922, 0.92]


def test_the_terms_are_explained_beside_the_result(monkeypatch, capsys, relu_run, tmp_path):
    for number, more in enumerate(([], ["--quiet"])):
        asked = ["mnfn", "evaluate", str(relu_run), "--scales", "10", "-o", str(tmp_path / str(number)), *more]
        monkeypatch.setattr("sys.argv", asked)
        with pytest.raises(SystemExit):
            main()
        notes = capsys.readouterr().err
        assert ("tau is Kendall's rank correlation" in notes) == (not more)
        assert ("U[1, x] means that every hidden neuron is scaled" in notes) == (not more)
        assert "characters)" not in notes, "an explanation is cut off"


def test_sign_flips_are_explained_for_tanh(mnfn, tanh_run):
    assert "sign flips, permuted" in mnfn("evaluate", tanh_run, "-o", "out")


def test_help_explains_the_terms(mnfn):
    page = " ".join(mnfn("evaluate", "--help").split())
    assert "tau, Kendall's rank correlation of predicted and true accuracies" in page
    assert "U[1, x] means that every hidden neuron is scaled by a random factor between 1 and x." in page
