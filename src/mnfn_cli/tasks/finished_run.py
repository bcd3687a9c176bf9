"""A finished run, read back: its functional, and what it needs to read networks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mnfn_cli.errors import DataError, MnfnError, UsageError
from mnfn_cli.recipe import Recipe, load_recipe
from mnfn_cli.storage.tensors import read_tensors
from mnfn_cli.task_list import TASKS
from mnfn_cli.tasks.functional import build_functional
from mnfn_cli.tasks.task import Task, task_of_run
from mnfn_cli.training.run_folder import RUN_FILE, RunFolder, open_finished
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.zoo.inr_design import InrDesign
from mnfn_cli.zoo.store import open_zoo


class Run:
    """A trained functional.

    Attributes:
        folder: the run's folder.
        recipe: the resolved recipe that made it.
        task: the task that the functional was trained for.
        spec: the weight space that it reads.
        model: the functional, in evaluation mode.
        remarks: sentences about the run that the user should read.
    """

    def __init__(
        self, folder: RunFolder, recipe: Recipe, task: Task, model: nn.Module, remarks: Sequence[str] = ()
    ) -> None:
        self.remarks = tuple(remarks)
        self.folder = folder
        self.recipe = recipe
        self.task = task
        self.spec = task.spec
        self.model = model.eval()

    @property
    def start(self) -> str | None:
        """Fingerprint of the shared start that all networks had which the run learned from; None for other runs."""
        return None if self.task.fit is None else self.task.fit.start

    def to(self, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "Run":
        """Move the functional, and return the run."""
        self.model.to(device=device, dtype=dtype)
        return self

    def predict(self, features: WeightSpaceFeatures) -> Any:
        """Apply the functional to raw weights, in its dtype and on its device.

        Args:
            features: ``(networks, 1, ...)`` of the run's weight space; a memory map is read block by block.

        Returns:
            On the CPU: for generalization the predicted accuracies ``(networks,)``, for classification the
            probabilities ``(networks, classes)``, for editing the edited weights, in the dtypes of the old ones.
        """
        return self.task.answers(self.model, features)


def load_run(path: str | Path, task: str | None = None) -> Run:
    """Open a finished run.

    Args:
        path: its folder.
        task: the name of the task that the run must have been trained for; any task by default.

    Raises:
        DataError: there is none, it is not done, or its files are damaged.
        UsageError: it was trained for another task, or its model comes from a plugin that was not given.
    """
    folder = open_finished(Path(path))
    record, file = folder.record, folder.path / RUN_FILE
    if record.task not in TASKS:
        raise DataError(f"{file}:task", f"'{record.task}' is no task that this version of mnfn knows")
    if task is not None and record.task != task:
        raise UsageError(path, f"is a run of task {record.task}; mnfn {TASKS[record.task].short} reads it")
    remarks = folder.require_plugins()
    recipe = load_recipe(str(folder.recipe))
    known = task_of_run(record.task, recipe, record.spec, record.facts, record.inr, file)
    model = build_functional(recipe, record.spec, known.model_options)
    tensors, _ = read_tensors(folder.model)
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise DataError(folder.model, f"does not fit the recipe: {error}") from None
    return Run(folder, recipe, known, model, remarks)


def load_runs(paths: Sequence[Path], task: str) -> list[Run]:
    """Open several finished runs of a task; what is wrong with any of them is told in one pass.

    Raises:
        DataError, UsageError: as ``load_run`` does.
    """
    runs, faults = [], []
    for path in paths:
        try:
            runs.append(load_run(path, task))
        except MnfnError as fault:
            faults.append(fault)
    if faults:
        raise type(faults[0]).together(faults)
    return runs


def design_of(path: Path) -> InrDesign:
    """Return how the networks of an INR zoo were fitted, or those of the zoo that a finished run was trained on.

    Raises:
        UsageError: the zoo or the run has nothing to do with INRs.
        DataError: the folder is neither, or it is incomplete.
    """
    if not (path / RUN_FILE).exists():
        return InrDesign.of_zoo(open_zoo(path))
    record = open_finished(path).record
    if record.inr is None:
        raise UsageError(path, "is a run on networks that are no INRs")
    return InrDesign.of_folder(path, record.spec, record.inr)
