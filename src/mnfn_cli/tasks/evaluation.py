"""Score runs on their test networks, before and after random group elements change the networks' weights."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mnfn_cli.errors import DataError, UsageError
from mnfn_cli.models.functional import place_of
from mnfn_cli.runtime.context import Context
from mnfn_cli.symmetry import Access
from mnfn_cli.tasks.condition import Condition, Range, conditions_of, groups_of
from mnfn_cli.tasks.data import Split, load_split, split_protocol
from mnfn_cli.tasks.finished_run import Run, label_runs
from mnfn_cli.tasks.metrics import Metric, Reordered, reordered
from mnfn_cli.tasks.result import SpaceFigures, by_weight_space
from mnfn_cli.tasks.task import task_class
from mnfn_cli.weightspace.mixed import Networks
from mnfn_cli.zoo.store import Zoo, open_zoo


@dataclass(frozen=True)
class Row:
    """The scores of one run on one version of the test networks.

    Args:
        run: the path of the run's folder.
        model: the name of the run's model.
        condition: the version of the test networks.
        value, low, high: the figure that the task is about, such as Kendall's tau, and its 95 % bootstrap interval; NaN
            where it is undefined, as tau is if all predictions are equal.
        reads: what the run's functional reads of a network: its weights alone, or it runs the network.
        others: other figures of the task by name; ``coverage`` is the fraction of networks whose true number lies in
            the interval around the predicted one, for runs with intervals.
        largest_change: the largest absolute difference between a number that is observed (``Task.observed``), such as a
            prediction, and that for the original network.
        by_weight_space: the figure within each weight space, if there are several.
        flagged: the share of networks that are flagged as unlike the training zoo; None for runs without the flag.
        reordered: of predicted numbers, the pairs of networks that are ranked otherwise than the original ones.

    >>> from mnfn_cli import Row
    >>> from mnfn_cli.tasks.condition import Condition
    >>> row = Row("runs/relu", "monomial", Condition("scale"), 0.5, 0.25, 0.75, {}, largest_change=0.0)
    >>> row.condition.label, row.value
    ('original', 0.5)
    >>> row.to_json("tau")["tau"]
    0.5
    """

    run: str
    model: str
    condition: Condition
    value: float
    low: float
    high: float
    others: Mapping[str, float]
    largest_change: float
    by_weight_space: tuple[SpaceFigures, ...] = ()
    reads: Access = "weights alone"
    flagged: float | None = None
    reordered: Reordered | None = None

    def to_json(self, figure: str) -> dict[str, Any]:
        """Return a JSON object, in which ``figure`` is the name of the value."""
        entry: dict[str, Any] = {"run": self.run, "model": self.model, "reads": self.reads}
        entry |= {figure: self.value, "low": self.low, "high": self.high, **self.others}
        entry |= {} if self.flagged is None else {"flagged": self.flagged}
        entry["largest_change"] = self.largest_change
        if self.reordered is not None:
            entry |= {"reordered_pairs": self.reordered.pairs, "reordered_apart": self.reordered.apart}
        scale = self.condition.scale
        entry |= {"networks": self.condition.label, "scale": scale and scale[:2]}
        entry |= {"log_uniform": True} if scale and scale.log_uniform else {}
        entry |= {"shifts": self.condition.shifts} if self.condition.shifts else {}
        entry |= {"by_weight_space": [e.to_json() for e in self.by_weight_space]} if self.by_weight_space else {}
        return entry


@dataclass(frozen=True)
class Evaluation:
    """The result of ``evaluate_runs``.

    Args:
        group: the symmetry groups of the networks, as ``groups_of`` names them.
        count: the number of test networks, in all zoos together.
        precision: the dtype in which the models computed, such as ``torch.float32``.
        permuted: whether the group elements also permuted neurons.
        augmented: by the path of a run, whether it was trained on networks changed by group elements.
        rows: one row for each run and condition, run by run.
        split_protocol: how the networks of the zoos are split, in words.
        task: the name of the task of the runs.
        zoos: by the path of a run, the names of its zoos.
        labels: by the path of a run, its label (``label_runs``).
    """

    group: str
    count: int
    precision: str
    permuted: bool
    augmented: dict[str, bool]
    rows: tuple[Row, ...]
    split_protocol: str = ""
    task: str = "generalization"
    zoos: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)

    @property
    def figure(self) -> str:
        """The name of the figure that rows hold as ``value``, such as ``tau``."""
        return task_class(self.task).headline()

    def to_json(self) -> dict[str, Any]:
        """Return a dict for JSON.

        In its rows, ``networks`` is the condition's label and ``scale`` its interval, with ``log_uniform`` if the
        logarithms of the factors are uniform.
        """
        document = asdict(self)
        document["rows"] = [row.to_json(self.figure) for row in self.rows]
        return document

    def of_run(self, run: str) -> list[Row]:
        """Return the rows of the run with this path."""
        return [row for row in self.rows if row.run == run]

    def label_of(self, row: Row) -> str:
        """Return the label of a row's run; the name of its model where it has none."""
        return self.labels.get(row.run, row.model)

    def of_labels(self, labels: Sequence[str]) -> "Evaluation":
        """Return the evaluation with the rows of some labels alone."""
        return replace(self, rows=tuple(row for row in self.rows if self.label_of(row) in labels))


