"""What each section says, of real zoos, runs, sweeps, evaluations and tables; of unfinished runs; and of large zoos."""

import json
import re
import shutil
import tracemalloc

import numpy as np
import polars as pl
import pytest
from reported import ATTACKS, page_of

from mnfn_cli.errors import DataError
from mnfn_cli.pretrained import find_run
from mnfn_cli.report.page.predictions import read_predictions
from mnfn_cli.report.stored_evaluation import read_evaluation
from mnfn_cli.storage.locks import locked
from mnfn_cli.tasks.evaluation import evaluate_runs
from mnfn_cli.tasks.finished_run import load_run
from mnfn_cli.tasks.sweep_results import read_sweep
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.writer import save_zoo


def facts(page):
    """The numbers at a glance, by what they are."""
    return dict(re.findall(r"<div><dt>([^<]*)</dt><dd>([^<]*)<", page))


def test_the_page_is_the_same_again(everything):
    assert page_of(*everything) == page_of(*everything)


def test_a_page_asks_for_nothing(everything):
    page = page_of(*everything)
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page) and "@import" not in page and "url(http" not in page
    assert "connect-src" not in page and "default-src &#x27;none&#x27;" in page
    assert " style=" not in page and not re.search(r"<[^>]+\son\w+=", page)
    assert page.count('<nav aria-label="Contents">') == 1 and page.count("<section ") == len(everything)


def test_one_path_needs_no_contents(digits_zoo):
    assert "<nav" not in page_of(digits_zoo.path)


def test_a_zoo(digits_zoo):
    page, found = page_of(digits_zoo.path), facts(page_of(digits_zoo.path))
    assert found["networks"] == "40" and found["numbers each"] == "4,970" and found["symmetry"] == "scale"
    median = digits_zoo.table["test_accuracy"].median()
    assert found["median test accuracy"] == f"{median:.3f}" and "Histogram of test accuracy: 40 networks" in page
    assert all(f">{name}<" in page for name in digits_zoo.ids)


def test_a_zoo_of_inrs_shows_pictures(inr_zoo):
    page = page_of(inr_zoo.path)
    assert page.count("<img ") == 24 and "12 of 60 networks" in page and "dB</small>" in page


def test_a_run(relu_run):
    page, result = page_of(relu_run), json.loads((relu_run / "result.json").read_text())
    found = facts(page)
    assert found["model"] == "monomial" and found["test Kendall&#x27;s tau"] == f"{result['test']['tau']['value']:.3f}"
    assert 'class="state done">done<' in page and "Model card" in page and "library_name: mnfn" in page
    assert all(f">{one}</h3>" in page for one in ("Training", "Validation", "Predicted and true", "Invariance"))


def test_a_classifier_has_a_confusion_matrix(classes_run):
    counts = json.loads((classes_run / "result.json").read_text())["confusion"]
    table = re.search(r'<div class="wide confusion".*?</table>', page_of(classes_run))[0]
    shown = [[int(cell or 0) for cell in re.findall(r'<td class="h\d">(\d*)</td>', row)] for row in table.split("<tr>")]
    present = [number for number, row in enumerate(counts) if sum(row) or any(other[number] for other in counts)]
    assert [row for row in shown if row] == [[counts[i][j] for j in present] for i in present]


def test_an_editor_shows_its_edits(dilate_run):
    page = page_of(dilate_run)
    assert page.count("<img ") == 3 * min(12, page.count('alt="before')) and 'alt="target, picture 1"' in page


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("generalization/digits-relu-hybrid", "24 of 384 learned inputs"),
        ("classification/digits-probe", "Learned points"),
        ("editing/digits-dilate-graded", "Measured on test networks"),
        ("generalization/digits-relu-canonical-statistics", "Measured on test networks"),
    ],
)
def test_runs_that_come_with_mnfn(name, words):
    page = page_of(find_run(name))
    assert words in page
    assert page.count("<img ") == (24 if "hybrid" in name else 0)


def unfinished(run, folder):
    shutil.copytree(run, folder)
    text = (folder / "run.json").read_text()
    (folder / "run.json").write_text(text.replace('"state": "done"', '"state": "running"'))
    for name in ("result.json", "predictions.csv", "README.md"):
        (folder / name).unlink()
    return folder


def test_an_unfinished_run_is_what_it_is(relu_run, tmp_path):
    run = unfinished(relu_run, tmp_path / "run")
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 9, "epo')
    page = page_of(run)
    assert 'class="state stopped">stopped<' in page and f"mnfn train --resume {run}" in page
    assert facts(page)["validations"] == "2" and "This run was interrupted" in page
    with locked(run):
        assert 'class="state running">running<' in page_of(run)
    (run / "metrics.jsonl").unlink()
    assert facts(page_of(run))["validations"] == "0"


def test_a_damaged_line_of_metrics_is_named(relu_run, tmp_path):
    shutil.copytree(relu_run, tmp_path / "run")
    (tmp_path / "run" / "metrics.jsonl").write_text('{"step": 1, "epoch": 1}\n[]\n')
    with pytest.raises(DataError, match=r"metrics.jsonl:line 2: is no line of metrics"):
        page_of(tmp_path / "run")


