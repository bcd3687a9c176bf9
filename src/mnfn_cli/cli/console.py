"""The one sink of output: data to stdout; notes, progress and errors to stderr."""

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mnfn_cli.cli.progress import Bar, Lines
from mnfn_cli.cli.table import Table
from mnfn_cli.cli.terminal import is_capable, say
from mnfn_cli.errors import MnfnError, printable

if TYPE_CHECKING:
    from mnfn_cli.runtime.context import Progress


class Console:
    """What a command says.

    Args:
        quiet: no notes and no progress.
        json: one JSON document on stdout in place of text and tables.
    """

    def __init__(self, *, quiet: bool = False, json: bool = False) -> None:
        self.quiet = quiet
        self.json = json

    def note(self, text: str) -> None:
        """Say one line to the user, not to a program that reads stdout."""
        if not self.quiet:
            say(sys.stderr, "mnfn:", "cyan", printable(text))

    def result(self, document: Any, *parts: str | Table) -> None:
        """Print a command's result: ``document`` as JSON where that was asked for, else the texts and tables."""
        from mnfn_cli.storage.atomic import to_json

        if self.json:
            print(to_json(document))
            return
        texts = [part if isinstance(part, str) else part.render(sys.stdout) for part in parts]
        print(("\n\n" if sum(isinstance(part, Table) for part in parts) > 1 else "\n").join(texts))

    def table(
        self,
        rows: Sequence[Mapping[str, Any]],
        *,
        columns: Mapping[str, str] | None = None,
        title: str = "",
        formats: Mapping[str, str] | None = None,
    ) -> None:
        """Print a result that is one table; as JSON it is the list of all rows with all their keys.

        Args:
            rows: one mapping a row.
            columns: which keys people see, and under which headings; by default all.
            title: a line above the table for people.
            formats: format specifications by key.
        """
        self.result(list(rows), Table(rows, columns, title, formats or {}))

    def progress(self) -> "Progress":
        """Return where an engine reports its progress to."""
        return Bar(self.note) if is_capable(sys.stderr) and not self.quiet else Lines(self.note)


def print_error(error: MnfnError) -> None:
    """Print one line a fault."""
    for fault in error.faults:
        say(sys.stderr, "mnfn: error:", "bold red", fault)
