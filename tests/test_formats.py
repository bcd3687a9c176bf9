"""What an earlier version wrote is opened, predicted with and edited with by this one.

``tests/formats/first`` holds zoos, runs and single files as the first format wrote them: ``zoo.json`` of format 1 and
``run.json`` of format 2. They are never written again.
"""

import shutil
from pathlib import Path

import polars as pl
import pytest
import torch

from mnfn_cli import load_run, open_zoo
from mnfn_cli.zoo.verification import verify_zoo

FIRST = Path(__file__).parent / "formats" / "first"


@pytest.fixture
def first(tmp_path, monkeypatch):
    """A copy to stand in: runs of the first format name their zoo by a relative path."""
    shutil.copytree(FIRST, tmp_path / "first")
    monkeypatch.chdir(tmp_path / "first")
    return tmp_path / "first"


@pytest.mark.parametrize("name", ["classifiers", "inrs", "edited"])
def test_zoos_are_whole(first, name):
    assert verify_zoo(first / name) == []


@pytest.mark.parametrize(
    ("run", "zoo", "known", "columns"),
    [
        ("generalization", "classifiers", "predictions.csv", ["predicted_accuracy"]),
        ("classification", "inrs", "classes.csv", [f"probability_{digit}" for digit in range(10)]),
    ],
)
def test_predictions_are_those_of_then(first, run, zoo, known, columns):
    then = pl.read_csv(known).select(columns).to_torch().float()
    now = load_run(run).predict(open_zoo(zoo).read()).reshape(then.shape)
    assert torch.allclose(now, then, atol=1e-6)


def test_edits_are_those_of_then(first):
    then, now = open_zoo("edited").read().flatten(), load_run("editing").predict(open_zoo("inrs").read()).flatten()
    before = open_zoo("inrs").read().flatten()
    assert torch.allclose(now, then, atol=1e-7) and not torch.equal(before, then)
