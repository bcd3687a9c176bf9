"""How a run's predictions stand when its test networks are acted on by their group."""

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
from mnfn_cli.tasks.split import load_split
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.zoo.store import open_zoo


@dataclass(frozen=True)
class Row:
    """Scores on one version of the test networks.

    Args:
        networks: which version: original, or acted on by which elements.
        scale: x of ``U[1, x]``; None for the original and for sign flips.
        tau, low, high: Kendall's tau and its 95 % bootstrap interval; NaN where undefined.
        r2, l1: coefficient of determination, mean absolute error.
        largest_change: largest change of a prediction against the original network's.
    """

    networks: str
    scale: float | None
    tau: float
    low: float
    high: float
    r2: float
    l1: float
    largest_change: float


@dataclass(frozen=True)
class Evaluation:
    """What ``evaluate_run`` found.

    Args:
        run: the run's folder.
        model: its model's name.
        group: of the networks.
        count: test networks.
        precision: dtype of model and networks.
        rows: one a version.
    """

    run: str
    model: str
    group: str
    count: int
    precision: str
    rows: tuple[Row, ...]

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return asdict(self)


def parse_scales(text: str) -> list[float]:
    """Read ``1,10,1e2``.

    Raises:
        UsageError: something is no number, below 1, or not finite.
    """
    scales = []
    for piece in text.split(","):
        try:
            scale = float(piece)
        except ValueError:
            raise UsageError("--scales", f"'{piece}' is no number; write for example 1,10,1e2") from None
        if not 1 <= scale < float("inf"):
            raise UsageError("--scales", f"{piece}: U[1, x] needs x of at least 1")
        scales.append(scale)
    return scales


def evaluate_run(
    run: Run,
    scales: Sequence[float],
    *,
    zoos: Sequence[Path] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Evaluation:
    """Score a run on the test networks of its zoo, as they are and acted on.

    For the scaling group: by factors ``U[1, x]`` and a random permutation, for each ``x``. For the sign group: by
    random sign flips and a permutation, once. The stored weights are acted on in float64 and then rounded to the
    model's dtype.

    Args:
        run: a finished generalization run.
        scales: the ``x``.
        zoos: where the run's zoos are now; by default where they were.
        seed: of the group elements.
        progress: listener.

    Raises:
        DataError: the zoo is gone or changed.
    """
    progress = progress or Silent()
    known = run.folder.description["zoos"]
    paths = zoos or [Path(entry["path"]) for entry in known]
    if len(paths) != len(known):
        raise UsageError("--zoo", f"the run was trained on {len(known)} zoos, {len(paths)} are given")
    opened = [open_zoo(path) for path in paths]
    for zoo, entry in zip(opened, known, strict=True):
        if zoo.fingerprint != entry["fingerprint"]:
            raise DataError(zoo.path, "changed since the run was trained; its test split may hold training networks")
    moved = {entry["path"]: str(path) for entry, path in zip(known, paths, strict=True)}
    skipped = frozenset((moved[zoo], name) for zoo, name in run.folder.description["skipped"])
    test = load_split(opened, "test", measured_accuracies, skipped)
    dtype = next(run.model.parameters()).dtype
    truth = test.vector()
    original = predict(run.model, test.features).double().numpy()
    conditions = [(f"U[1, {x:g}]", float(x)) for x in scales] if run.spec.group == "scale" else [("sign flips", None)]
    progress.start("evaluating", len(conditions) + 1)
    rows = [_row("original", None, original, original, truth)]
    progress.advance()
    for name, x in conditions:
        features: WeightSpaceFeatures = test.features.to(dtype=torch.float64)
        element = MonomialElement.sample(
            run.spec, features.batch, (1.0, x or 1.0), generator=generator(seed, "evaluation", name)
        )
        predicted = predict(run.model, element.act(features).to(dtype=dtype)).double().numpy()
        rows.append(_row(f"{name}, permuted", x, predicted, original, truth))
        progress.advance()
    return Evaluation(
        str(run.folder.path), run.recipe.model.name, run.spec.group, len(test.ids), str(dtype), tuple(rows)
    )


def _row(name: str, scale: float | None, predicted: np.ndarray, original: np.ndarray, truth: np.ndarray) -> Row:
    tau: dict[str, Any] = with_interval(METRICS["tau"], predicted, truth)
    low, high = tau["interval"]
    return Row(
        name,
        scale,
        tau["value"],
        low,
        high,
        r2=METRICS["r2"](predicted, truth),
        l1=METRICS["l1"](predicted, truth),
        largest_change=float(np.abs(predicted - original).max()),
    )
