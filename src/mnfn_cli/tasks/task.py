"""What a task is: the one class behind which everything lies that only this task knows.

Training, evaluation, application and the terminal reach a task through this class alone; ``recipe.tasks`` names the
subclass of each. What they do for every task alike is in ``tasks.training`` and ``tasks.application``.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

from torch import Tensor, nn

from mnfn_cli.recipe import Recipe
from mnfn_cli.storage.records import Record, parse_record
from mnfn_cli.task_list import TASKS
from mnfn_cli.tasks.data import Split, Splits
from mnfn_cli.tasks.figure import Figure
from mnfn_cli.tasks.functional import apply_functional
from mnfn_cli.tasks.metrics import Metric
from mnfn_cli.tasks.result import Result
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.rendering import is_inr
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.checkpoints import Checkpoints
from mnfn_cli.zoo.inr_design import InrDesign
from mnfn_cli.zoo.record import Fit
from mnfn_cli.zoo.store import Zoo


@dataclass(frozen=True)
class Conclusion:
    """What a finished functional does with the test networks, for result.json.

    Args:
        test: figures by name.
        more: whatever else the task measured, by key.
        remarks: sentences that the user should read.
    """

    test: Mapping[str, Metric]
    more: Mapping[str, Any] = field(default_factory=dict)
    remarks: Sequence[str] = ()


@dataclass(frozen=True)
class Report:
    """What a functional answers about networks, in words and numbers.

    Args:
        columns: a table with one entry for each network.
        figures: metrics of the answers by name, over the networks whose truth is known.
        known: the number of networks whose truth is known.
        summary: the figures in one sentence; empty where no truth is known.
        shown: the columns that people look at first.
        facts: further values that belong to the answers, by key.
        pictures: rows of pictures for a look, by name.
        remarks: sentences that the user should read.
    """

    columns: Mapping[str, Any]
    figures: Mapping[str, Metric]
    known: int
    summary: str
    shown: Sequence[str]
    facts: Mapping[str, Any] = field(default_factory=dict)
    pictures: Mapping[str, Tensor] = field(default_factory=dict)
    remarks: Sequence[str] = ()


class Task(ABC):
    """One task on networks of one weight space.

    Args:
        recipe: the resolved recipe.
        spec: the weight space of the networks.
        facts: the result of ``study`` on the zoos, from now or from when the run was trained.
        fit: how the INRs were fitted; None for other networks.

    Attributes:
        Facts: the type of ``facts``.
        label: the table's column, and the key in single files' metadata, that holds the truth; None for no such.
        criterion: the figure of ``validate`` that chooses the best model.
        smaller_is_better: whether the best is the smallest.
        protocol: a phrase that says how networks are divided among the splits.
        answer: the beginning of a sentence about the functional's answers, for errors.
    """

    Facts: ClassVar[type[Record]] = Record
    label: ClassVar[str | None] = None
    criterion: ClassVar[str]
    smaller_is_better: ClassVar[bool]
    protocol: ClassVar[str]
    answer: ClassVar[str]

    def __init__(self, recipe: Recipe, spec: NetworkSpec, facts: Any, fit: Fit | None = None) -> None:
        self.recipe, self.spec, self.facts, self.fit = recipe, spec, facts, fit

    @classmethod
    @abstractmethod
    def study(cls, recipe: Recipe, zoos: Sequence[Zoo]) -> Record:
        """Check that the zoos can be learned from, and return what a reader of the run must know about them.

        Raises:
            DataError, RecipeError: they cannot; every fault is named.
        """

    @classmethod
    def on_zoos(cls, recipe: Recipe, zoos: Sequence[Zoo]) -> Self:
        """Return the task on zoos of one weight space, to train it."""
        facts = cls.study(recipe, zoos)
        fit = InrDesign.of_zoo(zoos[0]).fit if is_inr(zoos[0].spec) else None
        return cls(recipe, zoos[0].spec, facts, fit)

    @property
    def model_options(self) -> Mapping[str, Any]:
        """Options of the model that the data decide, such as the number of classes."""
        return {}

    @abstractmethod
    def targets(self, zoo: Zoo, rows: Sequence[int]) -> Tensor:
        """Return what is to be learned about some networks of a zoo, ``(rows, ...)``."""

    @abstractmethod
    def loss(self, model: nn.Module, features: WeightSpaceFeatures, targets: Tensor, where: str) -> Tensor:
        """Return the loss of a batch, a scalar; ``where`` names the step in an error."""

    @abstractmethod
    def validate(self, model: nn.Module, split: Split) -> Mapping[str, float]:
        """Return figures of the model as it is, ``criterion`` among them."""

    @abstractmethod
    def conclude(self, model: nn.Module, splits: Splits, folder: Path) -> Conclusion:
        """Measure the best model on the test networks; tables and tensors of their answers go into the run's folder."""

    def answers(self, model: nn.Module, features: WeightSpaceFeatures) -> Any:
        """Return what a run answers about raw weights ``(networks, 1, ...)``, on the CPU.

        One entry for each network: a tensor ``(networks, ...)``, or, for a task that writes networks, new weights in
        the dtypes of the old ones.
        """
        return apply_functional(model, features)

    def parse_label(self, text: str) -> Any:
        """Read the truth from a single file's metadata; raises ValueError."""
        return text

    @abstractmethod
    def report(self, networks: Checkpoints, answers: Any) -> Report:
        """Put answers about networks into a table, with figures where the truth is known."""

    @abstractmethod
    def figures(self, folder: Path, result: Result) -> Mapping[str, Figure]:
        """Return what to draw of a concluded run, by the pictures' file names."""


def task_class(name: str) -> type[Task]:
    """Return the class of a task, by its name in recipes."""
    found: type[Task] = TASKS[name].load()
    return found


def task_of_run(name: str, recipe: Recipe, spec: NetworkSpec, facts: Any, fit: Fit | None, where: Path) -> Task:
    """Return the task of a run that is read back; raises ``DataError`` for facts in ``where`` that cannot be read."""
    found = task_class(name)
    return found(recipe, spec, parse_record(facts, where, found.Facts), fit)
