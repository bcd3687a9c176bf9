"""The one sink of output: data to stdout; notes, progress and errors to stderr."""

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mnfn_cli.errors import MnfnError, printable
from mnfn_cli.runtime.progress import Progress

if TYPE_CHECKING:
    from tqdm import tqdm

SECONDS_BETWEEN_LINES = 10.0


class Console:
    """What a command says.

    Args:
        quiet: no notes and no progress.
        json: one JSON document on stdout in place of text.
    """

    def __init__(self, *, quiet: bool = False, json: bool = False) -> None:
        self.quiet = quiet
        self.json = json

    def note(self, text: str) -> None:
        """Say one line to the user, not to a program that reads stdout."""
        if not self.quiet:
            print(f"mnfn: {printable(text)}", file=sys.stderr)

    def result(self, document: Any, text: str) -> None:
        """Print a command's result: ``document`` as JSON where that was asked for, else ``text``."""
        from mnfn_cli.storage.atomic import to_json

        print(to_json(document) if self.json else text)

    def progress(self) -> Progress:
        """Return where an engine reports its progress to."""
        return _Bar() if sys.stderr.isatty() and not self.quiet else _Lines(self)


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return rows in aligned columns, numbers to the right.

    >>> print(table(["name", "tau"], [["original", 0.5], ["U[1, 10]", -0.25]]))
    name          tau
    original   0.5000
    U[1, 10]  -0.2500
    """
    cells = [list(header), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    right = [all(isinstance(row[column], int | float | None) for row in rows) for column in range(len(header))]
    lines = []
    for row in cells:
        padded = [
            text.rjust(width) if to_right else text.ljust(width)
            for text, width, to_right in zip(row, widths, right, strict=True)
        ]
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def print_error(error: MnfnError) -> None:
    """Print one line a fault."""
    for fault in error.faults:
        print(f"mnfn: error: {fault}", file=sys.stderr)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        if value != value:
            return "undefined"
        return f"{value:.1e}" if 0 < abs(value) < 1e-4 else f"{value:.4f}"
    return printable(value)


class _Bar:
    """Progress on a terminal."""

    def __init__(self) -> None:
        self._bar: tqdm[Any] | None = None
        self._figures: dict[str, str] = {}

    def start(self, description: str, total: int) -> None:
        from tqdm import tqdm

        if self._bar is not None:
            self._bar.close()
        self._bar = tqdm(total=total, desc=description, dynamic_ncols=True, leave=False, file=sys.stderr)
        self._figures = {}

    def advance(self, steps: int = 1, **figures: float) -> None:
        assert self._bar is not None
        self._figures |= {name: f"{value:.3f}" for name, value in figures.items()}
        self._bar.set_postfix(self._figures, refresh=False)
        self._bar.update(steps)
        if self._bar.n >= (self._bar.total or 0):
            self._bar.close()

    def note(self, text: str) -> None:
        from tqdm import tqdm

        tqdm.write(f"mnfn: {printable(text)}", file=sys.stderr)


class _Lines:
    """Progress anywhere else: a plain line now and then."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._description, self._total, self._done, self._last = "", 0, 0, time.monotonic()
        self._figures: dict[str, float] = {}

    def start(self, description: str, total: int) -> None:
        self._description, self._total, self._done, self._last = description, total, 0, time.monotonic()
        self._figures = {}

    def advance(self, steps: int = 1, **figures: float) -> None:
        self._done += steps
        self._figures |= figures
        if time.monotonic() - self._last >= SECONDS_BETWEEN_LINES:
            self._last = time.monotonic()
            shown = "".join(f", {name} {value:.3f}" for name, value in self._figures.items())
            self._console.note(f"{self._description}: {self._done} of {self._total}{shown}")

    def note(self, text: str) -> None:
        self._console.note(text)
