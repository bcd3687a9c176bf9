"""What the functions of ``mnfn_cli.jobs`` return: numbers with intervals, tables of polars or pandas, and plots."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from mnfn_cli.errors import MnfnError, UsageError
from mnfn_cli.pretrained import find_run
from mnfn_cli.report.evaluation import to_document, write_evaluation
from mnfn_cli.report.explanation import plot_explanation
from mnfn_cli.report.figures import plot, plot_training, robustness
from mnfn_cli.report.plot import Plot
from mnfn_cli.report.sweep_plot import figures_of, plot_sweep
from mnfn_cli.storage.frames import Tabled, to_polars
from mnfn_cli.storage.outputs import Output, check_outputs
from mnfn_cli.tasks.application import Application
from mnfn_cli.tasks.evaluation import Evaluation, Row
from mnfn_cli.tasks.explanation import Explanation
from mnfn_cli.tasks.finished_run import Run, load_run
from mnfn_cli.tasks.metrics import Metric
from mnfn_cli.tasks.result import Result, read_result
from mnfn_cli.tasks.sweep import summarise
from mnfn_cli.tasks.sweep_results import read_sweep
from mnfn_cli.training.run_folder import RunFolder
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.zoo.comparison import Comparison, write_aligned
from mnfn_cli.zoo.pair import Pair
from mnfn_cli.zoo.store import Zoo, open_zoo

if TYPE_CHECKING:
    import polars as pl


def _saved(figure: Plot, path: str | Path | None) -> Plot:
    if path is not None:
        figure.save(path)
    return figure


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

        >>> TrainingResult.read("generalization/digits-relu-hybrid").path.name
        'digits-relu-hybrid'
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
        """Return the trained functional, as ``load_run`` does.

        >>> TrainingResult.read("generalization/digits-relu-hybrid").load().recipe.task
        'generalization'
        """
        return load_run(self.path)

    def plot(self, path: str | Path | None = None) -> Plot:
        """Draw the losses over epochs.

        Args:
            path: a PNG file to write; by default none is written.

        Raises:
            StorageError: the file cannot be written.

        >>> TrainingResult.read("generalization/digits-relu-hybrid").plot().axes[0].get_xlabel()
        'epoch'
        """
        step = int(self.result.validation["step"] or 0)
        return _saved(plot_training(RunFolder(self.path).metrics, step), path)


@dataclass(frozen=True)
class PredictionResult(Tabled):
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

        >>> from tempfile import TemporaryDirectory
        >>> from mnfn_cli import predict
        >>> from mnfn_cli.testing import example_zoo
        >>> found = predict("generalization/digits-relu-hybrid", example_zoo())
        >>> with TemporaryDirectory() as folder:
        ...     found.save(f"{folder}/predictions.csv")
        ...     len((Path(folder) / "predictions.csv").read_text().splitlines())
        13
        """
        self.application.write_csv(Path(path))

    def plot(self, path: str | Path | None = None) -> Plot:
        """Draw predicted against true numbers, the confusion of classes, or pictures before and after an edit.

        Args:
            path: a PNG file to write; by default none is written.

        Raises:
            UsageError: no true values are known to compare with.
            StorageError: the file cannot be written.

        >>> from mnfn_cli import predict
        >>> from mnfn_cli.testing import example_zoo
        >>> found = predict("generalization/digits-relu-hybrid", example_zoo())
        >>> found.plot().axes[0].get_ylabel()
        'predicted from the weights'
        """
        if self.application.figure is None:
            raise UsageError("plot", "no true values of these networks are known; there is nothing to compare with")
        return _saved(plot(self.application.figure()), path)


@dataclass(frozen=True)
class EvaluationResult(Tabled):
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


@dataclass(frozen=True)
class SweepResult(Tabled):
    """The runs of a sweep, and the mean and the standard deviation of their test figures over seeds.

    Args:
        path: the folder of the sweep.
        rows: a row for each recipe and variant.
        folders: the folder of each run.

    Raises:
        DataError: from ``runs``, if a file of a run is missing or cannot be read.

    >>> rows = [{"recipe": "mine", "variant": "", "seeds": 2, "tau": 0.5, "tau_sd": 0.1}]
    >>> found = SweepResult(Path("sweeps/mine"), rows, [])
    >>> found.figures, found.plot().axes[0].get_xlabel()
    (['tau'], 'tau, mean and standard deviation over seeds')
    """

    path: Path
    rows: Sequence[Mapping[str, Any]]
    folders: Sequence[Path]

    @classmethod
    def read(cls, path: str | Path) -> "SweepResult":
        """Return what is finished of a sweep.

        Args:
            path: the folder of the sweep.

        Raises:
            DataError: its results.json cannot be read.
        """
        path = Path(path)
        found = read_sweep(path)
        return cls(path, summarise([one.to_json() for one in found]), [path / one.folder for one in found])

    @property
    def figures(self) -> Sequence[str]:
        """The names of the test figures, such as ``tau``."""
        return figures_of(self.rows)

    @property
    def table(self) -> "pl.DataFrame":
        """A polars table with a row for each recipe and variant.

        Its columns are ``recipe``, ``variant``, ``parameters``, ``seeds``, the mean of each figure and its standard
        deviation, as ``tau`` and ``tau_sd``, which is NaN for one seed, and ``seconds``, the mean time of a run.
        """
        return to_polars(self.rows)

    @property
    def runs(self) -> Sequence[TrainingResult]:
        """The finished runs, in the order of recipes, variants and seeds."""
        return [TrainingResult.read(folder) for folder in self.folders]

    def plot(self, path: str | Path | None = None, *, figure: str | None = None) -> Plot:
        """Draw the mean of a test figure for each recipe and variant, with one standard deviation around it.

        Args:
            path: a PNG file to write; by default none is written.
            figure: the figure, one of ``figures``; by default the first one.

        Raises:
            UsageError: the sweep has no such figure.
            StorageError: the file cannot be written.
        """
        return _saved(plot_sweep(self.rows, figure or next(iter(self.figures), "figure")), path)


