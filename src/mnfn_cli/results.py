"""What the functions of ``mnfn_cli.jobs`` return: numbers with intervals, tables of polars or pandas, and plots."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from mnfn_cli.errors import MnfnError, UsageError
from mnfn_cli.pretrained import find_run
from mnfn_cli.report.evaluation import to_document, write_evaluation
from mnfn_cli.report.figures import plot, plot_training, robustness
from mnfn_cli.report.plot import Plot
from mnfn_cli.storage.frames import to_pandas, to_polars
from mnfn_cli.tasks.application import Application
from mnfn_cli.tasks.evaluation import Evaluation, Row
from mnfn_cli.tasks.finished_run import Run, load_run
from mnfn_cli.tasks.metrics import Metric
from mnfn_cli.tasks.result import Result, read_result
from mnfn_cli.training.run_folder import RunFolder
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.zoo.store import Zoo, open_zoo

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


def _saved(figure: Plot, path: str | Path | None) -> Plot:
    if path is not None:
        figure.save(path)
    return figure


class _Tabled(ABC):
    """A result with a table."""

    @property
    @abstractmethod
    def table(self) -> "pl.DataFrame":
        """A polars table."""

    def to_polars(self) -> "pl.DataFrame":
        """Return ``table``."""
        return self.table

    def to_pandas(self) -> "pd.DataFrame":
        """Return ``table`` as a pandas DataFrame.

        Raises:
            UsageError: pandas is not installed.
        """
        return to_pandas(self.table)


@dataclass(frozen=True)
class TrainingResult:
    """A finished training: the run's folder, and its figures on the test networks.

    Args:
        path: the folder of the run.
        result: the contents of its result.json.

    Raises:
        DataError: from the methods, if a file of the run is missing or cannot be read.

    >>> found = TrainingResult.read("generalization/digits-relu-hybrid")
    >>> found.result.task, sorted(found.figures), 0.8 < found.tau.value < 0.95
    ('generalization', ['l1', 'r2', 'tau'], True)
    """

    path: Path
    result: Result

    @classmethod
    def read(cls, run: str | Path) -> "TrainingResult":
        """Return the result of a finished run.

        Args:
            run: the folder of the run, or the name of one that comes with mnfn.

        Raises:
            DataError: there is no finished run.
        """
        path = find_run(run)
        return cls(path, read_result(path))

    @property
    def figures(self) -> Mapping[str, Metric]:
        """The metrics on the test networks by name, each with ``value`` and its 95 % ``interval``."""
        return self.result.test

    @property
    def tau(self) -> Metric:
        """Kendall's tau on the test networks.

        Raises:
            UsageError: the task has no tau.
        """
        return _metric(self.figures, "tau", self.path)

    @property
    def curves(self) -> "pl.DataFrame":
        """A table with a row for each validation: ``step``, ``epoch``, losses and the figure that chose the model."""
        import polars as pl

        return pl.read_ndjson(RunFolder(self.path).metrics)

    def load(self) -> Run:
        """Return the trained functional, as ``load_run`` does."""
        return load_run(self.path)

    def plot(self, path: str | Path | None = None) -> Plot:
        """Draw the losses over epochs.

        Args:
            path: a PNG file to write; by default none is written.

        Raises:
            StorageError: the file cannot be written.
        """
        step = int(self.result.validation["step"] or 0)
        return _saved(plot_training(RunFolder(self.path).metrics, step), path)


@dataclass(frozen=True)
class PredictionResult(_Tabled):
    """What a run says about some networks: predicted numbers, classes, or edited weights.

    Args:
        application: the answers and the report about them.
        output: the path of edited networks, if some were written.

    Raises:
        UsageError: from ``tau`` and ``plot``, if no true values are known to compare with.

    >>> from mnfn_cli import predict
    >>> from mnfn_cli.testing import example_zoo
    >>> found = predict("generalization/digits-relu-hybrid", example_zoo().split("test"))
    >>> found.table.columns[:2], found.table.height, len(found.answers)
    (['network', 'predicted_accuracy'], 2, 2)
    """

    application: Application
    output: Path | None = None

    @property
    def answers(self) -> Tensor | WeightSpaceFeatures:
        """Predicted numbers ``(networks,)``, probabilities ``(networks, classes)``, or edited weights."""
        return self.application.answers

    @property
    def table(self) -> "pl.DataFrame":
        """A polars table with a row for each network, whose name is in the column ``network``."""
        return self.application.table()

    @property
    def figures(self) -> Mapping[str, Metric]:
        """Metrics by name, on the networks whose true value is known; each with ``value`` and 95 % ``interval``."""
        return self.application.figures

    @property
    def tau(self) -> Metric:
        """Kendall's tau of predicted and true numbers.

        Raises:
            UsageError: no true values are known, or the task has no tau.
        """
        return _metric(self.figures, "tau", "predictions")

    @property
    def remarks(self) -> Sequence[str]:
        """Sentences that the user should read."""
        return self.application.remarks

    @property
    def skipped(self) -> Sequence[MnfnError]:
        """An error for each network that was left out."""
        return self.application.skipped

    @property
    def pictures(self) -> Mapping[str, Tensor]:
        """For edits the pictures ``before``, ``after`` and ``target`` of up to 12 networks, on [-1, 1].

        Each is ``(pictures, channels, height, width)``.
        """
        return self.application.pictures

    def save(self, path: str | Path) -> None:
        """Write the table as CSV; an existing file is replaced.

        Args:
            path: the file.

        Raises:
            StorageError: the file cannot be written.
        """
        self.application.write_csv(Path(path))

    def plot(self, path: str | Path | None = None) -> Plot:
        """Draw predicted against true numbers, the confusion of classes, or pictures before and after an edit.

        Args:
            path: a PNG file to write; by default none is written.

        Raises:
            UsageError: no true values are known to compare with.
            StorageError: the file cannot be written.
        """
        if self.application.figure is None:
            raise UsageError("plot", "no true values of these networks are known; there is nothing to compare with")
        return _saved(plot(self.application.figure()), path)


@dataclass(frozen=True)
class EvaluationResult(_Tabled):
    """The scores of runs on their test networks, as they are and after group elements changed their weights.

    Args:
        evaluation: the scores.

    Raises:
        OutputError: from ``save``, if the folder exists.

    >>> from tempfile import TemporaryDirectory
    >>> from mnfn_cli import evaluate, train
    >>> from mnfn_cli.testing import example_zoo
    >>> with TemporaryDirectory() as folder:
    ...     run = train("generalization/relu-statnn", example_zoo(), f"{folder}/run", {"training.epochs": 1})
    ...     found = evaluate([run.path], scales=[10])
    >>> found.figure, found.table["networks"].to_list()
    ('tau', ['original', 'U[1, 10], permuted'])
    """

    evaluation: Evaluation

    @property
    def figure(self) -> str:
        """The name of the figure that is measured: ``tau``, ``accuracy`` or ``mse``."""
        return self.evaluation.figure

    @property
    def rows(self) -> Sequence[Row]:
        """A row for each run and version of the test networks, with ``value`` and the 95 % interval ``low, high``."""
        return self.evaluation.rows

    @property
    def table(self) -> "pl.DataFrame":
        """The rows as a polars table: ``run``, ``model``, the figure with ``low`` and ``high``, ``networks``, ..."""
        rows = to_document(self.evaluation)["rows"]
        return to_polars([{name: cell for name, cell in row.items() if name != "by_weight_space"} for row in rows])

    def plot(self, path: str | Path | None = None) -> Plot:
        """Draw the figure of each run over the versions of the test networks, with intervals.

        Args:
            path: a PNG file to write; by default none is written.

        Raises:
            StorageError: the file cannot be written.
        """
        return _saved(robustness(self.evaluation), path)

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Write evaluation.json, evaluation.csv, evaluation.md and robustness.png into a new folder.

        Args:
            path: the folder.
            force: replace an existing evaluation.

        Raises:
            OutputError: the folder exists, and ``force`` is not given or it holds something other than an evaluation.
            StorageError: the folder cannot be written.
        """
        write_evaluation(self.evaluation, Path(path), command="Python", force=force)


@dataclass(frozen=True)
class EditResult(PredictionResult):
    """Edited networks, with the error of each picture against its target before and after the edit.

    Args:
        application: the edited weights and the report about them.
        output: the path of the edited networks, if they were written.

    Raises:
        DataError: from ``zoo``, if the output is no zoo.

    >>> EditResult.__mro__[1] is PredictionResult
    True
    """

    @property
    def zoo(self) -> Zoo:
        """The edited networks as an open zoo, where a zoo was edited and written.

        Raises:
            UsageError: nothing was written.
            DataError: the output is no zoo.
        """
        if self.output is None:
            raise UsageError("out", "nothing was written; give edit an output")
        return open_zoo(self.output)


def _metric(figures: Mapping[str, Metric], name: str, where: object) -> Metric:
    if name not in figures:
        known = ", ".join(figures) or "none, as no true values are known"
        raise UsageError(where, f"has no {name}; its figures are {known}")
    return figures[name]
