"""All output of commands: results go to stdout; notes, progress and errors to stderr."""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mnfn_cli.cli.progress import Bar, Lines
from mnfn_cli.cli.table import Table
from mnfn_cli.cli.terminal import is_capable, say
from mnfn_cli.errors import MnfnError, printable, shortened
from mnfn_cli.runtime.place import place

if TYPE_CHECKING:
    from mnfn_cli.runtime.context import Progress


LINE = 300
"""The length of the longest line of an error, in characters."""
FAULTS = 20
"""The largest number of faults that are printed."""


class Console:
    """Prints the results, notes and progress of a command, on rank 0 of several processes.

    Args:
        quiet: print no notes and no progress.
        json: print results as one JSON document instead of text and tables.
    """

    def __init__(self, *, quiet: bool = False, json: bool = False) -> None:
        self._prints = place().rank == 0
        self.quiet = quiet or not self._prints
        self.json = json

    def note(self, text: str) -> None:
        """Print one line to stderr, unless ``quiet``."""
        if not self.quiet:
            say(sys.stderr, "mnfn:", "cyan", printable(text))

    def result(self, document: Any, *parts: str | Table) -> None:
        """Print the result of a command.

        Args:
            document: the result as JSON data, printed if ``json``.
            parts: the result as texts and tables, printed otherwise.
        """
        from mnfn_cli.storage.atomic import to_json

        if not self._prints:
            return
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
        """Print a result that is one table; in JSON it is the list of its rows.

        Args:
            rows: the rows, each with its values by key.
            columns: the headings of the columns to show, by key; by default all keys.
            title: a line above the table; not part of JSON.
            formats: format specifications by key, as in ``Table``.
        """
        self.result(list(rows), Table(rows, columns, title, formats or {}))

    def progress(self) -> "Progress":
        """Return where an engine reports its progress to."""
        return Bar(self.note) if is_capable(sys.stderr) and not self.quiet else Lines(self.note)


def print_error(error: MnfnError) -> None:
    """Print each fault of an error on a line of stderr: the first ``FAULTS``, and as much as ``LINE`` characters hold.

    With ``MNFN_DEBUG=1`` all of them are printed in full.
    """
    prefix, whole = "mnfn: error:", os.environ.get("MNFN_DEBUG") == "1"
    for fault in error.faults[: None if whole else FAULTS]:
        say(sys.stderr, prefix, "bold red", fault if whole else shortened(fault, LINE - len(prefix) - 1))
    if len(error.faults) > FAULTS and not whole:
        problem = f"{len(error.faults)} faults in all, of which the first {FAULTS} stand above; MNFN_DEBUG=1 prints all"
        say(sys.stderr, prefix, "bold red", problem)


def print_details(error: MnfnError) -> None:
    """Print the faults of an error and its details as one JSON document on stdout."""
    from mnfn_cli.storage.atomic import to_json

    print(to_json({"errors": list(error.faults), **error.details}))