@dataclass(frozen=True)
class ExplanationResult(Tabled):
    """What carried a prediction about a network.

    Args:
        explanation: the prediction, the layers and the learned inputs.

    >>> from mnfn_cli import explain
    >>> from mnfn_cli.testing import example_zoo
    >>> found = explain("generalization/digits-relu-hybrid", example_zoo(), "10")
    >>> low, high = found.interval
    >>> low < found.prediction < high, found.inputs.columns[:3]
    (True, ['input', 'weight', 'agreement'])
    """

    explanation: Explanation

    @property
    def network(self) -> str:
        """The name of the network."""
        return self.explanation.network

    @property
    def prediction(self) -> float:
        """The predicted number."""
        return self.explanation.prediction

    @property
    def interval(self) -> tuple[float, float] | None:
        """The ends of the 90 % interval around the prediction; None if the run has no intervals."""
        return self.explanation.interval

    @property
    def unlike(self) -> float | None:
        """How far the network is from those of the training zoo, unlike them above 1; None if the run cannot tell."""
        return self.explanation.unlike

    @property
    def remarks(self) -> Sequence[str]:
        """Sentences that the user should read."""
        return self.explanation.remarks

    @property
    def table(self) -> "pl.DataFrame":
        """A polars table with a row for each layer: how far its ``weights`` and its ``biases`` move the prediction."""
        return to_polars([vars(moves) for moves in self.explanation.layers])

    @property
    def inputs(self) -> "pl.DataFrame":
        """A polars table with a row for each input that the functional has learned, the heaviest first.

        Its columns are ``input``, ``weight``, ``agreement``, and the probabilities of the classes that the functional
        expects (``answer``) and the network gives (``response``). Other functionals have none, and no rows.
        """
        return to_polars(self.explanation.to_json().get("inputs", []))

    def plot(self, path: str | Path | None = None) -> Plot:
        """Draw a bar for each layer and, below them, the learned inputs with the largest weights.

        Args:
            path: a PNG file to write; by default none is written.

        Raises:
            StorageError: the file cannot be written.
        """
        return _saved(plot_explanation(self.explanation), path)


@dataclass(frozen=True)
class ComparisonResult(Tabled):
    """Whether networks A and B compute the same function, and are the same network up to the group.

    Args:
        comparison: the differences of the outputs and of the weights.
        pair: both networks.

    Raises:
        OutputError: from ``save``, if the file exists.

    >>> from tempfile import TemporaryDirectory
    >>> from mnfn_cli import compare, export_zoo
    >>> from mnfn_cli.testing import example_zoo
    >>> with TemporaryDirectory() as folder:
    ...     count = export_zoo(example_zoo(), f"{folder}/files")
    ...     found = compare(f"{folder}/files/00.safetensors", f"{folder}/files/01.safetensors")
    >>> found.twins, found.same_function, found.table.columns[:4]
    (False, False, ['layer', 'group', 'neurons', 'moved'])
    """

    comparison: Comparison
    pair: Pair

    @property
    def twins(self) -> bool:
        """Whether A and B are the same network up to the group."""
        return self.comparison.twins

    @property
    def same_function(self) -> bool | None:
        """Whether the outputs agree on all inputs, up to rounding; None if that is inconclusive."""
        return self.comparison.same_function

    @property
    def verdict(self) -> str:
        """What was found, in one sentence."""
        return self.comparison.verdict

    @property
    def element(self) -> MonomialElement:
        """The group element that takes A nearest to B."""
        return self.comparison.alignment.element

    @property
    def table(self) -> "pl.DataFrame":
        """A polars table with a row for each hidden layer, of the group element that takes A nearest to B.

        Its columns are ``layer``, ``group``, ``neurons``, how many of these are ``moved`` to another place and
        ``flipped`` in sign, and the ``smallest_factor`` and ``largest_factor``.
        """
        return to_polars(
            [
                {
                    "layer": number,
                    "group": layer.group,
                    "neurons": len(layer.permutation),
                    "moved": layer.moved,
                    "flipped": layer.flipped,
                    "smallest_factor": min(layer.factors),
                    "largest_factor": max(layer.factors),
                }
                for number, layer in enumerate(self.comparison.layers, 1)
            ]
        )

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Write A, moved as near to B as it comes, with the names, dtypes and metadata of its own file.

        Args:
            path: the file to write.
            force: replace an existing file.

        Raises:
            NumericError: a weight exceeds the range of its dtype.
            OutputError: the file exists, or is A or B.
            StorageError: the file cannot be written.
        """
        path = Path(path)
        check_outputs([Output(path)], [self.pair.file_a.path, self.pair.file_b.path], force=force)
        write_aligned(self.pair, self.comparison.alignment, path)


def _metric(figures: Mapping[str, Metric], name: str, where: object) -> Metric:
    if name not in figures:
        known = ", ".join(figures) or "none, as no true values are known"
        raise UsageError(where, f"has no {name}; its figures are {known}")
    return figures[name]
