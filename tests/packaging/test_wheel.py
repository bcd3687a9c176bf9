"""The wheel, installed where nothing else of ours is: no torch, no click, not in the clone."""

import hashlib
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NEEDED = ("typer", "pyyaml", "pydantic")
"""What help and recipes need; torch and the others are left out, which proves that they are not imported."""


def call(*command, cwd=None):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=cwd, env=clean, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def environment():
    """An environment with the few packages, kept between test runs; a run after the first needs no network."""
    constraints = ROOT / "constraints.txt"
    key = hashlib.sha256(constraints.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = ROOT / ".cache" / f"wheel-environment-{key}"
    if not (folder / "complete").exists():
        venv.create(folder, with_pip=True, clear=True)
        call(folder / "bin" / "python", "-m", "pip", "install", "-q", "-c", constraints, *NEEDED)
        (folder / "complete").touch()
    return folder


@pytest.mark.slow
def test_help_and_recipes_from_the_wheel(environment, tmp_path):
    call(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", ROOT, "-w", tmp_path)
    (wheel,) = tmp_path.glob("mnfn-*.whl")
    python = environment / "bin" / "python"
    call(python, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--force-reinstall", wheel)
    installed = call(python, "-m", "pip", "list", "--format=freeze").lower()
    assert "torch" not in installed and "click==" not in installed
    mnfn = environment / "bin" / "mnfn"
    assert "Examples:" in call(mnfn, "--help", cwd=tmp_path)
    listed = call(mnfn, "recipe", "list", cwd=tmp_path)
    shipped = {str(path.relative_to(ROOT / "recipes"))[: -len(".yaml")] for path in (ROOT / "recipes").rglob("*.yaml")}
    assert shipped == {line.split()[0] for line in listed.splitlines()[1:]}
    inside = zipfile.ZipFile(wheel).namelist()
    stored = {path.relative_to(ROOT).as_posix() for path in (ROOT / "pretrained").rglob("*") if path.is_file()}
    assert {f"mnfn_cli/_{name}" for name in stored} == {name for name in inside if "/_pretrained/" in name} and stored
    call(mnfn, "pretrained", cwd=tmp_path)
    where = call(mnfn, "recipe", "list", "--json", cwd=tmp_path)
    assert str(environment) in where and str(ROOT / "recipes") not in where


def test_torch_is_pinned_without_a_local_suffix():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert "torch==2.13.0" in lines
    assert not [line for line in lines if "+" in line and not line.startswith("#")]
