"""Tables of other libraries: polars is ours; pandas is read and written where it is installed, and never required."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mnfn_cli.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

Table = "pl.DataFrame | pd.DataFrame | Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]]"
"""A table in any of the forms that ``to_polars`` reads."""


class Tabled(ABC):
    """A result with a table."""

    @property
    @abstractmethod
    def table(self) -> "pl.DataFrame":
        """A polars table."""

    def to_polars(self) -> "pl.DataFrame":
        """Return ``table``."""
        return self.table

    def to_pandas(self) -> "pd.DataFrame":
        """Return ``table`` as a pandas DataFrame.

        Raises:
            UsageError: pandas is not installed.
        """
        return to_pandas(self.table)


def to_polars(table: Any) -> "pl.DataFrame":
    """Return a table as a polars DataFrame.

    Args:
        table: a polars or pandas DataFrame, a mapping from column names to columns, or a sequence with a mapping from
            column names to cells for each row. pandas' missing cells become null; its index is left out.

    Raises:
        UsageError: the object is none of these.
    """
    import polars as pl

    if isinstance(table, pl.DataFrame):
        return table
    if type(table).__module__.partition(".")[0] == "pandas" and hasattr(table, "columns"):
        return pl.DataFrame({str(name): _cells(table[name]) for name in table.columns}, strict=False)
    if isinstance(table, Mapping):
        return pl.DataFrame(dict(table))
    if isinstance(table, Sequence) and all(isinstance(row, Mapping) for row in table):
        return pl.DataFrame(list(table), infer_schema_length=None)
    raise UsageError("table", f"a {type(table).__name__} is no polars or pandas DataFrame, mapping or list of rows")


def to_pandas(table: "pl.DataFrame") -> "pd.DataFrame":
    """Return a polars DataFrame as a pandas DataFrame, without pyarrow.

    Raises:
        UsageError: pandas is not installed.
    """
    try:
        import pandas
    except ImportError:
        raise UsageError("to_pandas", "pandas is not installed; pip install pandas, or use the polars table") from None
    columns = {
        column.name: column.to_list() if column.null_count() or not column.dtype.is_numeric() else column.to_numpy()
        for column in table.iter_columns()
    }
    return pandas.DataFrame(columns, columns=table.columns)


def _cells(column: Any) -> list[Any]:
    return [None if missing else cell for cell, missing in zip(column.tolist(), column.isna().tolist(), strict=True)]
