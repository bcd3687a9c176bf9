"""The base class of tasks: what is learned about networks, with which loss, and how the answers are reported.

``task_list`` names the subclass of each task. ``tasks.training`` and ``tasks.application`` hold what is the same for
all tasks, and use a task through this class only.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

from torch import Tensor, nn

from mnfn_cli.errors import DataError, UsageError
from mnfn_cli.recipe import Recipe
from mnfn_cli.storage.records import Record, parse_record
from mnfn_cli.task_list import TASKS
from mnfn_cli.tasks.data import Picture, Split, Splits
from mnfn_cli.tasks.figure import Figure
from mnfn_cli.tasks.functional import apply_functional
from mnfn_cli.tasks.intervals import Intervals
from mnfn_cli.tasks.metrics import Metric
from mnfn_cli.tasks.result import Result, SpaceFigures
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.weightspace.spec_checks import is_inr
from mnfn_cli.zoo.checkpoints import Checkpoints
from mnfn_cli.zoo.inr_design import InrDesign
from mnfn_cli.zoo.mixed import weight_spaces
from mnfn_cli.zoo.numbers import NumberColumn
from mnfn_cli.zoo.record import Fit
from mnfn_cli.zoo.store import Zoo


@dataclass(frozen=True)
class Conclusion:
    """The measurements of a trained functional on the test networks, which go into result.json.

    Args:
        test: the test figures by name.
        more: other measurements of the task, by the key that they have in result.json.
        remarks: sentences that the user should read.
        by_weight_space: the test figures within each weight space, if there are several.
        intervals: the intervals around predictions that the calibration networks gave; None if there are none.
    """

    test: Mapping[str, Metric]
    more: Mapping[str, Any] = field(default_factory=dict)
    remarks: Sequence[str] = ()
    by_weight_space: Sequence[SpaceFigures] = ()
    intervals: Intervals | None = None


@dataclass(frozen=True)
class Report:
    """The answers of a functional about some networks, as a table and in words.

    Args:
        columns: a table by column; every column has one entry for each network.
        figures: metrics by name, such as tau, on the networks whose true value is known.
        known: the number of these networks.
        summary: the metrics in one sentence; empty where no true value is known.
        shown: the names of the columns that the terminal shows.
        facts: further information by key, for ``--json``.
        pictures: by name, the pictures that ``--picture`` draws as a row, ``(n, channels, height, width)`` on [-1, 1].
        remarks: sentences that the user should read.
        figure: returns what a plot of the answers shows; None where no true value is known.
    """

    columns: Mapping[str, Any]
    figures: Mapping[str, Metric]
    known: int
    summary: str
    shown: Sequence[str]
    facts: Mapping[str, Any] = field(default_factory=dict)
    pictures: Mapping[str, Tensor] = field(default_factory=dict)
    remarks: Sequence[str] = ()
    figure: Callable[[], Figure] | None = None


class Task(ABC):
    """A task on networks of one weight space, or of several.

    Args:
        recipe: the recipe, with all defaults and overrides.
        specs: the weight spaces of the networks.
        facts: what ``study`` returned for the zoos that the functional is, or was, trained on.
        fit: how the INRs were fitted; None for other networks.

    Attributes:
        Facts: the class of ``facts``.
        label: the name of the true value, as a column of a zoo's table and as a key in the metadata of a single
            checkpoint file; None if the task has no such value.
        criterion: the name of the figure of ``validate`` that chooses the best model.
        smaller_is_better: whether smaller values of this figure are better.
        answer: the subject and the verb of an error about answers that are not finite, such as "the prediction is".
        needs_fit: whether the networks must be INRs whose fit is known.
        seen: the name of a number that ``observed`` returns, such as "prediction".
        returns: what ``answers`` returns, in words, for those who run an exported functional.
        meaning: a sentence on the figure of ``headline``, for those who read an evaluation.
    """

    Facts: ClassVar[type[Record]] = Record
    label: str | None = None
    criterion: ClassVar[str]
    smaller_is_better: ClassVar[bool]
    answer: ClassVar[str]
    needs_fit: ClassVar[bool] = False
    seen: ClassVar[str]
    returns: ClassVar[str]
    meaning: ClassVar[str]

    def __init__(self, recipe: Recipe, specs: Sequence[NetworkSpec], facts: Any, fit: Fit | None = None) -> None:
        self.recipe, self.specs, self.facts, self.fit = recipe, tuple(specs), facts, fit

    @property
    @abstractmethod
    def protocol(self) -> str:
        """The way in which networks are divided among the splits, in words, for result.json.

        A zoo may record another one (``data.split_protocol``).
        """

    @property
    def spec(self) -> NetworkSpec:
        """The weight space of all networks.

        Raises:
            UsageError: there are several.
        """
        if len(self.specs) > 1:
            raise UsageError(f"task {self.recipe.task}", f"reads {len(self.specs)} weight spaces; this needs one")
        return self.specs[0]

    @classmethod
    @abstractmethod
    def study(cls, recipe: Recipe, zoos: Sequence[Zoo]) -> Record:
        """Check that the task can be learned from the zoos, and return what must be known of them to read the run.

        Args:
            recipe: the recipe, with all defaults and overrides.
            zoos: the zoos, which may hold several weight spaces.

        Raises:
            DataError: a zoo lacks what the task needs.
            RecipeError: the zoos do not fit the recipe or each other.
        """

    @classmethod
    def on_zoos(cls, recipe: Recipe, zoos: Sequence[Zoo]) -> Self:
        """Return the task for zoos, after ``study``, which may raise DataError or RecipeError."""
        facts, specs = cls.study(recipe, zoos), weight_spaces(zoos)
        fit = InrDesign.of_zoo(zoos[0].parts[0]).fit if all(map(is_inr, specs)) else None
        return cls(recipe, specs, facts, fit)

    @classmethod
    def headline(cls) -> str:
        """Return the name of the figure that chooses the best model, such as ``tau``."""
        return cls.criterion.removeprefix("val_")

    @property
    def model_options(self) -> Mapping[str, Any]:
        """Arguments of the model's class that depend on the zoos, not on the recipe, such as the number of classes."""
        return {}

    @abstractmethod
    def targets(self, zoo: Zoo, rows: Sequence[int]) -> Tensor:
        """Return the targets of the networks in some rows of a zoo's table, ``(rows, ...)``."""

    @abstractmethod
    def loss(self, model: nn.Module, features: Any, targets: Tensor, where: str) -> Tensor:
        """Return the loss of a batch of networks.

        Args:
            model: the functional.
            features: raw weights of the batch, ``(batch, 1, ...)``; ``MixedFeatures`` for several weight spaces.
            targets: the targets of the batch, ``(batch, ...)``.
            where: what an error calls the moment, such as ``step 12``.

        Returns:
            a scalar with gradients.
        """

    @abstractmethod
    def validate(self, model: nn.Module, split: Split) -> Mapping[str, float]:
        """Return the model's figures on the validation networks by name; ``criterion`` is one of the names."""

    @abstractmethod
    def conclude(self, model: nn.Module, splits: Splits, folder: Path) -> Conclusion:
        """Measure the trained model on the test networks, and write tables of its answers into the run's folder.

        Args:
            model: the functional with its best weights, in evaluation mode.
            splits: the networks of all splits.
            folder: the run's folder.
        """

    def answers(self, model: nn.Module, features: Any) -> Any:
        """Return the functional's answers about networks.

        Args:
            model: the functional.
            features: raw weights of the networks, ``(networks, 1, ...)``; ``MixedFeatures`` for several weight spaces.

        Returns:
            a tensor ``(networks, ...)`` on the CPU or, for a task that changes networks, their new weights on the CPU,
            in the dtypes of ``features``.
        """
        return self.from_output(apply_functional(model, features), features)

    def from_output(self, output: Any, features: Any) -> Any:
        """Return the answers that a functional's output stands for, by operations that ``torch.export`` can follow.

        Args:
            output: what the functional returned for some networks.
            features: their raw weights, ``(networks, 1, ...)``.
        """
        return output

    def observed(self, answers: Any) -> Tensor:
        """Return what no group element may change of the answers, in float64, ``(networks, ...)``.

        It is the answers themselves, and for a task that changes networks what the new networks compute.
        """
        found: Tensor = answers.double()
        return found

    @abstractmethod
    def score(
        self, observed: Tensor, targets: Tensor, pictures: Sequence[Picture], intervals: Intervals | None = None
    ) -> tuple[Metric, Mapping[str, float]]:
        """Return the figure of ``headline`` with its interval, and other figures by name.

        Args:
            observed: what ``observed`` returned for the answers about some networks, ``(networks, ...)``.
            targets: their targets on the CPU, ``(networks, ...)``.
            pictures: their pictures, as in ``Split.pictures``.
            intervals: the intervals around the run's predictions, if it has any; their coverage is among the figures.
        """

    @property
    def numbers(self) -> NumberColumn | None:
        """The column ``label`` where the true value is a number; None for other tasks."""
        return None

    def parse_label(self, text: str) -> Any:
        """Parse the true value in a checkpoint file's metadata; raises ValueError, with a reason, if it can be none."""
        return text if self.numbers is None else self.numbers.parse(text)

    @abstractmethod
    def report(self, networks: Checkpoints, answers: Any, intervals: Intervals | None = None) -> Report:
        """Put answers into a table, and compute metrics over the networks whose true value is known.

        Args:
            networks: the networks, with their names and true values.
            answers: what ``answers`` returned for them.
            intervals: the intervals around the run's predictions, if it has any.
        """

    @abstractmethod
    def figures(self, folder: Path, result: Result) -> Mapping[str, Figure]:
        """Return the figures to draw of a finished run, by file name, from the files in its folder and its result."""


def task_class(name: str) -> type[Task]:
    """Return the class of the task with this name, a key of ``TASKS``."""
    found: type[Task] = TASKS[name].load()
    return found


def task_of_run(
    name: str, recipe: Recipe, specs: Sequence[NetworkSpec], facts: Any, fit: Fit | None, where: Path
) -> Task:
    """Return the task of a finished run.

    Args:
        name: the task's name, a key of ``TASKS``.
        recipe: the run's recipe.
        specs: the weight spaces of the networks that the run reads.
        facts: the section ``facts`` of run.json.
        fit: how the INRs were fitted; None for other networks.
        where: the file that an error about ``facts`` names.

    Raises:
        DataError: a key of ``facts`` is missing or of the wrong type, or the task needs ``fit``.
    """
    found = task_class(name)
    if found.needs_fit and fit is None:
        raise DataError(f"{where}:inr", "missing")
    return found(recipe, specs, parse_record(facts, where, found.Facts), fit)
