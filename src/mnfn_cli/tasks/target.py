"""The number about networks that is learned: a column of the zoos' tables, and the units in which models learn it."""

from collections.abc import Sequence

import numpy as np
import polars as pl
import torch
import torch.nn.functional as F
from torch import Tensor

from mnfn_cli.errors import DataError, NumericError, RecipeError
from mnfn_cli.recipe import Recipe
from mnfn_cli.runtime.precision import full_precision
from mnfn_cli.storage.records import Record
from mnfn_cli.zoo.numbers import ACCURACY, NumberColumn
from mnfn_cli.zoo.store import Zoo

_WIDTH = 4.0


class Target(Record):
    """A column of numbers, and how they are mapped to the units of models.

    A number between two bounds is mapped to [0, 1], and the loss is the binary cross-entropy. Any other number is
    standardised by the training networks, and the loss is Huber's, squared up to one deviation and linear beyond.

    Attributes:
        label: the name of the column.
        bounds: the lowest and the highest possible number; None for any number.
        mean, deviation: of the training networks, for a target without bounds.
    """

    label: str = ACCURACY
    bounds: tuple[float, float] | None = (0.0, 1.0)
    mean: float = 0.0
    deviation: float = 1.0

    @property
    def words(self) -> str:
        """The target in words, as in "a known accuracy"."""
        return "accuracy" if self.label == ACCURACY else self.label

    @property
    def column(self) -> NumberColumn:
        """The column of the zoos' tables."""
        return NumberColumn(self.label, self.bounds)

    @property
    def span(self) -> float:
        """The length of the interval in which the numbers lie, or most of them."""
        return _WIDTH * self.deviation if self.bounds is None else self.bounds[1] - self.bounds[0]

    @property
    def _origin_and_unit(self) -> tuple[float, float]:
        return (self.mean, self.deviation) if self.bounds is None else (self.bounds[0], self.span)

    def to_units(self, numbers: Tensor) -> Tensor:
        """Return numbers of the column in the units of models."""
        origin, unit = self._origin_and_unit
        return (numbers - origin) / unit

    def from_units(self, units: Tensor) -> Tensor:
        """Return numbers in the units of models as numbers of the column."""
        origin, unit = self._origin_and_unit
        return units if (origin, unit) == (0.0, 1.0) else origin + unit * units.double()

    def loss(self, predicted: Tensor, true: Tensor, where: str) -> Tensor:
        """Return the loss, averaged over networks.

        Args:
            predicted: the answers of a model in its units, ``(batch,)`` or ``(batch, members)``.
            true: the targets in the same units, of the same shape.
            where: what an error calls the moment, such as ``step 12``.

        Returns:
            a scalar. On a GPU, which an error would have to wait for, it is NaN if a prediction is not finite.

        Raises:
            NumericError: a prediction on the CPU is not finite.
        """
        predicted = predicted.to(true.dtype)
        finite = predicted.isfinite()
        if predicted.device.type == "cpu":
            if not finite.all():
                problem = f"a prediction is not finite at {where}; lower optimizer.lr, or check the zoo"
                raise NumericError("training", problem)
            return self._loss(predicted, true)
        # The cross-entropy of a number that is none would end the process there.
        return torch.where(finite.all(), self._loss(torch.where(finite, predicted, true), true), torch.nan)

    def _loss(self, predicted: Tensor, true: Tensor) -> Tensor:
        with full_precision(predicted.device):
            return F.huber_loss(predicted, true) if self.bounds is None else F.binary_cross_entropy(predicted, true)


def study_target(recipe: Recipe, zoos: Sequence[Zoo]) -> Target:
    """Return the target that a recipe names, after checking its column in all zoos.

    Args:
        recipe: the recipe. ``data.label`` names the column, by default the test accuracy, and ``data.bounds`` says
            between which numbers it lies; the test accuracy lies in [0, 1].
        zoos: the zoos.

    Raises:
        DataError: the column is missing, or has a cell that is empty, no finite number or out of bounds; all such cells
            are named. Or it has the same value for all training networks.
        RecipeError: there are no bounds, and the model answers between bounds only.
    """
    label = recipe.data.label or ACCURACY
    bounds = recipe.data.bounds or ((0.0, 1.0) if label == ACCURACY else None)
    if bounds is None and not recipe.model.unbounded:
        problem = (
            f"model {recipe.model.name} answers between bounds only; say those of {label}: data.bounds=[LOW, HIGH]"
        )
        raise RecipeError("data.bounds", problem)
    columns = []
    for zoo in zoos:
        zoo.require_column(label)
        columns.append(NumberColumn(label, bounds).require(zoo))
        if zoo.table[label].dtype == pl.String:
            raise DataError(zoo.path / "table.csv", f"{label} is text; a column of numbers can be learned")
    train = np.concatenate([column[zoo.rows("train")] for zoo, column in zip(zoos, columns, strict=True)])
    if len(train) > 1 and np.ptp(train) == 0:
        problem = f"{label} is {train[0]:g} for every training network, so there is nothing to learn"
        raise DataError(zoos[0].path / "table.csv", problem)
    if bounds is None:
        return Target(label=label, bounds=None, mean=float(train.mean()), deviation=float(train.std()))
    return Target() if (label, bounds) == (ACCURACY, (0.0, 1.0)) else Target(label=label, bounds=bounds)
