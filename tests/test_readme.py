"""What the README shows works as typed."""

import re
import shutil

import pytest
from pages import DOCS, ROOT, blocks, run
from PIL import Image
from sklearn.datasets import load_sample_image

README = ROOT / "README.md"


def run_block(name, folder):
    (found,) = (block for block in blocks("README.md") if block.name == name)
    return run(found, folder)


@pytest.mark.docs
def test_the_tour(tmp_path):
    done = run_block("tour", tmp_path)
    assert "400 networks" in done.stdout and "U[1, 10000], permuted" in done.stdout
    assert (tmp_path / "robustness" / "robustness.png").stat().st_size > 10_000
    assert len((tmp_path / "predictions.csv").read_text().splitlines()) == 81


@pytest.mark.docs
def test_pictures_inside_networks(tmp_path):
    done = run_block("pictures", tmp_path)
    assert "120 networks, dilate; mean squared error to the target, made from original pictures" in done.stdout
    assert len((tmp_path / "classes.csv").read_text().splitlines()) == 181
    assert (tmp_path / "before-after.png").stat().st_size > 3_000
    photograph = Image.fromarray(load_sample_image("china.jpg"))
    photograph.save(tmp_path / "my-picture.png")
    done = run_block("own", tmp_path)
    assert "turned grey" in done.stderr and "1 networks, dilate" in done.stdout
    assert [path.name for path in (tmp_path / "mine").glob("*.safetensors")] == ["my-picture.safetensors"]
    assert (tmp_path / "mine.png").stat().st_size > 1_000


@pytest.mark.docs
def test_checkpoints_of_ones_own(tmp_path):
    shutil.copytree(DOCS / "examples", tmp_path / "docs" / "examples")
    done = run_block("checkpoints", tmp_path)
    assert "labels: file nets/labels.csv, key file, rows 120, matched 120" in done.stdout
    assert "ignored: 1.num_batches_tracked" in done.stdout and "different functions" in done.stdout
    assert len((tmp_path / "nets.csv").read_text().splitlines()) == 121
    tau = float(re.search(r"tau +([0-9.]+) ", done.stdout)[1])
    assert tau > 0.5


def test_the_python_lines(tmp_path):
    done = run_block("python", tmp_path)
    difference, low, high = map(float, re.findall(r"tensor\(([^,)]+)", done.stdout))
    assert difference < 1e-6 and abs(low - 1) < 1e-6 and abs(high - 1) < 1e-6


def test_linked_files_exist():
    pages = ("extending", "functionals", "symmetries", "formats", "errors", "weight-spaces", "reproduce", "answers")
    names = (*pages, "results", "inr-results", "mixed-results")
    for link in (f"docs/{name}.md" for name in names):
        assert f"({link})" in README.read_text() and (ROOT / link).exists()
