"""An evaluation on disk: one table for all runs, undefined figures said, the paper's beside ours."""

import json
from dataclasses import replace
from itertools import combinations
from math import isnan, nan

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from mnfn_cli.report.evaluation import markdown, published_rows, write_evaluation
from mnfn_cli.report.figures import plot_robustness
from mnfn_cli.report.published import published_tau
from mnfn_cli.tasks.condition import Condition, Range
from mnfn_cli.tasks.evaluation import Evaluation, Row
from mnfn_cli.tasks.metrics import Reordered, reordered

ORIGINAL = Condition("scale")


def scaled(low, high):
    return Condition("scale", True, Range(low, high), True)


@pytest.fixture
def evaluation():
    def row(run, model, condition, tau):
        return Row(run, model, condition, tau, tau - 0.1, tau + 0.1, {"r2": 0.5, "l1": 0.1}, 0.0)

    rows = (
        row("a", "monomial", ORIGINAL, 0.7),
        row("a", "monomial", scaled(1.0, 10.0), 0.7),
        row("b", "statnn", ORIGINAL, 0.8),
        row("b", "statnn", scaled(1.0, 10.0), nan),
    )
    return Evaluation("scale", 20, "torch.float32", True, {"a": False, "b": False}, rows)


def test_the_tables(evaluation):
    ours, theirs = (part.splitlines() for part in markdown(evaluation).split("\n\nPublished, and "))
    assert len(ours) == 8 and ours[2].startswith("| run | model | reads | test networks | tau |")
    assert "undefined (constant output) | -" in ours[7] and "published" not in "".join(ours).lower()
    assert theirs[0] == "measured on Small CNN Zoo, CIFAR-10:"
    assert theirs[2:] == [
        "| model | trained on | test networks | tau |",
        "|---|---|---|---|",
        "| monomial | original | original | 0.922 |",
        "| monomial | original | U[1, 10], permuted | 0.920 |",
    ]


def test_flags_and_ranks_have_columns_where_there_are_some(evaluation):
    first, *others = evaluation.rows
    both = replace(evaluation, rows=(replace(first, flagged=0.05, reordered=Reordered(3, 2e-5)), *others))
    heading, _, row, other, *_ = markdown(both).splitlines()[2:]
    assert "| R2 | L1 | flagged |" in heading and heading.endswith("| pairs reordered, at most so far apart |")
    assert "| 0.050 |" in row and row.endswith("| 3, 2.0e-05 |") and other.endswith("| - |")
    entry = both.to_json()["rows"][0]
    assert (entry["flagged"], entry["reordered_pairs"], entry["reordered_apart"]) == (0.05, 3, 2e-5)
    assert "flagged" not in both.to_json()["rows"][1]


@given(st.integers(0, 2**32 - 1), st.integers(2, 12))
def test_reordered_pairs_are_those_of_a_plain_loop(seed, count):
    random = np.random.default_rng(seed)
    first, second = random.integers(0, 5, (2, count)) / 4
    changed = [
        abs(first[i] - first[j])
        for i, j in combinations(range(count), 2)
        if (first[i] < first[j], first[i] > first[j]) != (second[i] < second[j], second[i] > second[j])
    ]
    assert reordered(first, second) == (len(changed), max(changed, default=0.0))
    assert reordered(first, 2 * first + 1) == (0, 0.0)


def test_a_model_that_was_not_published_has_one_table(evaluation):
    ours = replace(evaluation, augmented={"b": False}, rows=evaluation.rows[2:])
    assert "ublished" not in markdown(ours) and published_rows(ours) == []


def test_two_runs_of_one_model_are_published_once(evaluation):
    twice = replace(evaluation.rows[0], run="c")
    both = replace(evaluation, augmented=evaluation.augmented | {"c": False}, rows=(*evaluation.rows, twice))
    assert published_rows(both) == published_rows(evaluation)


def test_the_files(evaluation, tmp_path):
    write_evaluation(evaluation, tmp_path / "out", command="as it was typed")
    document = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert [row["tau"] for row in document["rows"]] == [0.7, 0.7, 0.8, None]
    assert document["command"] == "as it was typed"
    assert "published" not in "".join(document["rows"][0])
    assert [(row["model"], row["tau"]) for row in document["published"]] == [("monomial", 0.922), ("monomial", 0.92)]
    table = pl.read_csv(tmp_path / "out" / "evaluation.csv")
    assert table["scale"].to_list() == [None, "1:10", None, "1:10"] and "published_tau" not in table.columns
    assert (tmp_path / "out" / "robustness.png").stat().st_size > 5_000


@pytest.fixture
def axes():
    return Figure().add_subplot()


def crosses(axes):
    return [line for line in axes.lines if line.get_marker() == "x" and len(line.get_xdata())]


def test_undefined_tau_is_marked_where_it_is(evaluation, axes):
    plot_robustness(evaluation, axes)
    (cross,) = crosses(axes)
    assert list(cross.get_xdata()) == [1] and cross.get_color() == "C1"
    assert 0 < cross.get_ydata()[0] < 0.2 and cross.get_transform() == axes.get_xaxis_transform()
    entries = [text.get_text() for text in axes.figure.legends[0].get_texts()]
    assert entries == ["monomial", "statnn", "tau undefined: all predictions are equal"]


def test_two_undefined_runs_are_told_apart_and_explained_once(evaluation, axes):
    rows = tuple(replace(row, value=nan, low=nan, high=nan) for row in evaluation.rows)
    plot_robustness(replace(evaluation, rows=rows), axes)
    first, second = crosses(axes)
    assert first.get_ydata()[0] != second.get_ydata()[0] and list(first.get_xdata()) == [0, 1]
    entries = [text.get_text() for text in axes.figure.legends[0].get_texts()]
    assert len(entries) == 3


def test_no_mark_where_tau_is_defined(evaluation, axes):
    plot_robustness(replace(evaluation, augmented={"a": False}, rows=evaluation.rows[:2]), axes)
    assert crosses(axes) == [] and len(axes.figure.legends[0].get_texts()) == 1


def test_published_figures_are_given_only_where_the_paper_gives_them():
    assert published_tau("gnn", False, scaled(1.0, 10_000.0)) == 0.562
    assert published_tau("gnn", True, scaled(1.0, 10_000.0)) == 0.851
    assert published_tau("monomial", False, Condition("sign", True, None, True)) == 0.940
    assert isnan(published_tau("monomial", False, scaled(1.0, 1.0)))
    assert isnan(published_tau("monomial", False, scaled(2.0, 10.0)))
    assert isnan(published_tau("hnp", False, ORIGINAL)) and isnan(published_tau("monomial", True, ORIGINAL))
