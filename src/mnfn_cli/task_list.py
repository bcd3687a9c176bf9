"""The list of tasks: what the terminal says of each, and which class does its work.

The class is named and imported when it is needed, so that help pages wait for neither torch nor pydantic. The models of
each task are declared in ``recipe.models``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal


@dataclass(frozen=True)
class TaskDeclaration:
    """What recipes and the terminal know of a task.

    Attributes:
        engine: where the subclass of ``tasks.task.Task`` is, as ``module:class``.
        command, short: the command that applies a finished run to networks, and its short name.
        help: what that command does, in one sentence.
        writes: what the command makes: a ``table`` with a row a network, or ``networks``.
        examples: lines for the command's help.
        requires: keys of the section ``data`` that a recipe of this task has and no other.
    """

    engine: str
    command: str
    short: str
    help: str
    writes: Literal["table", "networks"]
    examples: tuple[str, ...]
    requires: Mapping[str, str] = field(default_factory=dict)

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
"""By name."""
