"""What an output stream can show: colour and borders on a terminal, plain text elsewhere."""

import io
import os
from typing import TYPE_CHECKING, Any, TextIO

from mnfn_cli.errors import one_line

if TYPE_CHECKING:
    from rich.console import Console

UNBOUNDED = 1_000_000
"""The width of plain text, so large that no line is broken."""


class _Forgiving(io.FileIO):
    def write(self, content: Any, /) -> int:
        try:
            return super().write(content)
        except OSError:
            return len(content)


def forgiving(stream: TextIO) -> TextIO:
    """Return a stream to the same place whose writes never fail: what cannot be written is lost.

    A long job must not end because the terminal that shows its notes is gone, or their file cannot grow.
    """
    raw = _Forgiving(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(io.BufferedWriter(raw), stream.encoding, "backslashreplace", line_buffering=True)


def is_capable(stream: TextIO) -> bool:
    """Return whether a stream is a terminal that can show colour and borders."""
    return stream.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")


def rich_console(stream: TextIO, width: int | None = None) -> "Console":
    """Return a rich console for a stream, with colour only where ``is_capable`` and NO_COLOR is not set.

    Args:
        stream: stdout or stderr.
        width: the width in columns; by default that of the terminal.
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
    """Return the text that a console would print, without trailing spaces in its lines."""
    with console.capture() as captured:
        console.print(renderable, **options)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def showable(text: object, stream: TextIO) -> str:
    """Return text on one line, in which characters that the stream's encoding lacks are escaped."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return one_line(text).encode(encoding, "backslashreplace").decode(encoding)


def say(stream: TextIO, prefix: str, style: str, text: str) -> None:
    """Print a line of a prefix and a text. On a terminal the prefix has the rich style ``style``."""
    if not is_capable(stream):
        print(f"{prefix} {text}", file=stream)
        return
    from rich.text import Text

    line = Text.assemble((prefix, style), f" {showable(text, stream)}")
    print(rendered(rich_console(stream), line, soft_wrap=True), file=stream)
