"""Write docs/api.md and tests/api/signatures.txt from the packages. A change of the second is a change of the API."""

import inspect
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "api.md"
SIGNATURES = ROOT / "tests" / "api" / "signatures.txt"
PACKAGES = {
    "mnfn_cli": "What most work needs.",
    "mnfn_cli.weightspace": "Weight spaces, their group and its action, the canonical form, forward passes.",
    "mnfn_cli.nn": "Layers for functionals of your own.",
    "mnfn_cli.models": "Complete functionals; `build_model` builds them with the published options.",
    "mnfn_cli.zoo": "Zoos: open, save, build, augment, import, export, divide.",
    "mnfn_cli.recipe": "Recipes, and the declaration of models of your own.",
    "mnfn_cli.testing": "Checks for layers of your own.",
    "mnfn_cli.errors": "The exceptions, each with the exit code of the command line.",
}

COMMANDS = {
    "augment": "augment_zoo",
    "classify": "classify",
    "compare": "compare",
    "count-params": "models.count_parameters",
    "edit": "edit",
    "evaluate": "evaluate",
    "explain": "explain",
    "export-functional": "export_functional",
    "predict": "predict",
    "pretrained": "list_pretrained",
    "recipe list": "recipe.list_recipes",
    "recipe show": "recipe.load_recipe",
    "recipe validate": "recipe.load_recipe",
    "report": "write_report",
    "sweep": "sweep",
    "train": "train",
    "train --resume": "resume",
    "zoo build cnn": "build_cnn_zoo",
    "zoo build mlp": "build_mlp_zoo",
    "zoo build siren": "build_siren_zoo",
    "zoo export": "export_zoo",
    "zoo filter": "zoo.plan_filter",
    "zoo import": "import_zoo",
    "zoo info": "open_zoo",
    "zoo merge": "zoo.plan_merge",
    "zoo render": "render_zoo",
    "zoo split": "zoo.plan_split",
    "zoo verify": "verify_zoo",
    "zoo verify --twins": "zoo.find_twins",
}
"""By command, the function that does the same, below ``mnfn_cli``."""

HEAD = """# The Python API

<!-- scripts/api.py writes this page from the packages; a test compares them. -->

The names below are public: import them from the package under which they stand, not from the module that defines
them. `import mnfn_cli` imports neither torch nor polars; a name imports what it needs when it is first used.
`help(mnfn_cli.MonomialLinear)` and the like print equations, shapes, errors, sources and an example that runs.

**What stable means.** A public name stays where it is, its arguments keep their names, order, defaults and meaning, and
what it returns keeps its type, shape and units, from one minor version to the next. Names, arguments and
attributes are added. A name or an argument that is to go first warns with a `DeprecationWarning`, which names what to
use instead, for at least one minor version, and `CHANGELOG.md` says so. Until version 1.0 a minor version may
also break what the changelog names under *Changed*. Names that are not on this page, and those with an underscore,
may change at any time. What is on disk has promises of its own ([formats](formats.md)).

`tests/api/signatures.txt` holds every signature. A test compares it with the code, so none changes unseen.

Errors are subclasses of `mnfn_cli.errors.MnfnError`, with the message that the command line prints.

## From commands to functions

What a command writes, its function writes too, to the same bytes but for the command line that is recorded. Zoos
and runs are given open or by their paths (`resume` and `write_report` take paths). What functions return has the
numbers; results with a table have `table` (polars), `to_pandas()` and, where a picture says more, `plot()`. Plans
(`zoo.plan_split` and the like) say what a new zoo will hold, and `zoo.write_plan` writes it.
"""


def public(package: str) -> list[tuple[str, Any]]:
    """Return the public names of a package with their values."""
    module = import_module(package)
    return [(name, getattr(module, name)) for name in module.__all__]


def summary(value: Any) -> str:
    """Return the first sentence of a docstring, on one line, for a cell of a table."""
    if isinstance(value, str):
        return "The version of mnfn."
    if not (inspect.isclass(value) or inspect.isroutine(value)):
        return "The declared models by task and name."
    text = inspect.cleandoc(value.__doc__ or "").split("\n\n")[0].replace("\n", " ")
    first = re.match(r"(.+?[.:])(?= [A-Z0-9`]|$)", text)
    return (first[1] if first else text).rstrip(":.").replace("|", "\\|").replace("``", "`") + "."


def page() -> str:
    """Return the text of docs/api.md."""
    pairs = [f"| `mnfn {command}` | `mnfn_cli.{name}` |" for command, name in COMMANDS.items()]
    parts = ["\n".join([HEAD, "| command | function |", "|---|---|", *pairs, ""])]
    for package, about in PACKAGES.items():
        rows = [f"| `{name}` | {summary(value)} |" for name, value in public(package)]
        parts.append("\n".join([f"## `{package}`", "", about, "", "| name | what it is |", "|---|---|", *rows, ""]))
    return "\n".join(parts)


def signatures() -> str:
    """Return a line for each public name, and for each public method and property of a class."""
    lines: list[str] = []
    first: dict[int, str] = {}
    for package in PACKAGES:
        for name, value in public(package):
            where = f"{package}.{name}"
            known = first.setdefault(id(value), where)
            lines += _lines(where, value) if known == where else [f"{where} is {known}"]
    return "\n".join(lines) + "\n"


def _lines(name: str, value: Any) -> list[str]:
    if not (inspect.isclass(value) or inspect.isroutine(value)):
        return [name]
    lines = [f"{name}{_signature(value)}"]
    if inspect.isclass(value):
        ours = [vars(each) for each in reversed(value.__mro__) if each.__module__.startswith("mnfn_cli")]
        members = {member: found for each in ours for member, found in each.items()}
        for member, found in sorted(members.items()):
            theirs = inspect.isfunction(found) and not found.__module__.startswith("mnfn_cli")
            if member.startswith("_") or theirs:
                continue
            if isinstance(found, classmethod | staticmethod):
                lines.append(f"{name}.{member}{_signature(found.__func__)}")
            elif inspect.isfunction(found):
                lines.append(f"{name}.{member}{_signature(found)}")
            elif isinstance(found, property) or type(found).__name__ == "cached_property":
                lines.append(f"{name}.{member}")
    return lines


def _signature(value: Any) -> str:
    """Return names, kinds and defaults of the arguments; annotations are the type checker's matter."""
    try:
        found = inspect.signature(value)
    except ValueError:
        return "()"
    bare = [each.replace(annotation=inspect.Parameter.empty) for each in found.parameters.values()]
    return str(found.replace(parameters=bare, return_annotation=inspect.Signature.empty))


def main() -> None:
    """Write both files."""
    sys.path.insert(0, str(ROOT / "src"))
    PAGE.write_text(page())
    SIGNATURES.write_text(signatures())


if __name__ == "__main__":
    main()
