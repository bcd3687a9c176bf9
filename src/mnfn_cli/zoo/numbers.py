"""A column of numbers in zoos' tables, such as the test accuracy, and the same numbers in the metadata of files."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, nan
from typing import TYPE_CHECKING

from mnfn_cli.errors import DataError
from mnfn_cli.zoo.contents import ZooContents

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

ACCURACY = "test_accuracy"


@dataclass(frozen=True)
class NumberColumn:
    """A column whose cells are finite numbers.

    Args:
        name: the name of the column, and of the number in the metadata of a file.
        bounds: the lowest and the highest possible number; None for any number.
    """

    name: str = ACCURACY
    bounds: tuple[float, float] | None = (0.0, 1.0)

    def parse(self, text: str) -> float:
        """Return the number that a text states; raises ValueError if it states none, or one that is out of bounds."""
        try:
            number = float(text)
        except ValueError:
            number = nan
        if not isfinite(number) or (self.bounds is not None and not self.bounds[0] <= number <= self.bounds[1]):
            raise ValueError(f"is not {self.wanted}")
        return number

    @property
    def wanted(self) -> str:
        """What a cell has to be, in words."""
        return "a finite number" + ("" if self.bounds is None else f" in [{self.bounds[0]:g}, {self.bounds[1]:g}]")

    def require(self, zoo: ZooContents, rows: Sequence[int] | None = None) -> "NDArray[np.float64]":
        """Return the numbers of a zoo's networks, ``(rows,)``; raises DataError, which names all wrong cells."""
        numbers, faults = self.read(zoo, rows)
        if faults:
            raise DataError.together(faults.values())
        return numbers.to_numpy()

    def read(
        self, zoo: ZooContents, rows: Sequence[int] | None = None, *, empty: bool = False
    ) -> "tuple[pl.Series, dict[int, DataError]]":
        """Return the numbers of a zoo's networks.

        Args:
            zoo: the zoo, whose table has the column.
            rows: the rows of the networks; all by default.
            empty: let a cell be empty.

        Returns:
            the numbers ``(rows,)``, a Float64 series with NaN for an empty cell and for a wrong one; and by row an
            error for each wrong cell, which names the row of table.csv, where the heading is row 1, and the column.
        """
        import polars as pl

        column = zoo.table[self.name] if rows is None else zoo.table[self.name][list(rows)]
        numbers = column.cast(pl.Float64, strict=False).fill_null(float("nan"))
        good = numbers.is_finite()
        if self.bounds is not None:
            good &= numbers.is_between(*self.bounds)
        if empty:
            good |= column.is_null()
        faults = {}
        for place in (~good).arg_true().to_list():
            row, cell = place if rows is None else rows[place], column[place]
            where = f"{zoo.path / 'table.csv'}:row {zoo.numbers[row] + 2}:{self.name}"
            found = "is empty" if cell is None else f"'{cell}' is not {self.wanted}"
            faults[row] = DataError(where, f"{found}; network {zoo.ids[row]}")
        return numbers.set(~good, float("nan")), faults
