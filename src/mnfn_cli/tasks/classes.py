"""Classes of the pictures inside INRs that come as files or as a zoo."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mnfn_cli.errors import DataError, NumericError
from mnfn_cli.tasks.classification import LABEL
from mnfn_cli.tasks.run import load_run, predict
from mnfn_cli.zoo.checkpoints import Wanted, load_checkpoints


@dataclass(frozen=True)
class Classes:
    """What a run says about networks, in the order of the checkpoints.

    Args:
        networks: names.
        predicted: the most probable class.
        probabilities: of every class, by its name, an entry a network.
        true: the class where known; None otherwise.
        skipped: bad networks that were left out, with what is wrong.
        unknown_start: networks that do not say which start they were fitted from, where the run knows one only.
    """

    networks: list[str]
    predicted: list[str]
    probabilities: dict[str, list[float]]
    true: list[str | None]
    skipped: list[DataError]
    unknown_start: int

    def columns(self) -> dict[str, list[Any]]:
        """Return the table's columns; the true class only if some network has one."""
        columns: dict[str, list[Any]] = {"network": self.networks, "predicted_class": self.predicted}
        if any(name is not None for name in self.true):
            columns["true_class"] = self.true
        return columns | {f"probability_{name}": values for name, values in self.probabilities.items()}

    def to_csv(self) -> str:
        """Return the table as CSV."""
        import polars as pl

        return pl.DataFrame(self.columns(), strict=False).write_csv()

    def to_json(self) -> dict[str, Any]:
        """Return the table and the skipped networks."""
        return {**self.columns(), "skipped": list(map(str, self.skipped))}


def classify_checkpoints(
    run: Path,
    checkpoints: Path,
    *,
    split: str | None = None,
    skip_bad: bool = False,
    device: torch.device | str = "cpu",
) -> Classes:
    """Read INRs and name the classes of their pictures.

    Args:
        run: a finished classification run.
        checkpoints: one file, a folder of single files, or a zoo.
        split: of a zoo.
        skip_bad: leave out networks that cannot be used.
        device: where to compute.

    Raises:
        DataError: the run or a network cannot be read, or comes from another start; all bad networks are named.
        NumericError: a probability is not finite.
    """
    loaded = load_run(run, "classification").to(device=device)
    wanted = Wanted(loaded.spec, LABEL, str, loaded.start)
    networks = load_checkpoints(checkpoints, wanted, split=split, skip_bad=skip_bad)
    probabilities = predict(loaded.model, networks.features).softmax(dim=1)
    finite = probabilities.isfinite().all(dim=1).tolist()
    wrong = [name for name, fine in zip(networks.names, finite, strict=True) if not fine]
    if wrong:
        faults = [NumericError(f"{checkpoints}:{name}", "the probabilities are not finite") for name in wrong]
        raise NumericError.together(faults)
    classes: list[str] = loaded.folder.description["facts"]["classes"]
    return Classes(
        networks.names,
        [classes[number] for number in probabilities.argmax(dim=1).tolist()],
        {name: probabilities[:, number].tolist() for number, name in enumerate(classes)},
        [None if label is None else str(label) for label in networks.labels],
        networks.skipped,
        networks.unknown_start,
    )
