"""The public names of mnfn: what the packages export, and what their docstrings say."""

import ast
import inspect
import re
import textwrap
from importlib import import_module

PACKAGES = (
    "mnfn_cli",
    "mnfn_cli.weightspace",
    "mnfn_cli.nn",
    "mnfn_cli.models",
    "mnfn_cli.zoo",
    "mnfn_cli.testing",
    "mnfn_cli.errors",
    "mnfn_cli.recipe",
)
SECTIONS = ("Args", "Attributes", "Returns", "Raises", "Shapes", "Source")


def public_names():
    """Return (package, name, object) for every public name that is a class or a function, each object once."""
    found, seen = [], set()
    for package in PACKAGES:
        module = import_module(package)
        for name in module.__all__:
            value = getattr(module, name)
            if (inspect.isclass(value) or inspect.isfunction(value)) and id(value) not in seen:
                seen.add(id(value))
                found.append((package, name, value))
    return found


def sections(doc):
    """Return the sections of a docstring by name; the text before the first one is ``""``."""
    found, current = {"": []}, ""
    for line in doc.splitlines():
        heading = re.fullmatch(r"(\w+):", line)
        if heading and heading[1] in SECTIONS:
            current = heading[1]
            found[current] = []
        elif line.startswith(">>>") and current != ">>>":
            current = ">>>"
            found[current] = [line]
        else:
            found[current].append(line)
    return {name: "\n".join(lines) for name, lines in found.items()}


def entries(text):
    """Return the names that a section explains: those before the colon of a line that is indented once."""
    names = []
    for line in text.splitlines():
        if entry := re.match(r"    ([\w*]+(?:, [\w*]+)*): ", line):
            names += entry[1].split(", ")
    return names


def explained(value):
    """Return the names of the arguments that a docstring explains: its own, or for errors that of a base class.

    Fields of a record or a dataclass may be explained as attributes.
    """
    names = set()
    for each in value.__mro__ if inspect.isclass(value) and issubclass(value, Exception) else [value]:
        found = sections(inspect.cleandoc(each.__doc__ or ""))
        names |= {*entries(found.get("Args", "")), *entries(found.get("Attributes", ""))}
    return names


def parameters(value):
    """Return the names of the arguments of a function, or of the constructor of a class."""
    signature = inspect.signature(value)
    return [name for name, each in signature.parameters.items() if name not in ("self", "cls")]


def raised(value):
    """Return the names of the exceptions that a function, or a constructor, raises by itself."""
    functions = [value]
    if inspect.isclass(value):
        functions = [value.__dict__[name] for name in ("__init__", "__post_init__") if name in value.__dict__]
    names = set()
    for function in functions:
        if not inspect.isfunction(function):
            continue
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
        except (OSError, SyntaxError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                called = node.exc.func
                while isinstance(called, ast.Attribute):
                    called = called.value
                if isinstance(called, ast.Name) and called.id.endswith("Error"):
                    names.add(called.id)
    return names
