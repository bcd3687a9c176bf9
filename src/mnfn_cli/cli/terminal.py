"""What an output stream can show: a terminal gets colour and boxes, everything else plain text."""

import os
from typing import TYPE_CHECKING, Any, TextIO

from mnfn_cli.errors import one_line

if TYPE_CHECKING:
    from rich.console import Console

UNBOUNDED = 1_000_000
"""The width of plain text, in which no line is ever broken."""


def is_capable(stream: TextIO) -> bool:
    """Return whether a stream is a terminal that understands more than plain text."""
    return stream.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")


def rich_console(stream: TextIO, width: int | None = None) -> "Console":
    """Return a rich console for a stream: with styles on a capable terminal, without any elsewhere.

    Args:
        stream: stdout or stderr.
        width: columns; by default the terminal's.
    """
    from rich.console import Console

    capable = is_capable(stream)
    coloured = capable and not os.environ.get("NO_COLOR")
    return Console(
        file=stream,
        width=width,
        force_terminal=capable,
        color_system="auto" if coloured else None,
        markup=False,
        emoji=False,
        highlight=False,
    )


def rendered(console: "Console", renderable: Any, **options: Any) -> str:
    """Return what a console would print, without the spaces that pad its lines."""
    with console.capture() as captured:
        console.print(renderable, **options)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def showable(text: object, stream: TextIO) -> str:
    """Return text on one line, with what the stream's encoding lacks escaped."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return one_line(text).encode(encoding, "backslashreplace").decode(encoding)


def say(stream: TextIO, prefix: str, style: str, text: str) -> None:
    """Print one line, its prefix in colour where the stream can show that; a terminal alone breaks the line."""
    if not is_capable(stream):
        print(f"{prefix} {text}", file=stream)
        return
    from rich.text import Text

    line = Text.assemble((prefix, style), f" {showable(text, stream)}")
    print(rendered(rich_console(stream), line, soft_wrap=True), file=stream)
