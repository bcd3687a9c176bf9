"""Score runs on their test networks, before and after random group elements change the networks' weights."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mnfn_cli.errors import DataError, UsageError
from mnfn_cli.models.functional import place_of
from mnfn_cli.runtime.context import Context
from mnfn_cli.tasks.condition import Condition, Range, conditions_of, groups_of
from mnfn_cli.tasks.data import Split, load_split, split_protocol
from mnfn_cli.tasks.finished_run import Run
from mnfn_cli.tasks.metrics import METRICS, Metric, with_interval
from mnfn_cli.tasks.result import SpaceFigures, by_weight_space
from mnfn_cli.zoo.store import Zoo, open_zoo


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
        split_protocol: how the networks of the zoos are split, in words.
    """

    group: str
    count: int
    precision: str
    permuted: bool
    augmented: dict[str, bool]
    rows: tuple[Row, ...]
    split_protocol: str = ""

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
    conditions = conditions_of(specs, scales, permute)
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
    protocol = split_protocol(opened, runs[0].task.protocol)
    return Evaluation(groups_of(specs), len(test.ids), str(dtype), permute, augmented, tuple(rows), protocol)


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
