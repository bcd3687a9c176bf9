"""Predict a network's test accuracy from its weights."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mnfn_cli.errors import DataError, NumericError
from mnfn_cli.recipe import Recipe
from mnfn_cli.storage.atomic import write_text
from mnfn_cli.tasks.metrics import METRICS, kendall_tau, l1_error, r_squared, with_interval
from mnfn_cli.tasks.run import predict
from mnfn_cli.tasks.split import Split
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.zoo.store import Zoo

LABEL = "test_accuracy"


class Generalization:
    """Binary cross-entropy against the measured accuracy; Kendall's tau decides."""

    criterion = "val_tau"
    smaller_is_better = False
    protocol = "one activation, split by network with all its copies"

    def __init__(self, recipe: Recipe, zoos: Sequence[Zoo]) -> None:
        self.facts: dict[str, Any] = {}
        for zoo in zoos:
            zoo.require_column(LABEL)
            values = zoo.table[LABEL].cast(float).to_numpy()
            wrong = [zoo.ids[row] for row in np.nonzero(~((values >= 0) & (values <= 1)))[0]]
            if wrong:
                raise DataError(zoo.path / "table.csv", f"{LABEL} outside [0, 1] of network {', '.join(wrong[:20])}")

    def targets(self, zoo: Zoo, rows: Sequence[int]) -> Tensor:
        """Return measured accuracies, ``(rows,)``, in [0, 1]."""
        return measured_accuracies(zoo, rows)

    def loss(self, model: nn.Module, features: WeightSpaceFeatures, targets: Tensor, where: str) -> Tensor:
        """Return the binary cross-entropy."""
        return cross_entropy(model(features), targets, where)

    def validate(self, model: nn.Module, split: Split) -> Mapping[str, float]:
        """Return loss, tau, R2 and L1 error."""
        predicted = predict(model, split.features)
        loss = cross_entropy(predicted.double(), split.targets.double().cpu(), "validation")
        guess, truth = predicted.double().numpy(), split.vector()
        return {
            "val_loss": float(loss),
            "val_tau": kendall_tau(guess, truth),
            "val_r2": r_squared(guess, truth),
            "val_l1": l1_error(guess, truth),
        }

    def conclude(self, model: nn.Module, train: Split, test: Split, folder: Path) -> dict[str, Any]:
        """Write predictions.csv; return the metrics with their intervals."""
        predicted = predict(model, test.features).double().numpy()
        write_text(folder / "predictions.csv", _predictions_csv(test, predicted))
        return {"test": {name: with_interval(metric, predicted, test.vector()) for name, metric in METRICS.items()}}


def measured_accuracies(zoo: Zoo, rows: Sequence[int]) -> Tensor:
    """Return measured test accuracies, ``(rows,)``."""
    return torch.tensor(zoo.table[LABEL].to_numpy()[list(rows)], dtype=torch.float32)


def cross_entropy(predicted: Tensor, accuracies: Tensor, where: str) -> Tensor:
    """Return the binary cross-entropy of predicted against measured accuracies, averaged over networks.

    Raises:
        NumericError: a prediction is not finite; ``where`` says when.
    """
    if not torch.isfinite(predicted).all():
        raise NumericError("training", f"a prediction is not finite at {where}; lower optimizer.lr, or check the zoo")
    return F.binary_cross_entropy(predicted, accuracies)


def _predictions_csv(test: Split, predicted: np.ndarray) -> str:
    import polars as pl

    columns = {"network": test.ids, "predicted_accuracy": predicted, "true_accuracy": test.vector()}
    return pl.DataFrame(columns).write_csv()
