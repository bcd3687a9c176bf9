"""The one place that declares tasks: what a recipe of each may say, and what the terminal says of it.

The class that does a task's work is named here and imported when it is needed, so that nothing imports torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal

from mnfn_cli.errors import RecipeError
from mnfn_cli.recipe.models import (
    AbsoluteClassifier,
    FlatMlp,
    Gnn,
    Hnp,
    HnpClassifier,
    HnpEditor,
    MlpClassifier,
    MlpEditor,
    Model,
    Monomial,
    MonomialClassifier,
    MonomialEditor,
    Np,
    NpClassifier,
    NpEditor,
    StatNN,
    StrictEditor,
    by_name,
)


@dataclass(frozen=True)
class TaskDeclaration:
    """What recipes and the terminal know of a task.

    Attributes:
        engine: where the subclass of ``tasks.task.Task`` is, as ``module:class``.
        models: the declarations of its models, by name.
        command, short: the command that applies a finished run to networks, and its short name.
        help: what that command does, in one sentence.
        writes: what the command makes: a ``table`` with a row a network, or ``networks``.
        examples: lines for the command's help.
        requires: keys of the section ``data`` that a recipe of this task has and no other.
    """

    engine: str
    models: dict[str, type[Model]]
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
        models=by_name(Monomial, StatNN, Np, Hnp, Gnn, FlatMlp),
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
        models=by_name(MonomialClassifier, AbsoluteClassifier, HnpClassifier, NpClassifier, MlpClassifier),
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
        models=by_name(StrictEditor, MonomialEditor, HnpEditor, NpEditor, MlpEditor),
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


def declare_model(task: str, model: type[Model]) -> type[Model]:
    """Make a model known, so that recipes of ``task`` may choose it by its name.

    Args:
        task: a key of ``TASKS``.
        model: its declaration.

    Returns:
        ``model``.

    Raises:
        RecipeError: there is no such task, or it has another model of that name.
    """
    if task not in TASKS:
        raise RecipeError(task, f"no such task; known: {', '.join(TASKS)}")
    known = TASKS[task].models
    for name in model.names():
        if name in known and known[name] is not model:
            raise RecipeError(f"{task}/{name}", "a model of that name is there already; choose another name")
        known[name] = model
    return model
