"""The task ``generalization``: predict a number about a network, such as its test accuracy, from its weights."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mnfn_cli.recipe import Recipe
from mnfn_cli.regular_files import read_regular
from mnfn_cli.storage.atomic import write_text
from mnfn_cli.tasks.data import Picture, Split, Splits
from mnfn_cli.tasks.figure import Figure, Scatter
from mnfn_cli.tasks.functional import apply_functional
from mnfn_cli.tasks.intervals import LEVEL, Intervals
from mnfn_cli.tasks.metrics import METRICS, Metric, kendall_tau, l1_error, listed, r_squared, with_interval
from mnfn_cli.tasks.result import Result, by_weight_space
from mnfn_cli.tasks.target import Target, study_target
from mnfn_cli.tasks.task import Conclusion, Report, Task
from mnfn_cli.weightspace.mixed import MixedFeatures, Networks
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.checkpoints import Checkpoints
from mnfn_cli.zoo.numbers import NumberColumn
from mnfn_cli.zoo.record import Fit
from mnfn_cli.zoo.store import Zoo

HARDLY_VARY = 0.02
"""Predictions with a smaller deviation, as a share of ``Target.span``, are nearly equal, and a remark says so."""


class Generalization(Task):
    """Learn a column of the zoos' tables, the test accuracy if the recipe names no other; validation tau chooses.

    Models compute in units of their own (``Target``); answers, figures and tables are in those of the column.
    """

    Facts = Target
    facts: Target
    criterion = "val_tau"
    smaller_is_better = False
    answer = "the prediction is"
    seen = "prediction"
    returns = "the predicted number of each network, in the units of the column that was learned"
    meaning = (
        "tau is Kendall's rank correlation of predicted and true accuracies: 1 means that the predictions rank the "
        "networks as the truth does, 0 that they know nothing of it"
    )

    def __init__(self, recipe: Recipe, specs: Sequence[NetworkSpec], facts: Target, fit: Fit | None = None) -> None:
        super().__init__(recipe, specs, facts, fit)
        self.label = facts.label

    @property
    def protocol(self) -> str:
        """The way in which networks are divided among the splits, in words."""
        one = "one activation, " if len({spec.activation for spec in self.specs}) == 1 else ""
        return f"{one}split by network with all its copies"

    @classmethod
    def study(cls, recipe: Recipe, zoos: Sequence[Zoo]) -> Target:
        """Check that every network has a number in the column that the recipe names."""
        return study_target(recipe, zoos)

    @property
    def model_options(self) -> Mapping[str, Any]:
        """The argument ``bounded=False`` of models whose answers are any numbers."""
        return {"bounded": False} if self.facts.bounds is None else {}

    def targets(self, zoo: Zoo, rows: Sequence[int]) -> Tensor:
        """Return the measured numbers in the units of models, ``(rows,)``."""
        return self.facts.to_units(torch.tensor(self.facts.column.require(zoo, rows))).float()

    def from_output(self, output: Tensor, features: Networks) -> Tensor:
        """Return predicted numbers in the units of the column, ``(networks,)``."""
        return self.facts.from_units(output)

    def _truth(self, targets: Tensor) -> NDArray[np.float64]:
        return self.facts.from_units(targets.double().cpu()).numpy()

    def loss(self, model: nn.Module, features: Networks, targets: Tensor, where: str) -> Tensor:
        """Return the loss of the target, averaged over networks.

        A functional may return predictions ``(batch, members)`` in training. Each member then has a loss of its own,
        and the mean of these is returned.
        """
        predicted: Tensor = model(features)
        if predicted.dim() == 2:
            targets = targets[:, None].expand_as(predicted)
        return self.facts.loss(predicted, targets, where)

    def validate(self, model: nn.Module, split: Split) -> Mapping[str, float]:
        """Return the loss, Kendall's tau, R2 and the mean absolute error on the validation networks."""
        predicted = apply_functional(model, split.features)
        loss = self.facts.loss(predicted.double(), split.targets.double().cpu(), "validation")
        guess, truth = self.facts.from_units(predicted.double()).numpy(), self._truth(split.targets)
        return {
            "val_loss": float(loss),
            "val_tau": kendall_tau(guess, truth),
            "val_r2": r_squared(guess, truth),
            "val_l1": l1_error(guess, truth),
        }

    def conclude(self, model: nn.Module, splits: Splits, folder: Path) -> Conclusion:
        """Write predictions.csv; return tau, R2 and the mean absolute error, and the intervals around predictions."""

        def compare(split: Split) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
            return self.answers(model, split.features).double().numpy(), self._truth(split.targets)

        test = splits.test
        predicted, truth = compare(test)
        more: dict[str, Any] = {} if self.facts == Target() else {"target": self.facts.to_json()}
        intervals = None
        if splits.calibration is not None:
            intervals = Intervals.fit(compare(splits.val), compare(splits.calibration), self.facts.bounds)
            more["intervals"] = intervals.figures(predicted, truth, splits.test_families)
        table = self._columns(predicted, truth, intervals)
        columns = {"network": test.ids, **_spaces(self.specs, test.features), **table}
        write_text(folder / "predictions.csv", pl.DataFrame(columns).write_csv())
        return Conclusion(
            _figures(predicted, truth),
            more=more,
            intervals=intervals,
            remarks=self._remarks(predicted),
            by_weight_space=by_weight_space(
                self.specs, test.features, lambda rows: _figures(predicted[rows], truth[rows])
            ),
        )

    def score(
        self, observed: Tensor, targets: Tensor, pictures: Sequence[Picture], intervals: Intervals | None = None
    ) -> tuple[Metric, Mapping[str, float]]:
        """Return tau, and R2, the mean absolute error and the coverage of intervals."""
        predicted, truth = observed.numpy(), self._truth(targets)
        others = {"r2": r_squared(predicted, truth), "l1": l1_error(predicted, truth)}
        if intervals is not None:
            others["coverage"] = intervals.coverage(predicted, truth)
        return with_interval(kendall_tau, predicted, truth), others

    @property
    def numbers(self) -> NumberColumn:
        """The column that is learned."""
        return self.facts.column

    def report(self, networks: Checkpoints, answers: Tensor, intervals: Intervals | None = None) -> Report:
        """Return predicted numbers, and tau, R2 and the mean absolute error where true ones are known."""
        predicted = answers.double().numpy()
        truth = np.array([np.nan if label is None else label for label in networks.labels], dtype=float)

        def figures_of(rows: NDArray[np.int64]) -> dict[str, Metric]:
            chosen = rows[np.isfinite(truth[rows])]
            return _figures(predicted[chosen], truth[chosen]) if len(chosen) else {}

        known = np.nonzero(np.isfinite(truth))[0]
        figures = figures_of(known)
        within = by_weight_space(self.specs, networks.features, figures_of)
        columns = self._columns(predicted, networks.labels if figures else None, intervals)
        facts: dict[str, Any] = {"by_weight_space": [entry.to_json() for entry in within]} if within else {}
        summary = f"on {len(known)} networks with a known {self.facts.words}: {listed(figures)}" if figures else ""
        if intervals is not None and figures:
            facts["coverage"] = intervals.coverage(predicted[known], truth[known])
            summary += f"; {LEVEL:.0%} intervals hold {facts['coverage']:.3f} of them"
        return Report(
            columns=_spaces(self.specs, networks.features) | columns,
            figures=figures,
            known=len(known),
            summary=summary,
            shown=list(columns),
            facts=facts,
            remarks=self._remarks(predicted),
            figure=(lambda: _scatter(truth[known].tolist(), predicted[known].tolist(), figures["tau"], self.facts))
            if figures
            else None,
        )

    def figures(self, folder: Path, result: Result) -> Mapping[str, Figure]:
        """Draw predicted against true numbers of the test networks."""
        scatter = predicted_against_true(folder / "predictions.csv", result.test["tau"], self.facts)
        return {"predicted-vs-true.png": scatter}

    def _columns(self, predicted: np.ndarray, true: Any, intervals: Intervals | None) -> dict[str, Any]:
        names = [f"{kind}_{self.facts.words}" for kind in ("predicted", "true")]
        ends = {} if intervals is None else dict(zip(("low", "high"), intervals.around(predicted), strict=True))
        return {names[0]: predicted, **ends} | ({} if true is None else {names[1]: true})

    def _remarks(self, predicted: np.ndarray) -> list[str]:
        spread = float(predicted.std())
        if len(predicted) < 2 or spread >= HARDLY_VARY * self.facts.span:
            return []
        return [
            f"the predictions hardly vary (mean {predicted.mean():.3f}, standard deviation {spread:.4f}): the "
            "functional tells these networks apart little or not at all; train longer, or on more networks"
        ]


