"""Every public name is where docs/api.md says, says what users need, and keeps its signature."""

import ast
import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import torch
from exports import PACKAGES, entries, explained, parameters, public_names, raised, sections

from mnfn_cli import MonomialElement, NetworkSpec, Run, WeightSpaceFeatures, Zoo

ROOT = Path(__file__).parents[2]
NAMES = public_names()
LAZY = ("mnfn_cli", "mnfn_cli.weightspace", "mnfn_cli.nn", "mnfn_cli.models", "mnfn_cli.zoo")


def ids(names):
    return [f"{package}.{name}" for package, name, _ in names]


def test_the_check_sees_the_names_that_a_functional_needs():
    names = {name for _, name, _ in NAMES}
    assert {"NormalizeEntries", "MeanPool", "EquivariantActivation", "StrictEditor", "canonicalize", "Zoo"} <= names
    assert {"LearnedProbes", "ProbePoints", "ProbeStatistics", "assert_equivariant", "MonomialLinear"} <= names
    assert len(names) > 120


@pytest.mark.parametrize(("package", "name", "value"), NAMES, ids=ids(NAMES))
def test_a_public_name_says_what_users_need(package, name, value):
    doc = inspect.cleandoc(value.__doc__ or "")
    found = sections(doc)
    assert doc.splitlines()[0].rstrip().endswith((".", ":", "```", "``")) or "\n" in doc
    assert ">>> " in doc, "no example"
    arguments = parameters(value)
    assert set(entries(found.get("Args", ""))) <= set(arguments), "explains arguments that are not there"
    assert set(arguments) <= explained(value), "leaves arguments unexplained"
    assert raised(value) <= set(entries(found.get("Raises", ""))), "leaves out errors that it raises"
    if inspect.isfunction(value) and inspect.signature(value).return_annotation not in (None, "None"):
        assert found.get("Returns"), "does not say what it returns"
    if inspect.isclass(value) and issubclass(value, torch.nn.Module):
        assert found.get("Shapes"), "does not say shapes"
        assert found.get("Source"), "does not say its source"


METHODS = [
    (f"{owner.__name__}.{name}", getattr(owner, name))
    for owner in (Zoo, Run, MonomialElement, NetworkSpec, WeightSpaceFeatures)
    for name, found in inspect.getmembers(owner, inspect.isroutine)
    if not name.startswith("_") and getattr(found, "__module__", "").startswith("mnfn_cli")
]


@pytest.mark.parametrize(("name", "method"), METHODS, ids=[name for name, _ in METHODS])
def test_a_method_of_the_classes_of_most_programs_says_what_users_need(name, method):
    found = sections(inspect.cleandoc(method.__doc__ or ""))
    assert found.get(">>>"), "no example"
    assert set(entries(found.get("Args", ""))) == set(parameters(method))
    assert raised(method) <= set(entries(found.get("Raises", "")))


def test_the_sections_of_a_docstring_can_fail():
    def bad(known, unknown):
        """Return.

        Args:
            known: here.
            other: not an argument.
        """
        raise ValueError("always")

    assert entries(sections(inspect.cleandoc(bad.__doc__))["Args"]) == ["known", "other"]
    assert explained(bad) == {"known", "other"}
    assert raised(bad) == {"ValueError"}
    assert parameters(bad) == ["known", "unknown"]


@pytest.mark.parametrize("package", LAZY)
def test_type_checkers_see_the_names_that_are_there(package):
    module = import_module(package)
    tree = ast.parse(Path(module.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    typed = {}
    for node in block.body:
        if isinstance(node, ast.ImportFrom):
            typed |= {alias.asname: f"{node.module}.{alias.name}" for alias in node.names}
    assert set(typed) == set(module.__all__) - {"__version__"}
    for name, place in typed.items():
        owner, _, original = place.rpartition(".")
        assert getattr(module, name) is getattr(import_module(owner), original)
    with pytest.raises(AttributeError, match="no_such_name"):
        module.no_such_name  # noqa: B018


def test_packages_import_neither_torch_nor_polars():
    script = "import sys\n" + "".join(f"import {package}\n" for package in LAZY)
    script += "print([name for name in ('torch', 'polars', 'numpy') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_page_and_the_signatures_are_those_of_the_code(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import api

    assert set(api.PACKAGES) == set(PACKAGES)
    assert api.PAGE.read_text() == api.page(), "run python scripts/api.py"
    change = "a public signature changed; if that is meant, run python scripts/api.py and say so in the changelog"
    assert api.SIGNATURES.read_text() == api.signatures(), change
