"""Predictions for networks that come as files or as a zoo."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mnfn_cli.errors import DataError, NumericError
from mnfn_cli.tasks.run import load_run, predict
from mnfn_cli.zoo.checkpoints import Wanted, load_checkpoints


@dataclass(frozen=True)
class Predictions:
    """Predicted accuracies, in the order of the checkpoints.

    Args:
        networks: names.
        predicted: in [0, 1].
        true: where known; None otherwise.
        skipped: bad networks that were left out, with what is wrong.
    """

    networks: list[str]
    predicted: list[float]
    true: list[float | None]
    skipped: list[DataError]

    def columns(self) -> dict[str, list[Any]]:
        """Return the table's columns; the true accuracy only if some network has one."""
        columns: dict[str, list[Any]] = {"network": self.networks, "predicted_accuracy": self.predicted}
        return columns | ({"true_accuracy": self.true} if any(value is not None for value in self.true) else {})

    def to_csv(self) -> str:
        """Return the table as CSV."""
        import polars as pl

        return pl.DataFrame(self.columns(), strict=False).write_csv()

    def to_json(self) -> dict[str, Any]:
        """Return the table and the skipped networks."""
        return {**self.columns(), "skipped": list(map(str, self.skipped))}


def predict_checkpoints(
    run: Path,
    checkpoints: Path,
    *,
    split: str | None = None,
    skip_bad: bool = False,
    device: torch.device | str = "cpu",
) -> Predictions:
    """Read networks and predict their accuracies.

    Args:
        run: a finished run.
        checkpoints: one file, a folder of single files, or a zoo.
        split: of a zoo.
        skip_bad: leave out networks that cannot be used.
        device: where to compute.

    Raises:
        DataError: the run or a network cannot be read; all bad networks are named.
        NumericError: a prediction is not finite.
    """
    loaded = load_run(run, "generalization").to(device=device)
    wanted = Wanted(loaded.spec, "test_accuracy", float)
    networks = load_checkpoints(checkpoints, wanted, split=split, skip_bad=skip_bad)
    predicted = predict(loaded.model, networks.features).tolist()
    wrong = [name for name, value in zip(networks.names, predicted, strict=True) if value != value]
    if wrong:
        faults = [NumericError(f"{checkpoints}:{name}", "the prediction is not finite") for name in wrong]
        raise NumericError.together(faults)
    return Predictions(networks.names, predicted, networks.labels, networks.skipped)
