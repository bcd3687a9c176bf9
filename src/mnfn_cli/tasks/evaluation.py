"""Score runs on their test networks, before and after random group elements change the networks' weights."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mnfn_cli.errors import DataError, UsageError
from mnfn_cli.models.functional import place_of
from mnfn_cli.runtime.context import Context
from mnfn_cli.runtime.seeds import generator
from mnfn_cli.tasks.data import Split, load_split, split_protocol
from mnfn_cli.tasks.finished_run import Run
from mnfn_cli.tasks.metrics import METRICS, with_interval
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.store import Zoo, open_zoo

Range = tuple[float, float]


@dataclass(frozen=True)
class Condition:
    """A version of the test networks on which runs are scored.

    Args:
        group: the symmetry group of the networks: ``scale``, ``sign`` or ``permutation``.
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
        how = "sign flips" if self.scale is None else f"U[{self.scale[0]:g}, {self.scale[1]:g}]"
        return how + (", permuted" if self.permuted else "")

    @property
    def stream(self) -> str:
        """The name of the random stream from which group elements are drawn. It must not change when the label does."""
        return "sign flips" if self.scale is None else f"U[{self.scale[0]:g}, {self.scale[1]:g}]"

    def act(self, features: WeightSpaceFeatures, spec: NetworkSpec, seed: int) -> WeightSpaceFeatures:
        """Return the networks in this condition: the original ones as they are, changed ones in float64.

        Args:
            features: raw weights of the original networks, ``(networks, 1, ...)``.
            spec: their weight space.
            seed: the seed of the group elements.
        """
        if not self.acted:
            return features
        element = MonomialElement.sample(
            spec,
            features.batch,
            self.scale or (1.0, 1.0),
            permute=self.permuted,
            generator=generator(seed, "evaluation", self.stream),
        )
        return element.act(features.to(dtype=torch.float64))


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


@dataclass(frozen=True)
class Evaluation:
    """The result of ``evaluate_runs``.

    Args:
        group: the symmetry group of the networks: ``scale``, ``sign`` or ``permutation``.
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
            del entry["condition"]
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
    spec, (_, dtype) = runs[0].spec, place_of(runs[0].model)
    conditions = [Condition(spec.group), *_conditions(spec, scales, permute)]
    versions = [(condition, condition.act(test.features, spec, seed)) for condition in conditions]
    context.progress.start("evaluating", len(runs) * len(versions))
    truth = test.vector()
    rows = []
    for run in runs:
        original = None
        for condition, features in versions:
            predicted = run.predict(features.to(dtype=dtype)).double().numpy()
            original = predicted if original is None else original
            rows.append(_row(run, condition, predicted, original, truth))
            context.progress.advance()
    acted_on = any("source_id" in zoo.table.columns for zoo in opened)
    augmented = {str(run.folder.path): acted_on or run.recipe.augment is not None for run in runs}
    protocol = split_protocol(opened, runs[0].task.protocol)
    return Evaluation(spec.group, len(test.ids), str(dtype), permute, augmented, tuple(rows), protocol)


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
    return load_split(opened, "test", run.task.targets, skipped)


def _conditions(spec: NetworkSpec, scales: Sequence[Range], permute: bool) -> list[Condition]:
    ranges = scales if spec.group == "scale" else [None]
    return [Condition(spec.group, True, scale, permute) for scale in ranges]


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
