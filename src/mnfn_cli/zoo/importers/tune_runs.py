"""Find the checkpoints of runs of Ray Tune, each with the row of ``result.json`` that belongs to it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mnfn_cli.errors import DataError
from mnfn_cli.zoo.importers.network_files import NetworkFile
from mnfn_cli.zoo.importers.tune_results import Epoch, read_results

ACTIVATIONS = {
    "leakyrelu": "leaky_relu",
    "relu": "relu",
    "tanh": "tanh",
    "sigmoid": "sigmoid",
    "silu": "silu",
    "gelu": "gelu",
}
"""The names of activations by those that the ``config`` of a run has for them, as ``model::nlin``."""

_FILE = re.compile(
    r"(?P<run>(?:.+/)?NN_tune_trainable_[^/]*)/(?:checkpoint_(?P<epoch>\d{1,9})/checkpoints|result\.json)", re.ASCII
)
"""Matches the path of a checkpoint or of the results of a run."""

Chosen = int | Literal["last", "all"]


@dataclass(frozen=True)
class Stage:
    """A checkpoint of a run, and what was measured there.

    Args:
        run: the path of the run's folder inside the folder that is imported.
        number: the number of the epoch.
        file: the file of the network, with its activation as hint.
        epoch: what was measured.
    """

    run: str
    number: int
    file: NetworkFile
    epoch: Epoch


def is_of_a_run(file: Path) -> bool:
    """Return whether a path inside the folder is that of a checkpoint or of the results of a run."""
    return _FILE.fullmatch(file.as_posix()) is not None


def find_stages(root: Path, files: Sequence[Path], chosen: Chosen) -> tuple[list[Stage], list[DataError]]:
    """Return the chosen checkpoints of every run with their results, and an error for each run that lacks something.

    Args:
        root: the folder that is imported.
        files: the paths of checkpoints and results inside it.
        chosen: the checkpoint of this epoch, the ``last`` one of each run, or ``all``.
    """
    runs: dict[str, dict[int, Path]] = {}
    for file in files:
        found = _FILE.fullmatch(file.as_posix())
        assert found is not None
        checkpoints = runs.setdefault(found["run"], {})
        if found["epoch"] is not None:
            checkpoints[int(found["epoch"])] = file
    stages, errors = [], []
    for run, checkpoints in runs.items():
        try:
            stages += _stages_of(root, run, checkpoints, chosen)
        except DataError as error:
            errors.append(error)
    return stages, errors


def _stages_of(root: Path, run: str, checkpoints: Mapping[int, Path], chosen: Chosen) -> list[Stage]:
    if not checkpoints or (isinstance(chosen, int) and chosen not in checkpoints):
        raise DataError(root / run, f"has no checkpoint{f' of epoch {chosen}' if isinstance(chosen, int) else ''}")
    wanted = [chosen] if isinstance(chosen, int) else sorted(checkpoints)[-1 if chosen == "last" else 0 :]
    epochs = read_results(root / run / "result.json")
    stages = []
    for number in wanted:
        name = checkpoints[number].as_posix()
        if number not in epochs:
            raise DataError(root / run / "result.json", f"has no row with training_iteration {number}, as has {name}")
        named = epochs[number].config.get("model::nlin")
        if named not in ACTIVATIONS:
            problem = f"'{named}' is not supported; known: {', '.join(ACTIVATIONS)}"
            raise DataError(f"{epochs[number].place}:config:model::nlin", problem)
        file = NetworkFile(root / checkpoints[number], name, ACTIVATIONS[str(named)])
        stages.append(Stage(run, number, file, epochs[number]))
    return stages
