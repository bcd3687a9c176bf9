"""The list of tasks: the class of each, and the command that applies its runs.

Classes are named by text and imported when they are needed, so that help pages do not import torch or pydantic. The
models of each task are declared in ``recipe.models``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal


@dataclass(frozen=True)
class TaskDeclaration:
    """A task as recipes and the command line know it.

    Attributes:
        engine: the subclass of ``tasks.task.Task``, as ``module:class``.
        command, short: the name of the command that applies a finished run to networks, and its short name.
        help: the help text of this command.
        writes: the output of the command: ``table`` with a row for each network, or ``networks``.
        examples: command lines that the command's help shows.
        calibration: the default of ``training.calibration``, the fraction of the validation networks that calibrate
            the intervals around answers; None for a task that has no intervals.
        requires: keys of the recipe's section ``data`` that this task needs and others refuse, with the message for a
            missing key.
        optional: keys of this section that this task may have and others refuse.
    """

    engine: str
    command: str
    short: str
    help: str
    writes: Literal["table", "networks"]
    examples: tuple[str, ...]
    calibration: float | None = None
    requires: Mapping[str, str] = field(default_factory=dict)
    optional: tuple[str, ...] = ()

    def load(self) -> Any:
        """Import the task's class and return it."""
        module, _, name = self.engine.partition(":")
        return getattr(import_module(module), name)


TASKS: Mapping[str, TaskDeclaration] = {
    "generalization": TaskDeclaration(
        engine="mnfn_cli.tasks.generalization:Generalization",
        command="predict-generalization",
        short="predict",
        help="Predict the test accuracy of networks from their weights.",
        writes="table",
        examples=(
            "mnfn predict runs/relu zoos/digits-relu --split test -o predictions.csv",
            "mnfn predict runs/relu checkpoints/",
        ),
        calibration=0.5,
        optional=("label", "bounds"),
    ),
    "classification": TaskDeclaration(
        engine="mnfn_cli.tasks.classification:Classification",
        command="classify-inr",
        short="classify",
        help="Classify the pictures inside implicit neural representations from their weights.",
        writes="table",
        examples=(
            "mnfn classify runs/digits zoos/digits-inr --split test -o classes.csv",
            "mnfn classify runs/digits checkpoints/",
        ),
    ),
    "editing": TaskDeclaration(
        engine="mnfn_cli.tasks.editing:Editing",
        command="edit-style",
        short="edit",
        help="Edit the pictures inside implicit neural representations; networks are written back as they came.",
        writes="networks",
        examples=(
            "mnfn edit runs/dilate zoos/digits-inr --split test -o edited --picture before-after.png",
            "mnfn edit runs/dilate checkpoints/ -o edited-checkpoints",
        ),
        requires={"edit": "an editor learns dilate or contrast"},
    ),
}
"""All tasks by the name that recipes use."""
