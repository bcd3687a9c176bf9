"""Score runs on their test networks, before and after random group elements change the networks' weights."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch

from mnfn_cli.errors import DataError, UsageError
from mnfn_cli.models.functional import place_of
from mnfn_cli.runtime.context import Context
from mnfn_cli.runtime.seeds import generator
from mnfn_cli.symmetry import Group
from mnfn_cli.tasks.data import Split, load_split
from mnfn_cli.tasks.finished_run import Run
from mnfn_cli.tasks.metrics import METRICS, Metric, with_interval
from mnfn_cli.tasks.result import SpaceFigures, by_weight_space
from mnfn_cli.weightspace.mixed import Networks, act_at_random
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.store import Zoo, open_zoo

Range = tuple[float, float]


@dataclass(frozen=True)
class Condition:
    """A version of the test networks on which runs are scored.

    Args:
        group: the symmetry groups of the networks, as ``groups_of`` names them.
        acted: whether random group elements change the weights; False for the original networks.
        scale: for the scaling group, the interval (low, high) of the factors; None for other groups.
        permuted: whether the group elements also permute neurons.
    """

    group: str
    acted: bool = False
    scale: Range | None = None
    permuted: bool = False

    @property
    def label(self) -> str:
        """The text by which tables name the condition, such as ``U[1, 10], permuted``."""
        if not self.acted:
            return "original"
        changes = [] if self.scale is None else [f"U[{self.scale[0]:g}, {self.scale[1]:g}]"]
        how = " and ".join([*changes, *(["sign flips"] if "sign" in self.group.split(" and ") else [])])
        return ", ".join([how] * bool(how) + ["permuted"] * self.permuted)

    @property
    def stream(self) -> str:
        """The name of the random stream from which group elements are drawn. It must not change when the label does."""
        return "sign flips" if self.scale is None else f"U[{self.scale[0]:g}, {self.scale[1]:g}]"

    def act(self, features: Networks, specs: Sequence[NetworkSpec], seed: int) -> Networks:
        """Return the networks in this condition: the original ones as they are, changed ones in float64.

        Args:
            features: raw weights of the original networks, ``(networks, 1, ...)``.
            specs: their weight spaces.
            seed: the seed of the group elements.
        """
        if not self.acted:
            return features
        exact, random = features.to(dtype=torch.float64), generator(seed, "evaluation", self.stream)
        return act_at_random(specs, exact, self.scale or (1.0, 1.0), permute=self.permuted, generator=random)


@dataclass(frozen=True)
class Row:
    """The scores of one run on one version of the test networks.

    Args:
        run: the path of the run's folder.
        model: the name of the run's model.
        condition: the version of the test networks.
        tau, low, high: Kendall's tau of predicted and true accuracies, and its 95 % bootstrap interval; NaN where it is
            undefined because all predictions are equal.
        r2, l1: the coefficient of determination and the mean absolute error.
        largest_change: the largest absolute difference between a prediction and that for the original network.
        by_weight_space: tau within each weight space, if there are several.
    """

    run: str
    model: str
    condition: Condition
    tau: float
    low: float
    high: float
    r2: float
    l1: float
    largest_change: float
    by_weight_space: tuple[SpaceFigures, ...] = ()


@dataclass(frozen=True)
class Evaluation:
    """The result of ``evaluate_runs``.

    Args:
        group: the symmetry groups of the networks, as ``groups_of`` names them.
        count: the number of test networks.
        precision: the dtype in which the models computed, such as ``torch.float32``.
        permuted: whether the group elements also permuted neurons.
        augmented: by the path of a run, whether it was trained on networks changed by group elements.
        rows: one row for each run and condition, run by run.
    """

    group: str
    count: int
    precision: str
    permuted: bool
    augmented: dict[str, bool]
    rows: tuple[Row, ...]

    def to_json(self) -> dict[str, Any]:
        """Return a dict for JSON. In its rows, ``networks`` is the condition's label and ``scale`` its interval."""
        document = asdict(self)
        for row, entry in zip(self.rows, document["rows"], strict=True):
            del entry["condition"], entry["by_weight_space"]
            if row.by_weight_space:
                entry["by_weight_space"] = [figures.to_json() for figures in row.by_weight_space]
            entry |= {"networks": row.condition.label, "scale": row.condition.scale}
        return document

    def of_run(self, run: str) -> list[Row]:
        """Return the rows of the run with this path."""
        return [row for row in self.rows if row.run == run]


def parse_scales(text: str) -> list[Range]:
    """Parse ranges of factors: each ``low:high`` stands for itself, and each single number x for 1 to x.

    Raises:
        UsageError: an entry is not a number or a range, or its numbers are not positive, finite and ascending.

    >>> parse_scales("10,0.5:2")
    [(1.0, 10.0), (0.5, 2.0)]
    """
    ranges = []
    for piece in text.split(","):
        try:
            numbers = [float(number) for number in piece.split(":")]
        except ValueError:
            numbers = []
        if len(numbers) not in (1, 2):
            raise UsageError("--scales", f"'{piece}' is no number and no range; write for example 1,10,0.1:10")
        low, high = numbers if len(numbers) == 2 else (1.0, *numbers)
        if not 0 < low <= high < float("inf"):
            raise UsageError("--scales", f"{piece}: factors go from a positive number to one no smaller, from 1 to x")
        ranges.append((low, high))
    return ranges


