"""Benchmarks and scripts are not run here, but each of them still finds what it imports."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
OF_THE_SITE = {"docstring_examples.py", "site_hooks.py"}
"""They need the packages that `make site` installs."""
PROGRAMS = [
    pytest.param(path, marks=pytest.mark.docs if path.name in OF_THE_SITE else [], id=path.name)
    for path in sorted([*ROOT.glob("benchmarks/*.py"), *ROOT.glob("scripts/*.py")])
]


@pytest.mark.parametrize("program", PROGRAMS)
def test_it_imports(program, monkeypatch):
    monkeypatch.syspath_prepend(program.parent)
    found = importlib.util.spec_from_file_location(f"program_{program.stem}", program)
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    assert module.__doc__
