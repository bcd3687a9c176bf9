"""The table of a zoo: a row for each network, with its id, its split, and what is known of it."""

import csv
from collections.abc import Sequence
from contextlib import suppress
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnfn_cli.errors import DataError
from mnfn_cli.regular_files import read_regular
from mnfn_cli.storage.atomic import replacing
from mnfn_cli.zoo.record import Space

if TYPE_CHECKING:
    import polars as pl

SPLITS = ("train", "val", "test")
SPACE_COLUMN = "weight_space"
TEXTS = ("id", "source_id", "image_id", "split", SPACE_COLUMN)
"""The columns of a zoo's table that hold text: ids are not numbers, since 001 is not 1."""
FIRST_ROWS = 100
"""The number of rows whose values tell the types of the columns, if the others fit them."""
ROWS_AT_ONCE = 2**14
"""The number of rows of a table that are written at once."""


def read_table(path: Path, texts: Sequence[str] = TEXTS) -> "pl.DataFrame":
    """Read a table; raises ``DataError`` if that cannot be done, or a row has more or fewer cells.

    Args:
        path: the CSV file.
        texts: the names of columns that hold text, also where all of it looks like numbers; by default those of a zoo.
    """
    import polars as pl

    try:
        content = read_regular(path)
        header = pl.read_csv(content, n_rows=0).columns
        refuse_ragged_rows(path, content, len(header))
        # Other columns get their types from all values. The first few tell them too, for a fifth of the time, unless
        # one does not fit later (ComputeError) or all of a column are missing.
        text: dict[str, Any] = {name: pl.String for name in texts if name in header}
        with suppress(pl.exceptions.ComputeError):
            table = pl.read_csv(content, schema_overrides=text, infer_schema_length=FIRST_ROWS)
            first = table.head(FIRST_ROWS).drop(text)
            if all(column.null_count() < len(column) for column in first):
                return table
        try:
            return pl.read_csv(content, schema_overrides=text, infer_schema_length=None)
        except pl.exceptions.ComputeError:
            # A column with whole numbers beyond 128 bits is none that polars infers; it stays text.
            long = pl.read_csv(content, infer_schema=False).select(pl.all().str.contains(r"^[+-]?\d{19,}$").any())
            text |= {name: pl.String for name, found in long.row(0, named=True).items() if found}
            return pl.read_csv(content, schema_overrides=text, infer_schema_length=None)
    except OSError as error:
        raise DataError(path, f"cannot read: {error.strerror}") from None
    except (pl.exceptions.PolarsError, csv.Error, ValueError) as error:
        raise DataError(path, f"no readable table: {str(error).partition(chr(10))[0]}") from None


def refuse_ragged_rows(path: Path, content: bytes, columns: int) -> None:
    """Check that every row of a table has a cell for each column; polars fills up a row that is too short.

    Args:
        path: the file, for errors.
        content: its bytes.
        columns: the number of columns.

    Raises:
        DataError: a row has more or fewer cells. The first one is named; the heading is row 1, empty lines are none.
    """
    rows = filter(None, csv.reader(TextIOWrapper(BytesIO(content), "latin-1", newline="")))
    for number, row in enumerate(rows, 1):
        if len(row) != columns:
            raise DataError(f"{path}:row {number}", f"{len(row)} cells; the heading has {columns}")


def write_table(path: Path, table: "pl.DataFrame") -> None:
    """Write a table as CSV atomically, some rows at a time, so that its text need not fit in memory.

    Raises:
        OutputError, StorageError: the file cannot be written.
    """
    with replacing(path) as temporary, temporary.open("wb") as file:
        for row in range(0, max(table.height, 1), ROWS_AT_ONCE):
            file.write(table[row : row + ROWS_AT_ONCE].write_csv(include_header=row == 0).encode())


def check_table(where: Path, table: "pl.DataFrame", spaces: Sequence[Space] = ()) -> None:
    """Raise ``DataError`` unless ids are unique, and splits and weight spaces are known ones."""
    several = len(spaces) > 1
    for column in ("id", "split", *([SPACE_COLUMN] if several else [])):
        if column not in table.columns:
            raise DataError(where, f"no column '{column}'")
    ids = table["id"]
    if ids.null_count() or ids.n_unique() != table.height:
        twice = table.filter(ids.is_duplicated())["id"].head(1).to_list()
        raise DataError(where, f"ids are not unique: {twice[0] if twice else 'one is missing'}")
    foreign = sorted(set(map(str, table["split"].unique().to_list())) - set(SPLITS))
    if foreign:
        raise DataError(where, f"split '{foreign[0]}'; splits are {', '.join(SPLITS)}")
    names = [space.name for space in spaces]
    if several and (unknown := sorted(set(map(str, table[SPACE_COLUMN].unique().to_list())) - set(names))):
        raise DataError(where, f"weight space '{unknown[0]}'; the zoo has {', '.join(names)}")