def evaluate_runs(
    runs: Sequence[Run],
    scales: Sequence[Range],
    *,
    zoos: Sequence[Path] | None = None,
    permute: bool = True,
    seed: int = 0,
    context: Context | None = None,
) -> Evaluation:
    """Score runs on the test networks of their zoos, before and after group elements change the networks' weights.

    All runs see the same networks. For the scaling group there is one condition for each range of factors, for other
    groups one condition in all. Group elements act in float64, and the result is rounded to the models' dtype.

    Args:
        runs: finished runs of the task generalization, all trained on the same zoos.
        scales: the ranges of the factors for the scaling group.
        zoos: the paths of the runs' zoos now; by default those at which they were trained.
        permute: whether the group elements also permute neurons.
        seed: the seed of the group elements.
        context: where progress is reported.

    Raises:
        DataError: a zoo cannot be read, or changed since the runs were trained.
        UsageError: a run was trained on other zoos than the first one, or is given twice.
    """
    context = context or Context()
    _require_alike(runs)
    opened = _open_zoos(runs[0], zoos)
    test = _load_test(runs[0], opened)
    specs, (_, dtype) = runs[0].specs, place_of(runs[0].model)
    conditions = [Condition(groups_of(specs)), *_conditions(specs, scales, permute)]
    versions = [(condition, condition.act(test.features, specs, seed)) for condition in conditions]
    context.progress.start("evaluating", len(runs) * len(versions))
    truth = test.vector()
    rows = []
    for run in runs:
        original = None
        for condition, features in versions:
            predicted = run.predict(features.to(dtype=dtype)).double().numpy()
            original = predicted if original is None else original
            row = _row(run, condition, predicted, original, truth)
            within = by_weight_space(specs, test.features, partial(_tau_of, predicted, truth))
            rows.append(replace(row, by_weight_space=within))
            context.progress.advance()
    acted_on = any("source_id" in zoo.table.columns for zoo in opened)
    augmented = {str(run.folder.path): acted_on or run.recipe.augment is not None for run in runs}
    return Evaluation(groups_of(specs), len(test.ids), str(dtype), permute, augmented, tuple(rows))


def _require_alike(runs: Sequence[Run]) -> None:
    first = runs[0]
    paths = [str(run.folder.path) for run in runs]
    for number, run in enumerate(runs):
        if paths[number] in paths[:number]:
            raise UsageError(run.folder.path, "is given twice")
        if _learned_from(run) != _learned_from(first):
            raise UsageError(
                run.folder.path, f"was trained on other networks than {first.folder.path}; evaluate them apart"
            )


def _learned_from(run: Run) -> tuple[list[str], list[str]]:
    """Return what identifies a run's networks: the zoos' fingerprints, and the ids of networks that were left out."""
    record = run.folder.record
    return [zoo.fingerprint for zoo in record.zoos], [name for _, name in record.skipped]


def _open_zoos(run: Run, zoos: Sequence[Path] | None) -> list[Zoo]:
    known = run.folder.record.zoos
    paths = zoos or [Path(entry.path) for entry in known]
    if len(paths) != len(known):
        raise UsageError("--zoo", f"the run was trained on {len(known)} zoos, {len(paths)} are given")
    opened = [open_zoo(path) for path in paths]
    for zoo, entry in zip(opened, known, strict=True):
        if zoo.fingerprint != entry.fingerprint:
            raise DataError(zoo.path, "changed since the run was trained; its test split may hold training networks")
    return opened


def _load_test(run: Run, opened: Sequence[Zoo]) -> Split:
    record = run.folder.record
    moved = {entry.path: str(zoo.path) for entry, zoo in zip(record.zoos, opened, strict=True)}
    skipped = frozenset((moved[zoo], name) for zoo, name in record.skipped)
    return load_split(opened, "test", run.task.targets, skipped, run.specs)


def groups_of(specs: Sequence[NetworkSpec]) -> str:
    """Return the groups of weight spaces as text: ``scale``, ``sign``, ``permutation``, or several with ``and``."""
    found = {spec.group for spec in specs}
    return " and ".join(group for group in get_args(Group) if group in found)


def _conditions(specs: Sequence[NetworkSpec], scales: Sequence[Range], permute: bool) -> list[Condition]:
    groups = groups_of(specs)
    if groups == "permutation" and not permute:
        return []
    ranges = scales if "scale" in groups.split(" and ") else [None]
    return [Condition(groups, True, scale, permute) for scale in ranges]


def _tau_of(predicted: np.ndarray, truth: np.ndarray, rows: np.ndarray) -> dict[str, Metric]:
    return {"tau": with_interval(METRICS["tau"], predicted[rows], truth[rows])}


def _row(run: Run, condition: Condition, predicted: np.ndarray, original: np.ndarray, truth: np.ndarray) -> Row:
    tau = with_interval(METRICS["tau"], predicted, truth)
    value, low, high = (float("nan") if number is None else number for number in (tau.value, *tau.interval))
    return Row(
        str(run.folder.path),
        run.recipe.model.name,
        condition,
        value,
        low,
        high,
        r2=METRICS["r2"](predicted, truth),
        l1=METRICS["l1"](predicted, truth),
        largest_change=float(np.abs(predicted - original).max()),
    )
