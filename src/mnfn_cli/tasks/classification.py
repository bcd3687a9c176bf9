"""Name the class of the picture inside an INR, from its weights."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mnfn_cli.errors import DataError, NumericError
from mnfn_cli.recipe import Recipe
from mnfn_cli.runtime.seeds import generator
from mnfn_cli.storage.atomic import write_text
from mnfn_cli.tasks.metrics import accuracy, with_interval
from mnfn_cli.tasks.run import predict
from mnfn_cli.tasks.split import Split
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.weightspace.naming import natural_key
from mnfn_cli.zoo.inr import InrDesign
from mnfn_cli.zoo.store import Zoo

LABEL = "class"


class Classification:
    """Cross-entropy over the zoo's classes; accuracy on held-out pictures, on weights as they are and acted on."""

    criterion = "val_accuracy"
    smaller_is_better = False
    protocol = "split by picture, with all its networks"

    def __init__(self, recipe: Recipe, zoos: Sequence[Zoo]) -> None:
        self._seed = recipe.training.seed
        self._spec = zoos[0].spec
        for zoo in zoos:
            InrDesign.of_zoo(zoo)
            zoo.require_column(LABEL)
        self._classes = sorted({name for zoo in zoos for name in class_names(zoo)}, key=natural_key)
        if len(self._classes) < 2:
            raise DataError(zoos[0].path / "table.csv", f"{len(self._classes)} class; classification needs at least 2")
        self.facts: dict[str, Any] = {"classes": self._classes}

    def targets(self, zoo: Zoo, rows: Sequence[int]) -> Tensor:
        """Return class numbers, ``(rows,)``."""
        names = class_names(zoo)
        return torch.tensor([self._classes.index(names[row]) for row in rows], dtype=torch.int64)

    def loss(self, model: nn.Module, features: WeightSpaceFeatures, targets: Tensor, where: str) -> Tensor:
        """Return the cross-entropy."""
        return F.cross_entropy(model(features), targets)

    def validate(self, model: nn.Module, split: Split) -> Mapping[str, float]:
        """Return loss and accuracy."""
        logits, truth = predict(model, split.features), split.targets.cpu()
        if not torch.isfinite(logits).all():
            raise NumericError("training", "a prediction is not finite at validation; lower optimizer.lr")
        right = (logits.argmax(dim=1) == truth).double().mean()
        return {"val_loss": float(F.cross_entropy(logits, truth)), "val_accuracy": float(right)}

    def conclude(self, model: nn.Module, train: Split, test: Split, folder: Path) -> dict[str, Any]:
        """Write predictions.csv; return accuracies, the confusion matrix, and how far random group elements move it."""
        element = MonomialElement.sample(
            self._spec, test.features.batch, (1.0, 1.0), generator=generator(self._seed, "conclusion")
        )
        exact = test.features.to(device="cpu", dtype=torch.float64)
        double = copy.deepcopy(model).double()
        original, moved = {}, {}
        for name, functional, features in (("float32", model, test.features), ("float64", double, exact)):
            acted = element.act(exact).to(device=features.device, dtype=features.dtype)
            original[name] = predict(functional, features).softmax(dim=1)
            moved[name] = predict(functional, acted).softmax(dim=1)
        used = "float64" if test.features.dtype == torch.float64 else "float32"
        guess, truth = original[used].argmax(dim=1).numpy(), test.targets.cpu().numpy()
        write_text(folder / "predictions.csv", _predictions_csv(test, self._classes, original[used]))
        confusion = np.zeros((len(self._classes), len(self._classes)), dtype=int)
        np.add.at(confusion, (truth, guess), 1)
        acted_guess = moved[used].argmax(dim=1).numpy()
        return {
            "test": {
                "accuracy": with_interval(accuracy, guess, truth, test.pictures),
                "accuracy_permuted_and_flipped": with_interval(accuracy, acted_guess, truth, test.pictures),
            },
            "largest_change_of_a_probability": {
                name: float((original[name] - moved[name]).abs().max()) for name in ("float32", "float64")
            },
            "classes": self._classes,
            "confusion": confusion.tolist(),
        }


def class_names(zoo: Zoo) -> list[str]:
    """Return every network's class, as text; the column may hold numbers."""
    return [str(name) for name in zoo.table[LABEL].to_list()]


def _predictions_csv(test: Split, classes: Sequence[str], probabilities: Tensor) -> str:
    import polars as pl

    columns: dict[str, Any] = {
        "network": test.ids,
        "picture": [name.partition("/")[2] for name in test.pictures],
        "predicted_class": [classes[number] for number in probabilities.argmax(dim=1).tolist()],
        "true_class": [classes[number] for number in test.targets.tolist()],
    }
    columns |= {f"probability_{name}": probabilities[:, number].numpy() for number, name in enumerate(classes)}
    return pl.DataFrame(columns).write_csv()
