"""Read ``metrics.csv.gz`` of the Small CNN Zoo, row by row and in bounded memory."""

import csv
import gzip
import math
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnfn_cli.errors import DataError
from mnfn_cli.storage.tensors import check_regular_file

if TYPE_CHECKING:
    import polars as pl

ACTIVATION = "config.activation"
ACCURACIES = ("test_accuracy", "train_accuracy")
LOSSES = ("test_loss", "train_loss")
NEEDED = (ACTIVATION, "step", *ACCURACIES, *LOSSES)

MAX_LINE_BYTES = 2**16
MAX_ROW_BYTES = 4096
"""The largest size of a row in bytes, as a mean over the table. A published row has some hundreds."""

MAX_TEXT = 300
"""The longest ``modeldir`` that is kept, in characters."""

_CHUNK = 8192
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_UNDEFINED = re.compile(r"|[+-]?(nan|inf|infinity)", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class Metrics:
    """The rows of one step.

    Args:
        table: a row for each network of the step, in the order of the file: ``row``, the number of the row in the file,
            counted from 0; ``step``; accuracies and losses as numbers, a loss that is no finite number as null; every
            ``config.*`` column, and ``modeldir`` if it is there and harmless, as the texts of the file, an empty one
            as null.
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
    check_regular_file(file)
    try:
        with gzip.open(file, "rb") as stream:
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
    kept = [name for name in heading if name.startswith("config.") or name == "modeldir"]
    at = {name: place for place, name in enumerate(heading)}
    chunk: list[tuple[int | float | str | None, ...]] = []
    frames: list[pl.DataFrame] = []
    schema: dict[str, Any] = {"row": pl.Int64, "step": pl.Int64, **dict.fromkeys((*ACCURACIES, *LOSSES), pl.Float64)}
    schema |= dict.fromkeys(kept, pl.String)
    steps, harmless, row = set(), True, -1

    def flush() -> None:
        columns = zip(*chunk, strict=True) if chunk else [[]] * len(schema)
        frames.append(pl.DataFrame(dict(zip(schema, columns, strict=True)), schema=schema))
        chunk.clear()

    for row, cells in enumerate(lines):
        where = f"{file}:row {row}"
        if row >= expected:
            raise DataError(where, f"is there, and the weights have only {expected} rows")
        if len(cells) != len(heading):
            raise DataError(where, f"{len(cells)} cells; the heading has {len(heading)}")
        found = number(cells[at["step"]])
        if found is None or found != int(found):
            raise DataError(f"{where}:step", f"'{cells[at['step']]}' is no whole number")
        steps.add(int(found))
        if found != step:
            continue
        texts = [cells[at[name]] for name in kept]
        if not "".join(texts).isprintable():
            for name, text in zip(kept, texts, strict=True):
                if name != "modeldir" and not text.isprintable():
                    raise DataError(f"{where}:{name}", f"'{text}' holds control characters")
            harmless = False
        harmless = harmless and len(cells[at["modeldir"]] if "modeldir" in at else "") <= MAX_TEXT
        values = [_accuracy(where, name, cells[at[name]]) for name in ACCURACIES]
        losses = [_loss(where, name, cells[at[name]]) for name in LOSSES]
        chunk.append((row, step, *values, *losses, *(text or None for text in texts)))
        if len(chunk) == _CHUNK:
            flush()
    flush()
    if row + 1 < expected:
        raise DataError(file, f"{row + 1} rows; the weights have {expected}")
    dropped = [] if harmless or "modeldir" not in kept else ["modeldir"]
    ignored = [name for name in heading if name not in (*NEEDED, *kept)]
    return Metrics(pl.concat(frames).drop(dropped), row + 1, tuple(sorted(steps)), (*ignored, *dropped))


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


def _accuracy(where: str, name: str, text: str) -> float:
    value = number(text)
    if value is None or not 0 <= value <= 1:
        raise DataError(f"{where}:{name}", f"'{text}' is no accuracy, a number in [0, 1]")
    return value


def _loss(where: str, name: str, text: str) -> float | None:
    value = number(text)
    if value is None and not (_UNDEFINED.fullmatch(text) or _NUMBER.fullmatch(text)):
        raise DataError(f"{where}:{name}", f"'{text}' is no number")
    return value


def _rows(file: Path, stream: gzip.GzipFile, rows: int) -> Iterator[list[str]]:
    """Yield the cells of each line, the heading first, and stop at what is larger than a table of so many rows."""
    left = MAX_ROW_BYTES * (rows + 1)
    row = -1
    while line := stream.readline(MAX_LINE_BYTES):
        left -= len(line)
        if len(line) == MAX_LINE_BYTES or left < 0:
            raise DataError(f"{file}:row {row}", "unpacks to more than such a table can hold")
        try:
            yield next(csv.reader((line.decode("utf-8"),), strict=True))
        except (UnicodeDecodeError, csv.Error) as error:
            problem = "is no text in UTF-8" if isinstance(error, UnicodeDecodeError) else f"is no row: {error}"
            raise DataError(f"{file}:row {row}" if row >= 0 else f"{file}:heading", problem) from None
        row += 1