def evaluate_runs(
    runs: Sequence[Run],
    scales: Sequence[Range | tuple[float, float]],
    *,
    zoos: Sequence[Path] | None = None,
    permute: bool = True,
    shifts: Sequence[int] = (),
    seed: int = 0,
    context: Context | None = None,
) -> Evaluation:
    """Score runs on the test networks of their zoos, before and after group elements change the networks' weights.

    All runs on the same zoos see the same networks. For the scaling group there is one condition for each range of
    factors, for other groups one condition in all, and for SIRENs one more for each largest shift. Group elements act
    in float64, and the result is rounded to the models' dtype.

    Args:
        runs: finished runs of one task, on networks of one symmetry group.
        scales: the ranges of the factors for the scaling group.
        zoos: the paths of the runs' zoos now, if all have the same; by default those at which they were trained.
        permute: whether the group elements also permute neurons.
        shifts: for SIRENs, the largest shifts of biases in units of ``pi / omega``.
        seed: the seed of the group elements.
        context: where progress is reported.

    Raises:
        DataError: a zoo cannot be read, or changed since the runs were trained.
        UsageError: a run was trained for another task or on networks of another symmetry group than the first one, or
            it is given twice; or ``zoos`` are given for runs on different zoos, or ``shifts`` for networks without any.
    """
    context = context or Context()
    _require_alike(runs)
    if zoos and any(_learned_from(run) != _learned_from(runs[0]) for run in runs):
        raise UsageError("--zoo", "the runs were trained on different zoos; evaluate those of each apart")
    groups: dict[str, list[Run]] = {}
    for run in runs:
        # Runs on the same networks that learned another edit, for example, have other targets.
        groups.setdefault(repr((_learned_from(run), run.task.facts)), []).append(run)
    conditions = conditions_of(runs[0].specs, scales, permute, shifts)
    context.progress.start("evaluating", len(runs) * len(conditions))
    count, rows, protocols = 0, [], {}
    augmented, names = {}, {}
    for group in groups.values():
        opened = _open_zoos(group[0], zoos)
        test = _load_test(group[0], opened)
        count += len(test.ids)
        rows += _score(group, test, conditions, seed, context)
        protocols[split_protocol(opened, group[0].task.protocol)] = True
        acted_on = any("source_id" in zoo.table.columns for zoo in opened)
        for run in group:
            augmented[str(run.folder.path)] = acted_on or run.recipe.augment is not None
            names[str(run.folder.path)] = ", ".join(zoo.path.name for zoo in opened)
    return Evaluation(
        groups_of(runs[0].specs),
        count,
        str(place_of(runs[0].model)[1]),
        permute,
        augmented,
        tuple(rows),
        " | ".join(protocols),
        runs[0].recipe.task,
        names,
        label_runs(runs),
    )


def _require_alike(runs: Sequence[Run]) -> None:
    first = runs[0]
    paths = [str(run.folder.path) for run in runs]
    for number, run in enumerate(runs):
        if paths[number] in paths[:number]:
            raise UsageError(run.folder.path, "is given twice")
        for what, own, others in (
            ("for another task", run.recipe.task, first.recipe.task),
            ("on networks with other symmetries", groups_of(run.specs), groups_of(first.specs)),
        ):
            if own != others:
                raise UsageError(run.folder.path, f"was trained {what} than {first.folder.path}; evaluate them apart")


def _score(runs: Sequence[Run], test: Split, conditions: Sequence[Condition], seed: int, context: Context) -> list[Row]:
    """Return the rows of runs with the same test networks and targets."""
    dtype = place_of(runs[0].model)[1]
    versions = [(condition, condition.act(test.features, runs[0].specs, seed)) for condition in conditions]
    rows = []
    for run in runs:
        original = None
        for condition, features in versions:
            observed = run.task.observed(run.predict(features.to(dtype=dtype)))
            original = observed if original is None else original
            rows.append(_row(run, condition, features, observed, original, test))
            context.progress.advance()
    return rows


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


def _row(run: Run, condition: Condition, features: Networks, observed: Tensor, original: Tensor, test: Split) -> Row:
    def score(rows: NDArray[np.int64]) -> tuple[Metric, Mapping[str, float]]:
        pictures = [test.pictures[row] for row in rows]
        return run.task.score(observed[rows], test.targets[rows].cpu(), pictures, run.calibration.intervals)

    figure, others = score(np.arange(len(test.ids)))
    familiarity = run.calibration.familiarity
    value, low, high = (float("nan") if number is None else number for number in (figure.value, *figure.interval))
    return Row(
        str(run.folder.path),
        run.recipe.model.name,
        condition,
        value,
        low,
        high,
        others,
        largest_change=float((observed - original).abs().max()),
        by_weight_space=by_weight_space(run.specs, test.features, lambda rows: {run.task.headline(): score(rows)[0]}),
        reads=run.recipe.model.reads,
        flagged=None if familiarity is None else float((familiarity.scores(features) > 1).mean()),
        reordered=reordered(original.numpy(), observed.numpy()) if observed.dim() == 1 else None,
    )
