"""Write docs/inside/adding.md: where a model, a task, a format and an activation go, each with a patch that works.

``python scripts/adding_page.py`` writes the page from docs/examples/patches. Tests apply every patch to a copy of the
project and run the tests that it brings.
"""

import re
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "inside" / "adding.md"
PATCHES = DOCS / "examples" / "patches"

HEADING = """# Where to add things

<!-- written by scripts/adding_page.py from docs/examples/patches; change nothing here by hand -->

Four additions, each as a patch that applies to this version and works: `git apply docs/examples/patches/NAME.patch`.
Tests apply them to a copy and run the tests that they bring. The patches are examples; none of them is part of mnfn.
Without changing mnfn at all, a functional can be [a plugin](../guides/own-functional.md).

Every addition has the same four parts: the code in one file, an entry in one list, the shipped recipe or the help text,
and a test. A new file imports only from [layers below its own](code-map.md).
"""

SECTIONS = {
    "model": (
        "A model",
        "An MLP on the norms of all tensors, for the task `generalization`. The functional is a file in `models/`; its "
        "options with their defaults are declared in `recipe/`, where no torch is imported; the recipe has the "
        "published options. Training, sweeps, evaluation and cards need no change.",
    ),
    "task": (
        "A task",
        "Name the optimizer that trained a network. A task is a subclass of `Task`, or of one of its subclasses as "
        "here, and an entry in `task_list.py`, which also makes its command: `mnfn name-optimizer`, short "
        "`mnfn origin`. It comes with its first model.",
    ),
    "format": (
        "A format",
        "SIRENs in folders by split and class. An importer finds files and says what each is; reading, checking and "
        "writing are shared, so damaged files are told, and an interrupted import goes on, without code of its own.",
    ),
    "activation": (
        "An activation",
        "Softsign, an odd function. Its group decides everything else: which layers are allowed, what `augment` does, "
        "what the canonical form is. A function that torch does not have would also be added to "
        "`weightspace/forward_pass.py`.",
    ),
}


def parts(name: str) -> dict[str, str]:
    """Return a patch by the path of each file."""
    found = re.split(r"^(?=diff --git )", (PATCHES / f"{name}.patch").read_text(), flags=re.MULTILINE)
    return {part.splitlines()[0].rpartition(" b/")[2]: part for part in found if part}


def shown(part: str) -> str:
    """Return the hunks of a patch of one file, without git's lines; of a new file its text."""
    _, _, hunks = part.partition("\n+++ ")
    lines = hunks.splitlines()[1:]
    if _is_new(part):
        return "\n".join(line.removeprefix("+") for line in lines[1:])
    return "\n".join(re.sub("^@@.*@@.*", "@@", line) for line in lines)


def section(name: str) -> list[str]:
    """Return the section on a patch."""
    title, text = SECTIONS[name]
    lines = [f"## {title}", "", f"{text} The whole patch: [{name}.patch](../examples/patches/{name}.patch).", ""]
    found = parts(name)
    tests = [f"`{path}`" for path in found if path.startswith("tests/")]
    code = sorted((path for path in found if path.startswith("src/")), key=lambda path: not _is_new(found[path]))
    recipe, *recipes = [path for path in found if path.startswith("recipes/")] or [None]
    for path in [*code, *([recipe] if recipe else [])]:
        new = _is_new(found[path])
        language = "diff" if not new else "yaml" if path == recipe else "py"
        lines += [f"`{path}`{', new' if new else ''}:", "", f"```{language}", shown(found[path]), "```", ""]
    lines += [f"And `{path}`, which is alike.\n" for path in recipes]
    return [*lines, f"Tests: {', '.join(tests)}.", ""]


def _is_new(part: str) -> bool:
    return "--- /dev/null" in part


def page() -> str:
    """Return the page."""
    return "\n".join([HEADING, *(line for name in SECTIONS for line in section(name))]).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
