"""The results pages are what their scripts write from the kept result files: no figure on them is typed."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    """Scripts find each other, as they do when one is run."""
    monkeypatch.syspath_prepend(ROOT / "scripts")


def script(name):
    found = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("name", "page"),
    [
        ("results", "results.md"),
        ("inr_results", "inr-results.md"),
        ("mixed_zoo", "mixed-results.md"),
        ("performance", "performance.md"),
        ("scale", "scale.md"),
    ],
)
def test_the_page_is_generated(name, page):
    assert script(name).page() == (ROOT / "docs" / page).read_text()


def test_a_missing_result_is_noticed(monkeypatch, tmp_path):
    module = script("results")
    monkeypatch.setattr(module, "RESULTS", tmp_path)
    with pytest.raises(FileNotFoundError):
        module.page()
