"""The task ``classification``: predict the class of the picture that an INR encodes, from its weights."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from mnfn_cli.errors import DataError, NumericError, RecipeError
from mnfn_cli.models.functional import Functional
from mnfn_cli.recipe import Recipe
from mnfn_cli.runtime.seeds import generator
from mnfn_cli.storage.atomic import write_text
from mnfn_cli.storage.records import Record
from mnfn_cli.tasks.data import Picture, Split, Splits
from mnfn_cli.tasks.figure import Confusion, Figure
from mnfn_cli.tasks.functional import apply_functional
from mnfn_cli.tasks.intervals import Intervals
from mnfn_cli.tasks.metrics import Metric, accuracy, listed, with_interval
from mnfn_cli.tasks.result import Result, by_weight_space
from mnfn_cli.tasks.task import Conclusion, Report, Task
from mnfn_cli.weightspace.mixed import Networks, act_at_random
from mnfn_cli.weightspace.naming import natural_key
from mnfn_cli.zoo.checkpoints import Checkpoints
from mnfn_cli.zoo.inr_design import InrDesign
from mnfn_cli.zoo.mixed import weight_spaces
from mnfn_cli.zoo.store import Zoo


class Classes(Record):
    """The names of the classes, in the order of the classifier's outputs."""

    classes: tuple[str, ...]


