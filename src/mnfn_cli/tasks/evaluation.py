"""How runs' predictions stand when their test networks are acted on by their group."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mnfn_cli.errors import DataError, UsageError
from mnfn_cli.runtime.progress import Progress, Silent
from mnfn_cli.runtime.seeds import generator
from mnfn_cli.tasks.generalization import measured_accuracies
from mnfn_cli.tasks.metrics import METRICS, with_interval
from mnfn_cli.tasks.run import Run, predict
from mnfn_cli.tasks.split import Split, load_split
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.store import Zoo, open_zoo

Range = tuple[float, float]


@dataclass(frozen=True)
class Row:
    """Scores of one run on one version of the test networks.

    Args:
        run: its folder.
        model: its model's name.
        networks: which version: original, or acted on by which elements.
        scale: (low, high) of the factors; None for the original and for sign flips.
        tau, low, high: Kendall's tau and its 95 % bootstrap interval; NaN where undefined (constant output).
        r2, l1: coefficient of determination, mean absolute error.
        largest_change: largest change of a prediction against the original network's.
    """

    run: str
    model: str
    networks: str
    scale: Range | None
    tau: float
    low: float
    high: float
    r2: float
    l1: float
    largest_change: float


@dataclass(frozen=True)
class Evaluation:
    """What ``evaluate_runs`` found.

    Args:
        group: of the networks.
        count: test networks.
        precision: dtype of models and networks.
        permuted: whether neurons were permuted too.
        augmented: of each run, whether it was trained on networks that were acted on.
        rows: one for each run and version, run by run.
    """

    group: str
    count: int
    precision: str
    permuted: bool
    augmented: dict[str, bool]
    rows: tuple[Row, ...]

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return asdict(self)

    def of_run(self, run: str) -> list[Row]:
        """Return the rows of one run."""
        return [row for row in self.rows if row.run == run]


def parse_scales(text: str) -> list[Range]:
    """Read ``1,10,1e2`` (each x stands for factors from 1 to x) and ranges such as ``0.1:10``.

    Raises:
        UsageError: something is no number, not positive, reversed, or not finite.

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
    progress: Progress | None = None,
) -> Evaluation:
    """Score runs on the test networks of their zoo, as they are and acted on: the same elements for all runs.

    For the scaling group: by factors from each range and a random permutation. For the sign group: by random sign flips
    and a permutation, once. The stored weights are acted on in float64 and then rounded to the models' dtype.

    Args:
        runs: finished generalization runs on one zoo, or the same several.
        scales: ranges of the factors.
        zoos: where the runs' zoos are now; by default where they were.
        permute: also permute neurons; without it, scaling or flips alone.
        seed: of the group elements.
        progress: listener.

    Raises:
        DataError: the zoo is gone or changed.
        UsageError: runs on other zoos than the first one's, or one run twice.
    """
    progress = progress or Silent()
    _require_alike(runs)
    opened = _open_zoos(runs[0], zoos)
    test = _load_test(runs[0], opened)
    spec, dtype = runs[0].spec, next(runs[0].model.parameters()).dtype
    versions: list[tuple[str, Range | None, WeightSpaceFeatures]] = [("original", None, test.features)]
    for name, scale in _conditions(spec, scales, permute):
        versions.append((name, scale, _acted(test.features, spec, name, scale, permute, seed)))
    progress.start("evaluating", len(runs) * len(versions))
    truth = test.vector()
    rows = []
    for run in runs:
        original = None
        for name, scale, features in versions:
            predicted = predict(run.model, features.to(dtype=dtype)).double().numpy()
            original = predicted if original is None else original
            rows.append(_row(run, name, scale, predicted, original, truth))
            progress.advance()
    acted_on = any("source_id" in zoo.table.columns for zoo in opened)
    augmented = {str(run.folder.path): acted_on or run.recipe.augment is not None for run in runs}
    return Evaluation(spec.group, len(test.ids), str(dtype), permute, augmented, tuple(rows))


def _require_alike(runs: Sequence[Run]) -> None:
    first = runs[0]
    paths = [str(run.folder.path) for run in runs]
    for number, run in enumerate(runs):
        if paths[number] in paths[:number]:
            raise UsageError(run.folder.path, "is given twice")
        for fact in ("zoos", "skipped"):
            ours, theirs = ([_without_path(entry) for entry in r.folder.description[fact]] for r in (first, run))
            if ours != theirs:
                raise UsageError(
                    run.folder.path, f"was trained on other networks than {first.folder.path}; evaluate them apart"
                )


def _without_path(entry: Any) -> Any:
    """Return what identifies a zoo (its fingerprint) or a skipped network (its id), wherever the zoo was."""
    return entry["fingerprint"] if isinstance(entry, dict) else entry[1]


def _open_zoos(run: Run, zoos: Sequence[Path] | None) -> list[Zoo]:
    known = run.folder.description["zoos"]
    paths = zoos or [Path(entry["path"]) for entry in known]
    if len(paths) != len(known):
        raise UsageError("--zoo", f"the run was trained on {len(known)} zoos, {len(paths)} are given")
    opened = [open_zoo(path) for path in paths]
    for zoo, entry in zip(opened, known, strict=True):
        if zoo.fingerprint != entry["fingerprint"]:
            raise DataError(zoo.path, "changed since the run was trained; its test split may hold training networks")
    return opened


def _load_test(run: Run, opened: Sequence[Zoo]) -> Split:
    known = run.folder.description["zoos"]
    moved = {entry["path"]: str(zoo.path) for entry, zoo in zip(known, opened, strict=True)}
    skipped = frozenset((moved[zoo], name) for zoo, name in run.folder.description["skipped"])
    return load_split(opened, "test", measured_accuracies, skipped)


def _conditions(spec: NetworkSpec, scales: Sequence[Range], permute: bool) -> list[tuple[str, Range | None]]:
    shuffled = ", permuted" if permute else ""
    if spec.group == "scale":
        return [(f"U[{low:g}, {high:g}]{shuffled}", (low, high)) for low, high in scales]
    return [(f"sign flips{shuffled}", None)]


def _acted(
    features: WeightSpaceFeatures, spec: NetworkSpec, name: str, scale: Range | None, permute: bool, seed: int
) -> WeightSpaceFeatures:
    element = MonomialElement.sample(
        spec,
        features.batch,
        scale or (1.0, 1.0),
        permute=permute,
        generator=generator(seed, "evaluation", name.removesuffix(", permuted")),
    )
    return element.act(features.to(dtype=torch.float64))


def _row(
    run: Run, name: str, scale: Range | None, predicted: np.ndarray, original: np.ndarray, truth: np.ndarray
) -> Row:
    tau: dict[str, Any] = with_interval(METRICS["tau"], predicted, truth)
    low, high = tau["interval"]
    return Row(
        str(run.folder.path),
        run.recipe.model.name,
        name,
        scale,
        tau["value"],
        low,
        high,
        r2=METRICS["r2"](predicted, truth),
        l1=METRICS["l1"](predicted, truth),
        largest_change=float(np.abs(predicted - original).max()),
    )
