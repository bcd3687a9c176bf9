"""What a task is to the code that trains and reads runs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

from mnfn_cli.recipe import Recipe
from mnfn_cli.tasks.split import Split
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.zoo.store import Zoo


class Task(Protocol):
    """Data, loss and metrics of one task on one recipe's zoos.

    Constructed from a recipe and its open zoos; raises ``DataError`` or ``RecipeError`` for zoos that it cannot learn
    from, every fault named.

    Attributes:
        criterion: the figure of ``validate`` that chooses the best model.
        smaller_is_better: which way.
        protocol: how networks were divided, for the result.
        facts: what a reader of the run needs to know beside the recipe, kept in run.json.
    """

    criterion: str
    smaller_is_better: bool
    protocol: str
    facts: dict[str, Any]

    def __init__(self, recipe: Recipe, zoos: Sequence[Zoo]) -> None: ...

    def targets(self, zoo: Zoo, rows: Sequence[int]) -> Tensor:
        """Return what is to be learned about some networks, ``(rows, ...)``."""

    def loss(self, model: nn.Module, features: WeightSpaceFeatures, targets: Tensor, where: str) -> Tensor:
        """Return the loss of a batch, a scalar; ``where`` says which, for an error."""

    def validate(self, model: nn.Module, split: Split) -> Mapping[str, float]:
        """Return figures of the model as it is."""

    def conclude(self, model: nn.Module, train: Split, test: Split, folder: Path) -> dict[str, Any]:
        """Write what the best model does with the test networks into the run, and return entries of result.json.

        ``test`` is among them: metrics by name, each with value and interval.
        """
