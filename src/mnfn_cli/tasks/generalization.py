"""The task ``generalization``: predict a network's test accuracy from its weights."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from mnfn_cli.errors import DataError, NumericError
from mnfn_cli.recipe import Recipe
from mnfn_cli.storage.atomic import write_text
from mnfn_cli.storage.records import Record
from mnfn_cli.tasks.data import Picture, Split, Splits
from mnfn_cli.tasks.figure import Figure, Scatter
from mnfn_cli.tasks.functional import apply_functional
from mnfn_cli.tasks.metrics import METRICS, Metric, kendall_tau, l1_error, listed, r_squared, with_interval
from mnfn_cli.tasks.result import Result, by_weight_space
from mnfn_cli.tasks.task import Conclusion, Report, Task
from mnfn_cli.weightspace.mixed import MixedFeatures, Networks
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.checkpoints import Checkpoints
from mnfn_cli.zoo.store import Zoo

HARDLY_VARY = 0.02
"""Predictions with a smaller standard deviation are nearly equal for all networks, and a remark says so."""


class Generalization(Task):
    """Minimise the binary cross-entropy against the measured accuracy; the validation tau chooses the model."""

    label = "test_accuracy"
    criterion = "val_tau"
    smaller_is_better = False
    answer = "the prediction is"
    seen = "prediction"
    meaning = (
        "tau is Kendall's rank correlation of predicted and true accuracies: 1 means that the predictions rank the "
        "networks as the truth does, 0 that they know nothing of it"
    )

    @property
    def protocol(self) -> str:
        """The way in which networks are divided among the splits, in words."""
        one = "one activation, " if len({spec.activation for spec in self.specs}) == 1 else ""
        return f"{one}split by network with all its copies"

    @classmethod
    def study(cls, recipe: Recipe, zoos: Sequence[Zoo]) -> Record:
        """Check that every network has an accuracy in [0, 1]."""
        for zoo in zoos:
            zoo.require_column(cls.label)
            values = zoo.table[cls.label].cast(float).to_numpy()
            wrong = [zoo.ids[row] for row in np.nonzero(~((values >= 0) & (values <= 1)))[0]]
            if wrong:
                problem = f"{cls.label} outside [0, 1] of network {', '.join(wrong[:20])}"
                raise DataError(zoo.path / "table.csv", problem)
        return Record()

    def targets(self, zoo: Zoo, rows: Sequence[int]) -> Tensor:
        """Return measured accuracies in [0, 1], ``(rows,)``."""
        return torch.tensor(zoo.table[self.label].to_numpy()[list(rows)], dtype=torch.float32)

    def loss(self, model: nn.Module, features: Networks, targets: Tensor, where: str) -> Tensor:
        """Return the binary cross-entropy, averaged over networks.

        A functional may return predictions ``(batch, members)`` in training. Each member then has a loss of its own,
        and the mean of these is returned.
        """
        predicted: Tensor = model(features)
        if predicted.dim() == 2:
            targets = targets[:, None].expand_as(predicted)
        return cross_entropy(predicted, targets, where)

    def validate(self, model: nn.Module, split: Split) -> Mapping[str, float]:
        """Return the loss, Kendall's tau, R2 and the mean absolute error on the validation networks."""
        predicted = apply_functional(model, split.features)
        loss = cross_entropy(predicted.double(), split.targets.double().cpu(), "validation")
        guess, truth = predicted.double().numpy(), split.vector()
        return {
            "val_loss": float(loss),
            "val_tau": kendall_tau(guess, truth),
            "val_r2": r_squared(guess, truth),
            "val_l1": l1_error(guess, truth),
        }

    def conclude(self, model: nn.Module, splits: Splits, folder: Path) -> Conclusion:
        """Write predictions.csv; return tau, R2 and the mean absolute error with their intervals."""
        test = splits.test
        predicted, truth = apply_functional(model, test.features).double().numpy(), test.vector()
        columns = {"network": test.ids, **_spaces(self.specs, test.features), **_columns(predicted, truth)}
        write_text(folder / "predictions.csv", pl.DataFrame(columns).write_csv())
        return Conclusion(
            _figures(predicted, truth),
            remarks=_remarks(predicted),
            by_weight_space=by_weight_space(
                self.specs, test.features, lambda rows: _figures(predicted[rows], truth[rows])
            ),
        )

    def score(
        self, observed: Tensor, targets: Tensor, pictures: Sequence[Picture]
    ) -> tuple[Metric, Mapping[str, float]]:
        """Return tau, and R2 and the mean absolute error."""
        predicted, truth = observed.numpy(), targets.double().numpy()
        others = {"r2": r_squared(predicted, truth), "l1": l1_error(predicted, truth)}
        return with_interval(kendall_tau, predicted, truth), others

    def parse_label(self, text: str) -> float:
        """Parse an accuracy."""
        return float(text)

    def report(self, networks: Checkpoints, answers: Tensor) -> Report:
        """Return predicted accuracies, and tau, R2 and the mean absolute error where true accuracies are known."""
        predicted = answers.double().numpy()
        truth = np.array([np.nan if label is None else label for label in networks.labels], dtype=float)

        def figures_of(rows: NDArray[np.int64]) -> dict[str, Metric]:
            chosen = rows[np.isfinite(truth[rows])]
            return _figures(predicted[chosen], truth[chosen]) if len(chosen) else {}

        known = np.nonzero(np.isfinite(truth))[0]
        figures = figures_of(known)
        within = by_weight_space(self.specs, networks.features, figures_of)
        columns = _columns(predicted, networks.labels if figures else None)
        summary = f"on {len(known)} networks with a known accuracy: {listed(figures)}" if figures else ""
        return Report(
            columns=_spaces(self.specs, networks.features) | columns,
            figures=figures,
            known=len(known),
            summary=summary,
            shown=list(columns),
            facts={"by_weight_space": [entry.to_json() for entry in within]} if within else {},
            remarks=_remarks(predicted),
        )

    def figures(self, folder: Path, result: Result) -> Mapping[str, Figure]:
        """Draw predicted against true accuracies of the test networks."""
        return {"predicted-vs-true.png": predicted_against_true(folder / "predictions.csv", result.test["tau"])}


