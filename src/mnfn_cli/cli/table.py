"""Tables: with borders on a terminal, as aligned columns of plain text elsewhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TextIO

from mnfn_cli.cli.terminal import UNBOUNDED, is_capable, rendered, rich_console, showable


@dataclass(frozen=True)
class Table:
    """A table to print.

    Attributes:
        rows: the rows, each with its values by key. None and missing values are shown as ``-``.
        columns: the headings of the columns to show, by key; by default all keys of the rows.
        title: a line above the table.
        formats: format specifications by key, such as ``","``. Other floats are shown with four decimals.
    """

    rows: Sequence[Mapping[str, Any]]
    columns: Mapping[str, str] | None = None
    title: str = ""
    formats: Mapping[str, str] = field(default_factory=dict)

    def render(self, stream: TextIO) -> str:
        """Return the table as text for a stream. Nothing is cut off.

        If the terminal is too narrow for the longest words, each cell is shown on a line of its own.
        """
        names = self.columns or {name: name.replace("_", " ") for row in self.rows for name in row}
        headings = [showable(heading, stream) for heading in names.values()]
        cells = [[showable(self._cell(row, name), stream) for name in names] for row in self.rows]
        lines = [self.title] if self.title else []
        return "\n".join([*lines, self._grid(list(names), headings, cells, stream)])

    def _grid(self, names: list[str], headings: list[str], cells: list[list[str]], stream: TextIO) -> str:
        from rich import box
        from rich.measure import Measurement
        from rich.table import Table as RichTable
        from rich.text import Text

        capable = is_capable(stream)
        grid = RichTable(
            box=box.ROUNDED if capable else None,
            padding=(0, 1) if capable else (0, 2, 0, 0),
            pad_edge=capable,
            header_style="bold",
        )
        for name, *column in zip(names, headings, *cells, strict=True):
            numbers = all(isinstance(row.get(name), int | float | None) for row in self.rows)
            words_only = not any(" " in text for text in column)
            grid.add_column(
                Text(column[0]), justify="right" if numbers else "left", overflow="fold", no_wrap=words_only
            )
        for row in cells:
            grid.add_row(*map(Text, row))
        console = rich_console(stream, None if capable else UNBOUNDED)
        if Measurement.get(console, console.options.update(max_width=UNBOUNDED), grid).minimum <= console.width:
            return rendered(console, grid)
        width = max(map(len, headings))
        return "\n\n".join(
            "\n".join(f"{heading:<{width}}  {cell}" for heading, cell in zip(headings, row, strict=True))
            for row in cells
        )

    def _cell(self, row: Mapping[str, Any], name: str) -> str:
        value = row.get(name)
        if value is None:
            return "-"
        if name in self.formats:
            return format(value, self.formats[name])
        if not isinstance(value, float):
            return str(value)
        if value != value:
            return "undefined"
        return f"{value:.1e}" if 0 < abs(value) < 1e-4 else f"{value:.4f}"
