"""Read a table about networks, in CSV or JSON, and match its rows with files."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from mnfn_cli.errors import DataError, UsageError
from mnfn_cli.zoo.importers.text_files import parse_json, read_utf8

KEY_COLUMNS = ("id", "file", "name", "path")
"""The columns that may name the files, unless the user names one; the first that a table has is taken."""

Row = Mapping[str, str | None]


@dataclass(frozen=True)
class LabelFile:
    """A table about networks.

    Args:
        path: the file.
        key: the column that names the files.
        columns: the names of the other columns.
        rows: the value of each column in each row, as text; None where there is none.
        places: the name of each row for errors, such as ``labels.csv:row 3``; the heading of a CSV file is row 1.
    """

    path: Path
    key: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    places: tuple[str, ...]

    def match(self, names: Sequence[str]) -> tuple[dict[int, int], list[DataError]]:
        """Find the row of each file.

        A row names a file by its path inside the folder or by its name, with or without the suffix.

        Args:
            names: the paths of all files inside the folder, with slashes.

        Returns:
            the numbers of rows by the numbers of their files; and an error for each row that names no file, several
            files, or a file that an earlier row names.
        """
        matched: dict[int, int] = {}
        errors = []
        find = FileNames(names)
        for number, row in enumerate(self.rows):
            where, name = f"{self.places[number]}:{self.key}", row[self.key]
            found = find(name) if name else []
            if not name:
                errors.append(DataError(where, "names no file"))
            elif not found:
                errors.append(DataError(where, f"there is no network '{name}'"))
            elif len(found) > 1:
                some = " and ".join(names[file] for file in found[:2])
                errors.append(DataError(where, f"'{name}' may be {some}; give paths inside the folder"))
            elif found[0] in matched:
                errors.append(
                    DataError(where, f"'{name}' has a row already, {self.places[matched[found[0]]].rpartition(':')[2]}")
                )
            else:
                matched[found[0]] = number
        return matched, errors


class FileNames:
    """Finds files by what people call them: a path inside a folder or a name, with or without the suffix.

    Args:
        paths: the paths of the files inside the folder, with slashes.

    >>> FileNames(["a/001.pt", "b/1.pt"])("1"), FileNames(["a/1.pt", "b/1.pt"])("1.pt")
    ([1], [0, 1])
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self._levels: list[dict[str, list[int]]] = [{}, {}, {}, {}]
        for number, text in enumerate(paths):
            path = PurePosixPath(text)
            for level, name in enumerate((text, str(path.with_suffix("")), path.name, path.stem)):
                self._levels[level].setdefault(name, []).append(number)

    def __call__(self, name: str) -> list[int]:
        """Return the numbers of the files with this name; a longer way of saying it goes before a shorter one."""
        wanted = name.removeprefix("./")
        return next((level[wanted] for level in self._levels if wanted in level), [])


def read_label_file(path: Path, key: str | None = None) -> LabelFile:
    """Read a table from a CSV file with a heading, or a JSON file.

    A JSON file holds a list of objects, one a network; or an object whose keys are the names of files and whose values
    are objects.

    Args:
        path: the file, whose name ends in .csv or .json.
        key: the column that names the files; by default the first of ``KEY_COLUMNS`` that the table has.

    Raises:
        UsageError: the name ends in something else, or there is no column ``key``.
        DataError: the file cannot be read; a row has too many or too few cells; a column is there twice or has no name;
            or no column names the files.
    """
    if path.suffix.lower() not in (".csv", ".json"):
        raise UsageError("--labels", f"{path} ends in neither .csv nor .json")
    text = read_utf8(path)
    columns, rows, places = (_read_json if path.suffix.lower() == ".json" else _read_csv)(path, text)
    if key is not None and key not in columns:
        raise UsageError("--id", f"{path} has no column '{key}'; it has {', '.join(columns)}")
    chosen = key or next((name for name in KEY_COLUMNS if name in columns), None)
    if chosen is None:
        known = ", ".join(KEY_COLUMNS)
        raise DataError(path, f"no column {known} names the files; say which one does with --id COLUMN")
    return LabelFile(path, chosen, tuple(name for name in columns if name != chosen), tuple(rows), tuple(places))


def _read_csv(path: Path, text: str) -> tuple[list[str], list[Row], list[str]]:
    try:
        records = [
            (number, cells) for number, cells in enumerate(csv.reader(io.StringIO(text), strict=True), 1) if cells
        ]
    except csv.Error as error:
        raise DataError(path, f"no readable CSV file: {error}") from None
    if not records:
        raise DataError(path, "is empty")
    columns = [name.strip() for name in records[0][1]]
    _check_columns(f"{path}:row {records[0][0]}", columns)
    ragged = [(number, len(cells)) for number, cells in records[1:] if len(cells) != len(columns)]
    if ragged:
        raise DataError.together(
            DataError(f"{path}:row {number}", f"{count} cells, and the heading has {len(columns)}")
            for number, count in ragged
        )
    rows: list[Row] = [
        dict(zip(columns, (cell.strip() or None for cell in cells), strict=True)) for _, cells in records[1:]
    ]
    return columns, rows, [f"{path}:row {number}" for number, _ in records[1:]]


def _check_columns(where: str, columns: Sequence[str]) -> None:
    if "" in columns:
        raise DataError(where, f"column {columns.index('') + 1} has no name")
    if len(set(columns)) < len(columns):
        twice = next(name for name in columns if columns.count(name) > 1)
        raise DataError(where, f"column '{twice}' is there twice")


def _read_json(path: Path, text: str) -> tuple[list[str], list[Row], list[str]]:
    document = parse_json(text, path)
    if isinstance(document, dict):
        listed = [(f"{path}:{name}", row, {KEY_COLUMNS[0]: name}) for name, row in document.items()]
    elif isinstance(document, list):
        listed = [(f"{path}:row {number}", row, {}) for number, row in enumerate(document, 1)]
    else:
        raise DataError(path, "is neither a list of objects nor an object of objects")
    columns: dict[str, None] = {}
    rows: list[Row] = []
    for where, row, named in listed:
        if not isinstance(row, dict):
            raise DataError(where, 'is no object, such as {"id": "net1", "accuracy": 0.9}')
        if set(named) & set(row):
            raise DataError(where, f"has a name already, and a value '{KEY_COLUMNS[0]}'")
        rows.append({name: _as_text(value, f"{where}:{name}") for name, value in (named | row).items()})
        columns |= dict.fromkeys(rows[-1])
    if not rows:
        raise DataError(path, "is empty")
    _check_columns(str(path), list(columns))
    complete: list[Row] = [{name: row.get(name) for name in columns} for row in rows]
    return list(columns), complete, [where for where, _, _ in listed]


def _as_text(value: Any, where: str) -> str | None:
    if isinstance(value, dict | list):
        raise DataError(where, "is a list or an object; a label is a number or a text")
    if value is None or isinstance(value, str):
        return (value or "").strip() or None
    return str(value).lower() if isinstance(value, bool) else repr(value)
