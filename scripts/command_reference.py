"""Write docs/reference/commands.md: every command with its help, options, files and exit codes, from the program.

``python scripts/command_reference.py`` writes the page; a test compares it with the program.
"""

import inspect
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any, get_type_hints

import typer

from mnfn_cli import errors
from mnfn_cli.cli.app import app
from mnfn_cli.cli.help import Command, Group, parameters
from mnfn_cli.cli.options import Writes

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "commands.md"
OUTPUTS = ("--out", "-o")
EVERY = {"--help", "--quiet", "--json"}
"""Options that every command has, described once."""

HEADING = """# Commands

<!-- written by scripts/command_reference.py from the program; change nothing here by hand -->
<!-- none run: examples of help pages, which name files of the reader's -->

Each command says the same with `--help`. Data goes to stdout, everything else to stderr. Every command takes `-q`,
`--quiet` (no notes and no progress), `--json` (the result as one JSON document) and `-h`, `--help`; they are left out
below.
`mnfn --version` prints the version. After `mnfn --install-completion` the tab key completes names.

## Exit codes

Every command ends with one of these codes. An error is one line on stderr ([how it reads](../errors.md)).

"""


def commands(group: Group, words: tuple[str, ...] = ("mnfn",)) -> Iterator[tuple[tuple[str, ...], Command]]:
    """Yield all commands below a group with the words that call them, in the order of the help pages."""
    for name, command in group.commands.items():
        if getattr(command, "hidden", False):
            continue
        if isinstance(command, Group):
            yield from commands(command, (*words, name))
        else:
            assert isinstance(command, Command)
            yield (*words, name), command


def cell(text: str) -> str:
    """Return text for a cell of a table."""
    return text.replace("|", "\\|").replace("<", "&lt;")


def code(text: str) -> str:
    """Return text as code in a cell of a table, where a bar would end the cell."""
    return f"<code>{escape(text).replace('|', '&#124;')}</code>"


def exit_codes() -> list[str]:
    """Return the table of exit codes: those of the errors, from their docstrings, and those of the terminal."""
    rows = {0: "The command did what it was asked, or the reader closed stdout early."}
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.MnfnError)]
    for kind in sorted(kinds, key=lambda kind: (kind.exit_code, len(kind.mro()))):
        said = inspect.cleandoc(kind.__doc__ or "").partition("\n")[0]
        rows.setdefault(kind.exit_code, said.partition(" (exit code")[0].rstrip("."))
    rows[1] = "A bug in mnfn; a traceback is printed."
    rows[130] = "Interrupted by Ctrl-C (130) or SIGTERM (143); all files on disk are complete."
    shown = {130: "130, 143"}
    body = [f"| {shown.get(number, number)} | {text.rstrip('.')}. |" for number, text in sorted(rows.items())]
    return ["| code | meaning |", "|---|---|", *body]


def written(command: Command) -> list[tuple[str, str]]:
    """Return the options of a command that make it write, each with what it writes."""
    hints = get_type_hints(inspect.unwrap(command.callback), include_extras=True)
    found = []
    for parameter in command.params:
        names = [name for name in parameter.opts if name.startswith("--")]
        declared = [note for note in getattr(hints.get(parameter.name), "__metadata__", ()) if isinstance(note, Writes)]
        if declared:
            note: Any = declared[-1]
            text = f"[{note.what}](../formats.md#{note.section})" if note.section else note.what
            found.append((", ".join(parameter.opts), text))
        elif set(names) & set(OUTPUTS):
            found.append((", ".join(parameter.opts), parameter.help))
    return found


def section(words: tuple[str, ...], command: Command) -> list[str]:
    """Return the section on a command."""
    ctx = typer.Context(command, info_name=" ".join(words))
    lines = [f"### {' '.join(words)}", ""]
    if command.short_help:  # it has the whole help of another command, which has a section already
        *_, name = command.short_help.rstrip(".").split()
        return [*lines, command.short_help.replace(name, f"[mnfn {name}](#mnfn-{name})"), ""]
    for text in inspect.cleandoc(command.help or "").split("\n\n"):
        lines += [" ".join(text.split()), ""]
    lines += [
        "```text",
        " ".join(re.sub("[{}]", "", command.get_usage(ctx)).removeprefix("Usage: ").split()),
        "```",
        "",
    ]
    for title, entries in parameters(command, ctx):
        kept = [(term, text) for term, text in entries if not {*term.split()} & EVERY]
        if kept:
            lines += [f"| {title.lower()} | |", "|---|---|"]
            lines += [f"| {code(term)} | {cell(' '.join(text.split()))} |" for term, text in kept]
            lines.append("")
    if files := written(command):
        lines += ["Writes:", "", *(f"* `{option}`: {text}" for option, text in files), ""]
    if command.epilog:
        lines += ["```sh", *(line.removeprefix("  ") for line in command.epilog.splitlines()[1:]), "```", ""]
    return lines


def page() -> str:
    """Return the page."""
    root = typer.main.get_command(app)
    assert isinstance(root, Group)
    lines = [*exit_codes(), ""]
    panels: dict[str, list[str]] = {}
    for words, command in commands(root):
        panel = root.commands[words[1]].rich_help_panel
        panels.setdefault(panel, []).extend(section(words, command))
    for title, sections in panels.items():
        lines += [f"## {title}", "", *sections]
    return HEADING + "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page())
