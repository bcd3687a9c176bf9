"""An evaluation on disk: one table for all runs, undefined figures said, the paper's beside ours."""

import json
from math import isnan, nan

import polars as pl
import pytest

from mnfn_cli.report.evaluation import markdown, write_evaluation
from mnfn_cli.report.published import published_tau
from mnfn_cli.tasks.evaluation import Evaluation, Row


@pytest.fixture
def evaluation():
    def row(run, model, networks, scale, tau):
        return Row(run, model, networks, scale, tau, tau - 0.1, tau + 0.1, 0.5, 0.1, 0.0)

    rows = (
        row("a", "monomial", "original", None, 0.7),
        row("a", "monomial", "U[1, 10], permuted", (1.0, 10.0), 0.7),
        row("b", "statnn", "original", None, 0.8),
        row("b", "statnn", "U[1, 10], permuted", (1.0, 10.0), nan),
    )
    return Evaluation("scale", 20, "torch.float32", True, {"a": False, "b": False}, rows)


def test_the_table(evaluation):
    lines = markdown(evaluation).splitlines()
    assert len(lines) == 8 and lines[2].startswith("| run | model | test networks | tau |")
    assert "published tau (Small CNN Zoo, CIFAR-10)" in lines[2]
    assert lines[5].endswith("| 0.920 |") and lines[6].endswith("|  |")
    assert "undefined (constant output) | -" in lines[7]


def test_the_files(evaluation, tmp_path):
    write_evaluation(evaluation, tmp_path / "out", command="as it was typed")
    document = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert [row["tau"] for row in document["rows"]] == [0.7, 0.7, 0.8, None]
    assert document["command"] == "as it was typed"
    assert document["rows"][1]["published_tau"] == 0.92 and document["rows"][3]["published_tau"] is None
    table = pl.read_csv(tmp_path / "out" / "evaluation.csv")
    assert table["scale"].to_list() == [None, "1:10", None, "1:10"]
    assert (tmp_path / "out" / "robustness.png").stat().st_size > 5_000


def test_published_figures_are_given_only_where_the_paper_gives_them():
    assert published_tau("scale", "gnn", False, "U[1, 10000], permuted", (1.0, 10_000.0)) == 0.562
    assert published_tau("scale", "gnn", True, "U[1, 10000], permuted", (1.0, 10_000.0)) == 0.851
    assert published_tau("sign", "monomial", False, "sign flips, permuted", None) == 0.940
    assert isnan(published_tau("scale", "monomial", False, "U[1, 1], permuted", (1.0, 1.0)))
    assert isnan(published_tau("scale", "monomial", False, "U[2, 10], permuted", (2.0, 10.0)))
    assert isnan(published_tau("scale", "hnp", False, "original", None))