def test_an_evaluation_is_read_as_it_was_written(evaluation, relu_run):
    found = evaluate_runs([load_run(relu_run)], [(1.0, 10.0), (1.0, 1e4)])
    stored = read_evaluation(evaluation)
    assert stored.evaluation == found and stored.command == "mnfn evaluate"
    assert "U[1, 10000], permuted" in page_of(evaluation)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("group", "scales", "group"),
        ("rows", [{}], "rows.0.run"),
        ("task", "x", "task: is 'x'"),
        ("count", "many", "count"),
    ],
)
def test_a_damaged_evaluation(evaluation, tmp_path, key, value, words):
    shutil.copytree(evaluation, tmp_path / "out")
    document = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    (tmp_path / "out" / "evaluation.json").write_text(json.dumps(document | {key: value}))
    with pytest.raises(DataError, match=words):
        page_of(tmp_path / "out")


def test_a_sweep(sweep, relu_run, tmp_path):
    page, results = page_of(sweep), json.loads((sweep / "results.json").read_text())
    assert facts(page)["finished"] == "2" and 'class="state done">done<' in page
    for one in results:
        assert f">{one['test']['tau']['value']:.4f}<" in page
    shutil.copytree(sweep, tmp_path / "sweep")
    unfinished(relu_run, tmp_path / "sweep" / "other-seed0")
    page = page_of(tmp_path / "sweep")
    assert 'class="state stopped">stopped<' in page and ">other-seed0<" in page and facts(page)["runs"] == "3"


@pytest.mark.parametrize("content", ["{}", "[[]]", '[{"recipe": "a", "variant": [], "seed": 0}]', "[", "\ud800"])
def test_a_damaged_table_of_a_sweep(tmp_path, content):
    (tmp_path / "results.json").write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(DataError, match=r"results\.json"):
        read_sweep(tmp_path)


def test_predictions(predictions):
    page, table = page_of(predictions), pl.read_csv(predictions)
    held = ((table["low"] <= table["true_accuracy"]) & (table["true_accuracy"] <= table["high"])).mean()
    assert facts(page)["held by their intervals"] == f"{held:.1%}" and facts(page)["networks"] == "2,500"
    drawn = re.search(r'<svg[^>]*aria-label="predicted accuracy.*?</svg>', page, re.DOTALL)[0]
    assert len(re.findall("<use ", drawn)) < 1000 and "one in 3" in page and "first 200 of 2,500 rows" in page


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a,b\n1,2\n", "is no table of predictions: its columns are a, b"),
        ("network,predicted_accuracy,true_accuracy\nx,high,0.5\n", "holds text where numbers are needed"),
        ("network,predicted_accuracy\nx\n", "row 2: 1 cells"),
        ("", "no readable table"),
    ],
)
def test_a_table_that_is_none(tmp_path, content, words):
    file = tmp_path / "x.csv"
    file.write_text(content)
    with pytest.raises(DataError, match=re.escape(words)):
        page_of(file)


def test_tables_without_truth_or_rows(tmp_path):
    (tmp_path / "a.csv").write_text("network,predicted_accuracy\nx,0.5\ny,0.7\n")
    (tmp_path / "b.csv").write_text("network,predicted_accuracy,true_accuracy\n")
    (tmp_path / "c.csv").write_text("network,predicted_class\n001,3\n")
    page = page_of(tmp_path)
    assert page.count("<section ") == 3 and "predicted accuracy: 2 networks" in page
    assert read_predictions(tmp_path / "c.csv").table["network"].to_list() == ["001"]


def test_texts_of_the_user_are_escaped(attacked, attacked_predictions):
    page = page_of(attacked, attacked_predictions)
    assert page.count("<script>") == 1 and "<img src=x" not in page and "<svg onload" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 6 and "\x07" not in page and "\u202e" not in page
    assert all(len(attack) > 200 or page.count("&lt;!-- x") for attack in ATTACKS)


def test_a_large_zoo_stays_small(tmp_path):
    """A hundred times the networks cost no longer page, and no more memory than their table takes several times."""
    sizes, peaks = [], []
    for count in (300, 30_000):
        spec = NetworkSpec.mlp([2, 3, 2], activation="relu")
        random = np.random.default_rng(0)
        table = {"id": [f"n{row}" for row in range(count)], "split": ["train", "val", "test"] * (count // 3)}
        table |= {"test_accuracy": random.random(count), "seed": random.integers(0, 2**40, count)}
        features = WeightSpaceFeatures.zeros(spec, count)
        path = save_zoo(tmp_path / f"zoo-{count}", spec, features, table).path
        tracemalloc.start()
        page = page_of(path)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        sizes.append(len(page))
        assert f"Histogram of test accuracy: {count:,} networks" in page
    assert sizes[1] < 1.1 * sizes[0]
    assert peaks[1] < peaks[0] + 400 * 30_000
