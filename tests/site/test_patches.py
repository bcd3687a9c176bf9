"""The patches of docs/inside/adding.md apply to this version, and the tests that they bring pass."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from pages import DOCS, ROOT

PATCHES = sorted((DOCS / "examples" / "patches").glob("*.patch"))


def apply(patch, folder, *options):
    words = ["git", "apply", *options, str(patch)]
    # Inside of a repository git would look for the files from its root.
    return subprocess.run(
        words, cwd=folder, env=os.environ | {"GIT_CEILING_DIRECTORIES": str(folder)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("copy")
    for name in ("src", "recipes", "tests", "pretrained"):
        skipped = shutil.ignore_patterns("__pycache__", "first")
        shutil.copytree(ROOT / name, folder / name, ignore=skipped)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.stem)
def test_it_applies(patch, copy):
    done = apply(patch, copy, "--check")
    assert done.returncode == 0, done.stderr


def test_a_patch_that_does_not_fit_is_noticed(copy, tmp_path):
    wrong = tmp_path / "wrong.patch"
    wrong.write_text(PATCHES[0].read_text().replace('"relu"', '"rule"').replace("import", "export"))
    assert apply(wrong, copy, "--check").returncode != 0


@pytest.mark.docs
@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.stem)
def test_its_tests_pass(patch, copy):
    tests = re.findall(r"^\+\+\+ b/(tests/.*)$", patch.read_text(), re.MULTILINE)
    assert tests and apply(patch, copy).returncode == 0
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-n", "0", *tests],
            cwd=copy, env=os.environ | {"PYTHONPATH": str(copy / "src")}, capture_output=True, text=True, check=False,
        )  # fmt: skip
    finally:
        assert apply(patch, copy, "--reverse").returncode == 0
    assert done.returncode == 0, done.stdout


def test_all_four_are_there():
    assert {patch.stem for patch in PATCHES} == {"model", "task", "format", "activation"}
