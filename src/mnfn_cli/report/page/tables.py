"""Tables that a click on a heading sorts, cut off after some rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from mnfn_cli.errors import one_line
from mnfn_cli.report.page.markup import Content, Markup, element

ROWS = 200
"""The largest number of rows of a table; what is left out is said, with where the whole is."""
COLUMNS = 24
"""The largest number of columns."""
LONGEST = 80
"""The largest number of characters of a cell; longer texts lose their middle."""


@dataclass(frozen=True)
class Whole:
    """Where a table comes from that is shown in part.

    Args:
        where: the file that holds all of it.
        rows: the number of all rows.
        columns: the number of all columns.
    """

    where: object
    rows: int
    columns: int = 0


def data_table(
    rows: Sequence[Mapping[str, Any]],
    columns: Mapping[str, str],
    caption: str,
    *,
    formats: Mapping[str, str] | None = None,
    whole: Whole | None = None,
) -> Markup:
    """Return a table with a caption in a box of its own, which scrolls if the table is wider than the page.

    Args:
        rows: the rows; the first ``ROWS`` are shown.
        columns: the headings of the columns by their keys in the rows; the first ``COLUMNS`` are shown.
        caption: the caption, of one or two words, which is different for the tables of one section.
        formats: format specifications of numbers by key; by default as many decimals as the column needs.
        whole: where all rows are, if ``rows`` are a part of them already.
    """
    shown, heads = rows[:ROWS], dict(list(columns.items())[:COLUMNS])
    body: list[list[Content]] = [[] for _ in shown]
    numeric = {}
    for key in heads:
        values = [row.get(key) for row in shown]
        numeric[key] = all(value is None or _is_number(value) for value in values) and any(map(_is_number, values))
        given, found = (formats or {}).get(key), _format_of(values)
        for cells, value in zip(body, values, strict=True):
            form = given or (found if isinstance(value, float) else "")
            cells.append(_cell(value, form, numeric[key]))
    head = [_heading(title, numeric[key]) for key, title in heads.items()]
    table = element(
        "table",
        element("caption", caption),
        element("thead", element("tr", head)),
        element("tbody", [element("tr", cells) for cells in body]),
    )
    box = element("div", table, class_="wide", tabindex=0, role="region", aria_label=caption)
    return element(
        "div", box, _rest(len(shown), len(heads), whole or Whole("", len(rows), len(columns))), class_="data"
    )


def _rest(rows: int, columns: int, whole: Whole) -> Content:
    """Return the sentence on what is left out of a table; nothing if all of it is shown."""
    parts = []
    if rows < whole.rows:
        parts.append(f"the first {rows:,} of {whole.rows:,} rows")
    if columns < whole.columns:
        parts.append(f"{columns} of {whole.columns} columns")
    if not parts:
        return None
    where = f"; the whole is in {whole.where}" if whole.where else ""
    return element("p", f"Shown: {' and '.join(parts)}{where}.", class_="note")


def _heading(title: str, numeric: bool) -> Markup:
    button = element("button", short(title), element("span", class_="arrow", aria_hidden="true"), type="button")
    return element("th", button, scope="col", aria_sort="none", class_="number" if numeric else None)


def _cell(value: Any, form: str, numeric: bool) -> Markup:
    if _is_number(value):
        known = isinstance(value, int) or isfinite(value)
        written = format(value, form) if known else "undefined"
        return element("td", short(written), class_="number", data_v=repr(value) if known else None)
    shown = "–" if value in (None, "") else {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
    shown = short(shown)
    return element("td", shown, class_="number" if numeric else None)


def short(value: str, longest: int = LONGEST) -> str:
    """Return a text on one line, with an ellipsis in place of its middle if it is longer than a cell may be.

    >>> short("generalization", 8)
    'gene…ion'
    """
    line, head = one_line(value), longest // 2
    return line if len(line) <= longest else f"{line[:head]}…{line[head + 1 - longest :]}"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _format_of(values: Sequence[Any]) -> str:
    """Return the format of a column of floats: three decimals, or powers of ten where these would say little."""
    sizes = [abs(value) for value in values if isinstance(value, float) and isfinite(value) and value]
    if not sizes:
        return ".0f"
    small, large = sum(size < 0.005 for size in sizes), max(sizes)
    return ".1e" if large >= 1e6 or 2 * small > len(sizes) else ".3f" if large < 1000 else ".1f"