def predicted_against_true(predictions: Path, tau: Metric | None = None, target: Target = Target()) -> Scatter:
    """Return the scatter plot of a file predictions.csv, with the number of networks and tau in its title."""
    table = pl.read_csv(read_regular(predictions), schema_overrides={"network": pl.String})
    true, predicted = (table[f"{kind}_{target.words}"].to_list() for kind in ("true", "predicted"))
    return _scatter(true, predicted, tau, target)


def _scatter(true: Sequence[float], predicted: Sequence[float], tau: Metric | None, target: Target) -> Scatter:
    title = f"{len(true)} networks" + ("" if tau is None or tau.value is None else f", tau {tau}")
    labels = (f"true {target.label.replace('_', ' ')}", "predicted from the weights")
    return Scatter(true, predicted, labels, title, target.bounds)


def _spaces(specs: Sequence[NetworkSpec], networks: Networks) -> dict[str, Any]:
    """Return the column ``weight_space`` of tables on networks of several weight spaces."""
    if not isinstance(networks, MixedFeatures):
        return {}
    return {"weight_space": [str(specs[number]) for number in networks.spaces.tolist()]}


def _figures(predicted: np.ndarray, true: np.ndarray) -> dict[str, Metric]:
    return {name: with_interval(metric, predicted, true) for name, metric in METRICS.items()}