class Classification(Task):
    """Minimise the cross-entropy over the zoo's classes; the validation accuracy chooses the best model.

    The test accuracy is measured on the weights as they are, and after random permutations and sign flips of neurons.
    """

    Facts = Classes
    facts: Classes
    label = "class"
    criterion = "val_accuracy"
    smaller_is_better = False
    protocol = "split by picture, with all its networks"
    answer = "the probabilities are"
    seen = "probability"
    returns = "the probability of each class, in the order of the classes"
    meaning = "accuracy is the fraction of networks whose picture is given its own class"

    @classmethod
    def study(cls, recipe: Recipe, zoos: Sequence[Zoo]) -> Classes:
        """Check that all networks are INRs with a class, and return the sorted names of the classes."""
        for zoo in zoos:
            zoo.require_column(cls.label)
        designs = [InrDesign.of_zoo(part) for zoo in zoos for part in zoo.parts]
        if len(weight_spaces(zoos)) > 1 and any(design.fit.init == "shared" for design in designs):
            problem = "several weight spaces, and networks that share initial weights; train them apart"
            raise RecipeError("data.zoo", problem)
        classes = sorted({name for zoo in zoos for name in _class_names(zoo)}, key=natural_key)
        if len(classes) < 2:
            raise DataError(zoos[0].path / "table.csv", f"{len(classes)} class; classification needs at least 2")
        return Classes(classes=tuple(classes))

    @property
    def model_options(self) -> Mapping[str, Any]:
        """The argument ``classes`` of classifiers, the number of classes."""
        return {"classes": len(self.facts.classes)}

    def targets(self, zoo: Zoo, rows: Sequence[int]) -> Tensor:
        """Return class indices, an int64 tensor ``(rows,)``."""
        names = _class_names(zoo)
        return torch.tensor([self.facts.classes.index(names[row]) for row in rows], dtype=torch.int64)

    def loss(self, model: nn.Module, features: Networks, targets: Tensor, where: str) -> Tensor:
        """Return the cross-entropy, averaged over networks, with what the functional adds to it."""

        def loss(logits: Tensor) -> Tensor:
            return F.cross_entropy(logits, targets)

        return model.training_loss(features, loss) if isinstance(model, Functional) else loss(model(features))

    def validate(self, model: nn.Module, split: Split) -> Mapping[str, float]:
        """Return the loss and the accuracy on the validation networks."""
        logits, truth = apply_functional(model, split.features), split.targets.cpu()
        if not torch.isfinite(logits).all():
            raise NumericError("training", "a prediction is not finite at validation; lower optimizer.lr")
        right = (logits.argmax(dim=1) == truth).double().mean()
        return {"val_loss": float(F.cross_entropy(logits, truth)), "val_accuracy": float(right)}

    def conclude(self, model: nn.Module, splits: Splits, folder: Path) -> Conclusion:
        """Write predictions.csv; return accuracies, the confusion matrix and the invariance error.

        The invariance error is the largest change of a probability under random permutations and sign flips, for the
        functional in float32 and in float64.
        """
        test = splits.test
        exact = test.features.to(device="cpu", dtype=torch.float64)
        random = generator(self.recipe.training.seed, "conclusion")
        elsewhere = act_at_random(self.specs, exact, (1.0, 1.0), generator=random)
        double = copy.deepcopy(model).double()
        original, moved = {}, {}
        for name, functional, features in (("float32", model, test.features), ("float64", double, exact)):
            acted = elsewhere.to(device=features.device, dtype=features.dtype)
            original[name] = self.answers(functional, features)
            moved[name] = self.answers(functional, acted)
        used = "float64" if test.features.dtype == torch.float64 else "float32"
        guess, truth = original[used].argmax(dim=1).numpy(), test.targets.cpu().numpy()
        columns = {
            "network": test.ids,
            "picture": [name for _, name in test.pictures],
            **self._columns(original[used], [self.facts.classes[number] for number in truth]),
        }
        write_text(folder / "predictions.csv", pl.DataFrame(columns).write_csv())
        acted_guess = moved[used].argmax(dim=1).numpy()

        def figures(rows: NDArray[np.int64]) -> dict[str, Metric]:
            pictures = [test.pictures[row] for row in rows]
            return {
                "accuracy": with_interval(accuracy, guess[rows], truth[rows], pictures),
                "accuracy_permuted_and_flipped": with_interval(accuracy, acted_guess[rows], truth[rows], pictures),
            }

        return Conclusion(
            figures(np.arange(len(truth))),
            {
                "largest_change_of_a_probability": {
                    name: float((original[name] - moved[name]).abs().max()) for name in ("float32", "float64")
                },
                "classes": list(self.facts.classes),
                "confusion": self._confusion(truth, guess),
            },
            _remarks(guess, self.facts.classes),
            by_weight_space(self.specs, test.features, figures),
        )

    def from_output(self, output: Tensor, features: Networks) -> Tensor:
        """Return the probability of every class, ``(networks, classes)``."""
        return output.softmax(dim=1)

    def score(
        self, observed: Tensor, targets: Tensor, pictures: Sequence[Picture], intervals: Intervals | None = None
    ) -> tuple[Metric, Mapping[str, float]]:
        """Return the accuracy."""
        return with_interval(accuracy, observed.argmax(dim=1).numpy(), targets.numpy(), pictures), {}

    def parse_label(self, text: str) -> str:
        """Return the text, which is one of the run's classes."""
        if text not in self.facts.classes:
            raise ValueError(f"is none of the run's classes {', '.join(self.facts.classes)}")
        return text

    def report(self, networks: Checkpoints, answers: Tensor, intervals: Intervals | None = None) -> Report:
        """Return the most probable class, all probabilities, and the accuracy where true classes are known."""
        true = [None if label is None else str(label) for label in networks.labels]
        known = [row for row, name in enumerate(true) if name is not None]
        columns = self._columns(answers, true if known else None)
        guess = np.array(columns["predicted_class"])
        truth = np.array([true[row] for row in known])
        figures = {"accuracy": with_interval(accuracy, guess[known], truth)} if known else {}
        summary = f"on {len(known)} networks with a known class: {listed(figures)}" if known else ""
        shown = [name for name in columns if name.endswith("_class")]
        remarks = _remarks(guess, self.facts.classes)

        def figure() -> Confusion:
            numbers = {name: number for number, name in enumerate(self.facts.classes)}
            pairs = (np.array([numbers[name] for name in names]) for names in (truth, guess[known]))
            title = f"{len(known)} networks, accuracy {figures['accuracy']}"
            return Confusion(self._confusion(*pairs), self.facts.classes, title)

        return Report(columns, figures, len(known), summary, shown, remarks=remarks, figure=figure if known else None)

    def _confusion(self, truth: NDArray[np.int64], guess: NDArray[np.int64]) -> Any:
        """Return how many networks of each class, by its number, are given each class."""
        confusion = np.zeros((len(self.facts.classes), len(self.facts.classes)), dtype=int)
        np.add.at(confusion, (truth, guess), 1)
        return confusion.tolist()

    def figures(self, folder: Path, result: Result) -> Mapping[str, Figure]:
        """Draw the confusion matrix of the test networks."""
        more = result.model_extra or {}
        total = sum(map(sum, more["confusion"]))
        title = f"{total} networks, accuracy {result.test['accuracy']}"
        return {"confusion.png": Confusion(more["confusion"], more["classes"], title)}

    def _columns(self, probabilities: Tensor, true: Sequence[str | None] | None) -> dict[str, Any]:
        classes = self.facts.classes
        columns: dict[str, Any] = {
            "predicted_class": [classes[number] for number in probabilities.argmax(dim=1).tolist()]
        }
        if true is not None:
            columns["true_class"] = list(true)
        return columns | {f"probability_{name}": probabilities[:, n].numpy() for n, name in enumerate(classes)}


def _class_names(zoo: Zoo) -> list[str]:
    """Return every network's class as text; the column may hold numbers."""
    return [str(name) for name in zoo.table[Classification.label].to_list()]


def _remarks(guess: np.ndarray, classes: Sequence[str]) -> list[str]:
    if len(guess) < len(classes) or len(np.unique(guess)) > 1:
        return []
    return ["every network is given the same class: the functional has learned nothing yet; train longer"]
