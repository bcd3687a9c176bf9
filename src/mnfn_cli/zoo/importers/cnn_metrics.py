"""Read ``metrics.csv.gz`` of the Small CNN Zoo, row by row and in bounded memory."""

import csv
import gzip
import io
import math
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from mnfn_cli.errors import DataError
from mnfn_cli.regular_files import open_regular

if TYPE_CHECKING:
    import polars as pl

ACTIVATION = "config.activation"
ACCURACIES = ("test_accuracy", "train_accuracy")
LOSSES = ("test_loss", "train_loss")
NEEDED = (ACTIVATION, "step", *ACCURACIES, *LOSSES)
MODEL_FOLDER = "modeldir"

MAX_LINE_BYTES = 2**16
MAX_ROW_BYTES = 4096
"""The largest size of a row in bytes, as a mean over the table. A published row has some hundreds."""

MAX_TEXT = 300
"""The longest ``modeldir`` that is kept, in characters."""

_CHUNK = 8192
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_PLAIN = re.compile(r"[0-9.eE+-]+", re.ASCII)
"""Texts of these characters that Python reads as numbers are those of ``_NUMBER``."""

_UNDEFINED = re.compile(r"|[+-]?(nan|inf|infinity)", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class Metrics:
    """The rows of one step.

    Args:
        table: a row for each network of the step, in the order of the file: ``row``, the number of the row in the file,
            counted from 0; ``step``; accuracies and losses as numbers, a loss that is no finite number as null; every
            ``config.*`` column, and ``modeldir`` if none of its texts is long or holds control characters, as the texts
            of the file, an empty one as null.
        rows: the number of rows of all steps.
        steps: all steps in the file, ascending.
        ignored: the names of the columns that are not read.
    """

    table: "pl.DataFrame"
    rows: int
    steps: tuple[int, ...]
    ignored: tuple[str, ...]


def read_metrics(file: Path, step: int, rows: int) -> Metrics:
    """Read the rows of one step.

    Every row must have as many cells as the heading, and a step that is a whole number. In the rows of ``step`` the
    accuracies must be numbers in [0, 1] and the losses numbers, infinite, NaN or empty; texts may hold no control
    characters.

    Args:
        file: a table compressed by gzip.
        step: the step whose rows are kept.
        rows: the number of rows that the table must have.

    Raises:
        DataError: the table is damaged, or a row or a cell is not as above. The row, counted from 0 below the heading,
            and the column are named.
    """
    try:
        with open_regular(file) as raw, gzip.open(raw, "rb") as packed, io.BufferedReader(packed, 2**20) as stream:
            return _read(file, _rows(file, stream, rows), step, rows)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise DataError(file, "is no whole gzip file; it is damaged or cut short") from None
    except OSError as error:
        raise DataError(file, f"cannot read: {error.strerror}") from None


def number(text: str) -> float | None:
    """Return the finite number that a cell holds; None for any other text.

    >>> number("8.6e1"), number("0.5%"), number("1e400"), number("nan")
    (86.0, None, None, None)
    """
    value = float(text) if _NUMBER.fullmatch(text) else math.inf
    return value if math.isfinite(value) else None


def _read(file: Path, lines: Iterator[list[str]], step: int, expected: int) -> Metrics:
    import polars as pl

    heading = _check_heading(file, next(lines, []))
    place = heading.index("step")
    steps: dict[str, int] = {}
    rows: list[int] = []
    chunk: list[list[str]] = []
    frames: list[pl.DataFrame] = []
    row = -1
    for row, cells in enumerate(lines):
        if row >= expected:
            raise DataError(f"{file}:row {row}", f"is there, and the weights have only {expected} rows")
        if len(cells) != len(heading):
            raise DataError(f"{file}:row {row}", f"{len(cells)} cells; the heading has {len(heading)}")
        if (text := cells[place]) not in steps:
            steps[text] = _whole_number(f"{file}:row {row}:step", text)
        if steps[text] == step:
            rows.append(row)
            chunk.append(cells)
        if len(chunk) == _CHUNK:
            frames.append(_frame(file, heading, rows, chunk))
            rows, chunk = [], []
    frames.append(_frame(file, heading, rows, chunk))
    if row + 1 < expected:
        raise DataError(file, f"{row + 1} rows; the weights have {expected}")
    kept = [name for name in heading if all(name in frame.columns for frame in frames)]
    ignored = tuple(name for name in heading if name not in kept)
    table = pl.concat([frame.select("row", *kept) for frame in frames])
    return Metrics(table, row + 1, tuple(sorted({*steps.values()})), ignored)


def _frame(file: Path, heading: list[str], rows: list[int], chunk: list[list[str]]) -> "pl.DataFrame":
    """Return some rows as a table with the columns of ``Metrics.table``, after a check of every cell."""
    import polars as pl

    found = [pl.Series("row", rows, dtype=pl.Int64)]
    columns: list[Sequence[str]] = list(zip(*chunk, strict=True)) if chunk else [()] * len(heading)
    for name, texts in zip(heading, columns, strict=True):
        if name == "step":
            found.append(pl.Series(name, [int(float(text)) for text in texts], dtype=pl.Int64))
        elif name in ACCURACIES or name in LOSSES:
            found.append(pl.Series(name, _numbers(file, name, rows, texts), dtype=pl.Float64))
        elif name.startswith("config.") or name == MODEL_FOLDER:
            harmless = "".join(texts).isprintable()
            if name == MODEL_FOLDER and not (harmless and max(map(len, texts), default=0) <= MAX_TEXT):
                continue
            if not harmless:
                row, text = next(pair for pair in zip(rows, texts, strict=True) if not pair[1].isprintable())
                raise DataError(f"{file}:row {row}:{name}", f"'{text}' holds control characters")
            values = [text or None for text in texts] if "" in texts else texts
            found.append(pl.Series(name, values, dtype=pl.String))
    return pl.DataFrame(found)


def _numbers(file: Path, name: str, rows: list[int], texts: Sequence[str]) -> Sequence[float | None]:
    """Return a column of accuracies, or of losses, of which those that are no finite numbers become None."""
    with suppress(ValueError):
        if _PLAIN.fullmatch("".join(texts)):
            plain = list(map(float, texts))
            if all(map(math.isfinite, plain)) and (name in LOSSES or 0 <= min(plain) <= max(plain) <= 1):
                return plain
    values = [number(text) for text in texts]
    for row, text, value in zip(rows, texts, values, strict=True):
        if name in ACCURACIES and (value is None or not 0 <= value <= 1):
            raise DataError(f"{file}:row {row}:{name}", f"'{text}' is no accuracy, a number in [0, 1]")
        if value is None and not (_UNDEFINED.fullmatch(text) or _NUMBER.fullmatch(text)):
            raise DataError(f"{file}:row {row}:{name}", f"'{text}' is no number")
    return values


def _whole_number(where: str, text: str) -> int:
    value = number(text)
    if value is None or value != int(value):
        raise DataError(where, f"'{text}' is no whole number")
    return int(value)


def _check_heading(file: Path, heading: list[str]) -> list[str]:
    for name in heading:
        if heading.count(name) > 1:
            raise DataError(f"{file}:{name}", "this column is there twice")
        if not name.isprintable():
            raise DataError(f"{file}:{name}", "the name of this column holds control characters")
    for name in NEEDED:
        if name not in heading:
            raise DataError(f"{file}:{name}", f"this column is missing; there are {', '.join(heading)}")
    return heading


def _rows(file: Path, stream: BinaryIO, rows: int) -> Iterator[list[str]]:
    """Yield the cells of each line, the heading first, and stop at what is larger than a table of so many rows."""
    left = MAX_ROW_BYTES * (rows + 1)
    row = -1
    while line := stream.readline(MAX_LINE_BYTES):
        left -= len(line)
        if len(line) == MAX_LINE_BYTES or left < 0:
            raise DataError(f"{file}:row {row}", "unpacks to more than such a table can hold")
        try:
            text = line.decode("utf-8")
            yield next(csv.reader((text,), strict=True)) if '"' in text else text.rstrip("\r\n").split(",")
        except (UnicodeDecodeError, csv.Error) as error:
            problem = "is no text in UTF-8" if isinstance(error, UnicodeDecodeError) else f"is no row: {error}"
            raise DataError(f"{file}:row {row}" if row >= 0 else f"{file}:heading", problem) from None
        row += 1
