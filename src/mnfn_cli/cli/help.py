"""Help pages: commands in groups, options with their texts, and examples; in panels on a terminal."""

import inspect
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TextIO

import typer
from typer.core import TyperCommand, TyperGroup

from mnfn_cli.cli.terminal import is_capable, rendered, rich_console

if TYPE_CHECKING:
    from rich.console import RenderableType

WIDEST = 100
"""The largest width of a help page in columns."""

Entry = tuple[str, str]

_PLAIN_TYPE = re.compile(r"<(?:list\[)?(\w+)(?: range)?\]?>")
"""Matches a type as typer writes it; ``<int range>`` and ``<list[Path]>`` are shown as ``<int>`` and ``<path>``."""


class Command(TyperCommand):
    """A typer command with the help page of ``help_page``."""

    def format_help(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        """Write the help page for stdout."""
        formatter.write(help_page(self, ctx, sys.stdout))


class Group(TyperGroup):
    """A typer group of commands that prints ``help_page``, also when no command is given."""

    def format_help(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        """Write the help page for stdout."""
        formatter.write(help_page(self, ctx, sys.stdout))

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Parse the arguments; without any, print the help page and exit with code 2."""
        if not args and not ctx.resilient_parsing:
            print(ctx.get_help())
            raise typer.Exit(2)
        return super().parse_args(ctx, args)


class App(typer.Typer):
    """A Typer whose groups and commands print ``help_page``."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(cls=Group, rich_markup_mode=None, pretty_exceptions_enable=False, **settings)

    def command(self, name: str | None = None, **settings: Any) -> Callable[..., Any]:
        """Register a command, as typer.Typer does."""
        return super().command(name, cls=Command, **settings)


def help_page(command: Command | Group, ctx: typer.Context, stream: TextIO) -> str:
    """Return the help page of a command.

    Lines are broken to the width of the terminal, or to 80 columns without one; examples are never broken.

    Args:
        command: the command or the group.
        ctx: the context of the call.
        stream: the stream on which the page is printed, which decides on colour and panels.
    """
    width = min(shutil.get_terminal_size().columns, WIDEST)
    console = rich_console(stream, width)
    sections = [*_commands(command), *parameters(command, ctx)]
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    texts = [" ".join(text.split()) for text in (re.sub("[{}]", "", command.get_usage(ctx)), *paragraphs)]
    blocks = [rendered(console, text) for text in texts]
    blocks += [rendered(console, _section(*section, width, is_capable(stream))) for section in sections]
    return "\n\n".join([*blocks, *([command.epilog] if command.epilog else [])])


def _commands(command: Command | Group) -> list[tuple[str, list[Entry]]]:
    if not isinstance(command, Group):
        return []
    panels: dict[str, list[Entry]] = {}
    shown = [entry for entry in command.commands.values() if not entry.hidden]
    for entry in sorted(shown, key=lambda entry: not isinstance(entry, Group)):
        assert isinstance(entry, Command | Group) and entry.name is not None
        summary = entry.short_help or inspect.cleandoc(entry.help or "").split("\n\n")[0]
        panels.setdefault(entry.rich_help_panel or "Commands", []).append((entry.name, " ".join(summary.split())))
    longest = max((len(name) for entries in panels.values() for name, _ in entries), default=0)
    return [(title, [(name.ljust(longest), text) for name, text in entries]) for title, entries in panels.items()]


def parameters(command: Command | Group, ctx: typer.Context) -> list[tuple[str, list[Entry]]]:
    """Return the arguments and options of a command in panels: a title, and for each parameter its form and help."""
    panels: dict[str, list[Entry]] = {"Arguments": [], "Options": []}
    for parameter in command.get_params(ctx):
        record = parameter.get_help_record(ctx)
        if record is not None:
            term, text = record
            argument = parameter.param_type_name == "argument"
            term = term.partition(" <")[0] if argument else _PLAIN_TYPE.sub(lambda found: f"<{found[1].lower()}>", term)
            panel = "Arguments" if argument else getattr(parameter, "rich_help_panel", None) or "Options"
            panels.setdefault(panel, []).append((term, text.replace("  [", " [").replace("x>=", "at least ")))
    return [(title, entries) for title, entries in panels.items() if entries]


def _section(title: str, entries: Sequence[Entry], width: int, capable: bool) -> "RenderableType":
    from rich import box
    from rich.console import Group as Together
    from rich.padding import Padding
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    term_style = "bold cyan"
    body: RenderableType
    if 2 * max(len(term) for term, _ in entries) <= width:
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(no_wrap=True)
        grid.add_column()
        for term, text in entries:
            grid.add_row(Text(term, term_style), Text(text, overflow="fold"))
        body = grid
    else:
        pairs = [
            (Text(term, term_style, overflow="fold"), Padding(Text(text, overflow="fold"), (0, 0, 0, 4)))
            for term, text in entries
        ]
        body = Together(*(line for pair in pairs for line in pair))
    if capable:
        return Panel(body, title=title, title_align="left", border_style="dim", box=box.ROUNDED, width=width)
    return Together(Text(f"{title}:"), Padding(body, (0, 0, 0, 2)))