def predicted_against_true(predictions: Path, tau: Metric | None = None) -> Scatter:
    """Return the scatter plot of a file predictions.csv, with the number of networks and tau in its title."""
    table = pl.read_csv(predictions, glob=False, schema_overrides={"network": pl.String})
    title = f"{table.height} networks" + ("" if tau is None or tau.value is None else f", tau {tau}")
    true, predicted = table["true_accuracy"].to_list(), table["predicted_accuracy"].to_list()
    return Scatter(true, predicted, ("true test accuracy", "predicted from the weights"), title)


def cross_entropy(predicted: Tensor, accuracies: Tensor, where: str) -> Tensor:
    """Return the binary cross-entropy of predicted against measured accuracies, averaged over networks.

    Args:
        predicted: predicted accuracies in [0, 1], ``(batch,)`` or ``(batch, members)``.
        accuracies: measured accuracies in [0, 1], of the same shape.
        where: what an error calls the moment, such as ``step 12``.

    Raises:
        NumericError: a prediction is not finite.
    """
    if not torch.isfinite(predicted).all():
        raise NumericError("training", f"a prediction is not finite at {where}; lower optimizer.lr, or check the zoo")
    return F.binary_cross_entropy(predicted, accuracies)


def _spaces(specs: Sequence[NetworkSpec], networks: Networks) -> dict[str, Any]:
    """Return the column ``weight_space`` of tables on networks of several weight spaces."""
    if not isinstance(networks, MixedFeatures):
        return {}
    return {"weight_space": [str(specs[number]) for number in networks.spaces.tolist()]}


def _columns(predicted: np.ndarray, true: Any) -> dict[str, Any]:
    return {"predicted_accuracy": predicted} | ({} if true is None else {"true_accuracy": true})


def _figures(predicted: np.ndarray, true: np.ndarray) -> dict[str, Metric]:
    return {name: with_interval(metric, predicted, true) for name, metric in METRICS.items()}


def _remarks(predicted: np.ndarray) -> list[str]:
    spread = float(predicted.std())
    if len(predicted) < 2 or spread >= HARDLY_VARY:
        return []
    return [
        f"the predictions hardly vary (mean {predicted.mean():.3f}, standard deviation {spread:.4f}): the functional "
        "tells these networks apart little or not at all; train longer, or on more networks"
    ]
