"""Count the cells in each row of a CSV file. polars fills up a row that is too short, and says nothing."""

from pathlib import Path

import numpy as np

from mnfn_cli.errors import DataError

AT_ONCE = 2**20
_QUOTE, _COMMA, _NEWLINE = b'",\n'


def refuse_ragged_rows(path: Path, content: bytes, columns: int) -> None:
    """Check that every row of a table has a cell for each column. Empty lines are no rows.

    Args:
        path: the file, for errors.
        content: its bytes.
        columns: the number of columns.

    Raises:
        DataError: a row has more or fewer cells; the first one is named; the heading is row 1.
    """
    content = content.replace(b"\r\n", b"\n")
    if not content.endswith(b"\n"):
        content += b"\n"
    inside, commas, length, row = False, 0, 0, 1  # of what has been read: in quotes, and the line that is not complete
    for start in range(0, len(content), AT_ONCE):
        piece = np.frombuffer(content, np.uint8, min(AT_ONCE, len(content) - start), start)
        ends, found = np.flatnonzero(piece == _NEWLINE), np.flatnonzero(piece == _COMMA)
        quotes = np.flatnonzero(piece == _QUOTE)
        if inside or len(quotes):
            ends, found = (places[(np.searchsorted(quotes, places) + inside) % 2 == 0] for places in (ends, found))
        before = np.searchsorted(found, ends)
        cells = np.diff(before, prepend=0) + 1
        lengths = np.diff(ends, prepend=-1) - 1
        if len(ends):
            cells[0] += commas
            lengths[0] += length
            commas, length = 0, 0
        last = ends[-1] + 1 if len(ends) else 0
        rows = np.flatnonzero(lengths)
        wrong = rows[cells[rows] != columns]
        if len(wrong):
            number = row + int(np.searchsorted(rows, wrong[0]))
            raise DataError(f"{path}:row {number}", f"{cells[wrong[0]]} cells; the heading has {columns}")
        row += len(rows)
        inside = bool((len(quotes) + inside) % 2)
        commas += len(found) - (int(before[-1]) if len(before) else 0)
        length += len(piece) - last
