"""The commands as functions, from train to compare. They call the engines that ``mnfn`` calls."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from mnfn_cli.errors import UsageError
from mnfn_cli.pretrained import find_run
from mnfn_cli.recipe import Recipe, apply_overrides, parse_recipe, recipe_to_document
from mnfn_cli.report.card import present_run
from mnfn_cli.results import (
    ComparisonResult,
    EditResult,
    EvaluationResult,
    ExplanationResult,
    PredictionResult,
    SweepResult,
    TrainingResult,
)
from mnfn_cli.runtime.context import Context, Progress, Silent, resolve_device
from mnfn_cli.tasks import explanation
from mnfn_cli.tasks.application import Application, apply_run
from mnfn_cli.tasks.condition import Range
from mnfn_cli.tasks.evaluation import evaluate_runs
from mnfn_cli.tasks.finished_run import Run, load_runs
from mnfn_cli.tasks.sweep import plan_sweep, run_sweep
from mnfn_cli.tasks.training import resolve_recipe, resume_run, train_run
from mnfn_cli.training.events import require_tensorboard
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.layout import Reading
from mnfn_cli.weightspace.spec import Pair
from mnfn_cli.zoo.comparison import compare_pair
from mnfn_cli.zoo.importers.architecture import Architecture
from mnfn_cli.zoo.pair import read_pair
from mnfn_cli.zoo.store import Zoo

Overrides = Mapping[str, Any] | Sequence[str]
Zoos = Zoo | str | Path | Sequence[Zoo | str | Path]
Networks = Zoo | WeightSpaceFeatures | str | Path


def train(
    recipe: str | Path | Recipe,
    zoo: Zoos | None,
    out: str | Path,
    overrides: Overrides = (),
    *,
    seed: int | None = None,
    skip_bad: bool = False,
    force: bool = False,
    device: str = "auto",
    progress: Progress | None = None,
    tensorboard: bool = False,
) -> TrainingResult:
    """Train a neural functional on zoos, as a recipe says, and write the folder of the run: ``mnfn train``.

    Args:
        recipe: a recipe that comes with mnfn, such as ``generalization/relu-monomial``, a YAML file, or a ``Recipe``.
        zoo: the zoo or zoos to train on, open or by path; None for those that the recipe names.
        out: the folder of the run, which is created.
        overrides: values that replace the recipe's, as ``{"training.epochs": 5}`` or ``["training.epochs=5"]``.
        seed: the seed of the training; by default the recipe's.
        skip_bad: leave out networks that cannot be used, instead of raising an error.
        force: replace an existing run.
        device: ``auto`` (a GPU if there is one), ``cpu``, ``cuda`` or ``cuda:i``.
        progress: whom progress is reported to; by default nobody.
        tensorboard: also write the figures of the training as events that TensorBoard shows.

    Returns:
        the figures on the test networks; ``load()`` returns the functional.

    Raises:
        RecipeError: the recipe or an override is wrong, or a zoo does not fit it.
        UsageError: there is no such device, or TensorBoard is asked for and not installed.
        DataError: a zoo cannot be read, or lacks what the task needs.
        OutputError: the folder exists, or is equal to, inside or around a zoo.
        NumericError: a loss or a gradient is not finite.

    >>> from tempfile import TemporaryDirectory
    >>> from mnfn_cli.testing import example_zoo
    >>> with TemporaryDirectory() as folder:
    ...     run = train("generalization/relu-statnn", example_zoo(), f"{folder}/run", {"training.epochs": 1})
    ...     run.load().predict(example_zoo().split("test").read()).shape
    torch.Size([2])
    """
    given = _texts(overrides)
    if isinstance(recipe, Recipe):
        recipe = parse_recipe(apply_overrides(recipe_to_document(recipe), given), "recipe")
    resolved = resolve_recipe(recipe, given, _paths(zoo), seed)
    path, context = Path(out), _context(device, progress, tensorboard)
    result = train_run(resolved, path, force=force, skip_bad=skip_bad, context=context, illustrate=present_run)
    return TrainingResult(path, result)


def resume(run: str | Path, *, device: str = "auto", progress: Progress | None = None) -> TrainingResult:
    """Continue an interrupted training, to the result that it would have had: ``mnfn train --resume``.

    Args:
        run: the folder of the run.
        device: ``auto`` (a GPU if there is one), ``cpu``, ``cuda`` or ``cuda:i``.
        progress: whom progress is reported to; by default nobody.

    Returns:
        the figures on the test networks.

    Raises:
        UsageError: the run is finished, or was started by another version of mnfn.
        DataError: there is no run, or its files or zoos changed.
        NumericError: a loss or a gradient is not finite.

    >>> resume("no-such-run")
    Traceback (most recent call last):
    mnfn_cli.errors.DataError: no-such-run: no such run
    """
    path = Path(run)
    return TrainingResult(path, resume_run(path, context=_context(device, progress), illustrate=present_run))


def sweep(
    recipes: str | Path | Sequence[str | Path],
    zoo: Zoos | None,
    out: str | Path,
    overrides: Overrides = (),
    *,
    variants: Sequence[Overrides] = ((),),
    seeds: Sequence[int] = (0,),
    device: str = "auto",
    progress: Progress | None = None,
    tensorboard: bool = False,
) -> SweepResult:
    """Train recipes over several seeds, and tabulate the mean and the deviation of every test figure: ``mnfn sweep``.

    An interrupted sweep continues when it is called again. Runs that are finished are not trained again.

    Args:
        recipes: recipes that come with mnfn, such as ``generalization/relu-monomial``, or YAML files. Overrides of one
            recipe only follow it after semicolons, as in ``"generalization/relu-np;data.zoo=[zoos/digits-relu]"``.
        zoo: the zoo or zoos to train on, open or by path; None for those that the recipes name.
        out: the folder of the sweep, which is created, or goes on; its runs and their tables lie in it.
        overrides: values that replace those of every recipe, as for ``train``.
        variants: overrides of each variant of every recipe; ``()`` stands for the recipes as they are.
        seeds: the seeds; each trains every recipe and variant.
        device: ``auto`` (a GPU if there is one), ``cpu``, ``cuda`` or ``cuda:i``.
        progress: whom progress is reported to; by default nobody.
        tensorboard: also write the figures of each training as events that TensorBoard shows.

    Returns:
        a row for each recipe and variant; ``runs`` are the trained runs.

    Raises:
        RecipeError: a recipe or an override is wrong, or a zoo does not fit it; nothing is trained.
        UsageError: there is no such device, a run would be trained twice, or the folder holds it with another recipe;
            or TensorBoard is asked for and not installed.
        DataError: a zoo cannot be read, or lacks what the task needs; nothing is trained.
        OutputError: the folder holds something other than a sweep, or is equal to, inside or around a zoo.
        NumericError: a loss or a gradient is not finite.

    >>> from tempfile import TemporaryDirectory
    >>> from mnfn_cli.testing import example_zoo
    >>> with TemporaryDirectory() as folder:
    ...     found = sweep(
    ...         "generalization/relu-statnn", example_zoo(), f"{folder}/sweep", {"training.epochs": 1}, seeds=[0, 1]
    ...     )
    ...     found.table.select("recipe", "seeds").rows(), len(found.runs)
    ([('generalization/relu-statnn', 2)], 2)
    """
    given = [recipes] if isinstance(recipes, str | Path) else recipes
    trials = plan_sweep(
        [str(recipe) for recipe in given],
        seeds,
        variants=[_texts(variant) for variant in variants],
        overrides=_texts(overrides),
        zoos=_paths(zoo),
    )
    path = Path(out)
    rows = run_sweep(trials, path, context=_context(device, progress, tensorboard), illustrate=present_run)
    return SweepResult(path, rows, [path / trial.folder for trial in trials])


def evaluate(
    runs: str | Path | Run | Sequence[str | Path | Run],
    scales: Sequence[float | tuple[float, float]] = (1.0, 10.0, 1e2, 1e3, 1e4),
    *,
    zoo: Zoos | None = None,
    permute: bool = True,
    shifts: Sequence[int] = (),
    precision: str = "fp32",
    seed: int = 0,
    device: str = "auto",
    progress: Progress | None = None,
) -> EvaluationResult:
    """Score runs on their test networks, before and after group elements change the weights: ``mnfn evaluate``.

    Args:
        runs: finished runs of one task: their folders, names of runs that come with mnfn, or loaded runs, which are
            moved to the device and the precision.
        scales: for the scaling group, the ranges of the factors: ``(low, high)``, or ``x`` for 1 to x.
        zoo: where the zoos of the runs are now, if they moved.
        permute: whether hidden neurons are also put into a random order.
        shifts: for SIRENs, the largest shifts of biases in units of ``pi / omega``.
        precision: compute in numbers of 32 (``fp32``, or what the run has) or of 64 bits (``fp64``).
        seed: the seed of the group elements.
        device: ``auto`` (a GPU if there is one), ``cpu``, ``cuda`` or ``cuda:i``.
        progress: whom progress is reported to; by default nobody.

    Returns:
        a row for each run and version of the networks; ``save`` writes what the command writes.

    Raises:
        UsageError: the runs do not belong together, or an argument does not fit.
        DataError: a run or a zoo cannot be read, or a zoo changed since the training.

    Source:
        paper, Section 6.1 and Figure 1 (Kendall's tau of networks scaled by ``U[1, x]``).

    >>> from tempfile import TemporaryDirectory
    >>> from mnfn_cli.testing import example_zoo
    >>> with TemporaryDirectory() as folder:
    ...     run = train("generalization/relu-statnn", example_zoo(), f"{folder}/run", {"training.epochs": 1})
    ...     len(evaluate(run.path, scales=[10, (0.1, 10)]).rows)
    3
    """
    context = _context(device, progress)
    given = [runs] if isinstance(runs, str | Path | Run) else list(runs)
    if precision not in ("fp32", "fp64"):
        raise UsageError("precision", f"'{precision}'; use fp32 or fp64")
    opened = iter(load_runs([find_run(run) for run in given if not isinstance(run, Run)]))
    loaded = [run if isinstance(run, Run) else next(opened) for run in given]
    ranges = [Range(*scale) if isinstance(scale, tuple) else Range(1.0, float(scale)) for scale in scales]
    for run in loaded:
        run.to(device=context.device, dtype=torch.float64 if precision == "fp64" else None)
    zoos = _paths(zoo) or None
    return EvaluationResult(
        evaluate_runs(loaded, ranges, zoos=zoos, permute=permute, shifts=shifts, seed=seed, context=context)
    )


def predict(
    run: str | Path | Run,
    networks: Networks,
    *,
    split: str | None = None,
    skip_bad: bool = False,
    reading: Reading = Reading(),
    device: str = "auto",
    progress: Progress | None = None,
) -> PredictionResult:
    """Predict the test accuracy of networks, or what else the run learned, from their weights: ``mnfn predict``.

    Args:
        run: a finished run of the task generalization: its folder, the name of one that comes with mnfn, or loaded.
        networks: an open zoo or some networks of one, raw weights ``(networks, 1, ...)``, or the path of a zoo, of a
            checkpoint file, or of a folder of them.
        split: the split of the zoo to read, ``train``, ``val`` or ``test``; by default all networks.
        skip_bad: leave out networks that cannot be used, instead of raising an error.
        reading: what files do not say of themselves, such as the order of their layers.
        device: ``auto`` (a GPU if there is one), ``cpu``, ``cuda`` or ``cuda:i``.
        progress: whom progress is reported to; by default nobody.

    Returns:
        predictions ``(networks,)``, with 90 % intervals where the run has them, and tau where the truth is known.

    Raises:
        DataError: the run or a network cannot be read; all such networks are named.
        UsageError: the run was trained for another task.
        NumericError: a prediction is not finite.

    >>> from mnfn_cli.testing import example_zoo
    >>> found = predict("generalization/digits-relu-hybrid", example_zoo(), split="test")
    >>> found.answers.shape, found.table["network"].to_list()
    (torch.Size([2]), ['10', '11'])
    """
    return PredictionResult(_apply("generalization", run, networks, split, skip_bad, reading, device, progress))


def classify(
    run: str | Path | Run,
    networks: Networks,
    *,
    split: str | None = None,
    skip_bad: bool = False,
    reading: Reading = Reading(),
    device: str = "auto",
    progress: Progress | None = None,
) -> PredictionResult:
    """Classify the pictures inside implicit neural representations from their weights: ``mnfn classify``.

    Args:
        run: a finished run of the task classification: its folder, the name of one that comes with mnfn, or loaded.
        networks: an open zoo or some networks of one, raw weights ``(networks, 1, ...)``, or the path of a zoo, of a
            checkpoint file, or of a folder of them.
        split: the split of the zoo to read, ``train``, ``val`` or ``test``; by default all networks.
        skip_bad: leave out networks that cannot be used, instead of raising an error.
        reading: what files do not say of themselves, such as the order of their layers.
        device: ``auto`` (a GPU if there is one), ``cpu``, ``cuda`` or ``cuda:i``.
        progress: whom progress is reported to; by default nobody.

    Returns:
        probabilities ``(networks, classes)``, and the accuracy where the classes are known.

    Raises:
        DataError: the run or a network cannot be read, or was fitted from other initial weights than the run's.
        UsageError: the run was trained for another task.
        NumericError: a probability is not finite.

    >>> from mnfn_cli.testing import example_zoo
    >>> classify("generalization/digits-relu-hybrid", example_zoo())
    Traceback (most recent call last):
    mnfn_cli.errors.UsageError: ...digits-relu-hybrid: is a run of task generalization; mnfn predict reads it
    """
    return PredictionResult(_apply("classification", run, networks, split, skip_bad, reading, device, progress))


def edit(
    run: str | Path | Run,
    networks: Networks,
    out: str | Path | None = None,
    *,
    split: str | None = None,
    skip_bad: bool = False,
    reading: Reading = Reading(),
    force: bool = False,
    device: str = "auto",
    progress: Progress | None = None,
) -> EditResult:
    """Edit the pictures inside implicit neural representations by a change of their weights: ``mnfn edit``.

    Args:
        run: a finished run of the task editing: its folder, the name of one that comes with mnfn, or loaded.
        networks: an open zoo or some networks of one, raw weights ``(networks, 1, ...)``, or the path of a zoo, of a
            checkpoint file, or of a folder of them.
        out: where the edited networks are written, in the form of the given ones; by default they are not.
        split: the split of the zoo to read, ``train``, ``val`` or ``test``; by default all networks.
        skip_bad: leave out networks that cannot be used, instead of raising an error.
        reading: what files do not say of themselves, such as the order of their layers.
        force: replace an existing output of the same kind.
        device: ``auto`` (a GPU if there is one), ``cpu``, ``cuda`` or ``cuda:i``.
        progress: whom progress is reported to; by default nobody.

    Returns:
        the edited weights ``(networks, 1, ...)``, the errors of their pictures, and pictures before and after.

    Raises:
        DataError: the run or a network cannot be read, or was fitted from other initial weights than the run's.
        UsageError: the run was trained for another task, or ``out`` is given for weights in memory.
        NumericError: an edited weight is not finite.
        OutputError: the output exists, or is equal to, inside or around an input.

    >>> from mnfn_cli.testing import example_zoo
    >>> edit("generalization/digits-relu-hybrid", example_zoo())
    Traceback (most recent call last):
    mnfn_cli.errors.UsageError: ...digits-relu-hybrid: is a run of task generalization; mnfn predict reads it
    """
    output = None if out is None else Path(out)
    arguments = ("editing", run, networks, split, skip_bad, reading, device, progress)
    return EditResult(_apply(*arguments, output=output, force=force), output)


def explain(
    run: str | Path | Run,
    networks: Networks,
    network: str | None = None,
    *,
    reading: Reading = Reading(),
    seed: int = 0,
    device: str = "auto",
) -> ExplanationResult:
    """Say what carried a prediction about a network: its layers, and the inputs that the run has learned.

    It is what ``mnfn explain`` does. A layer counts by how far the prediction moves when each of its numbers is shaken
    by 10 %, which no rescaling of neurons changes.

    Args:
        run: a finished run of the task generalization: its folder, the name of one that comes with mnfn, or loaded.
        networks: an open zoo or some networks of one, raw weights ``(networks, 1, ...)``, whose names are their
            numbers, or the path of a zoo, of a checkpoint file, or of a folder of them.
        network: the name of the network; not needed if there is one only.
        reading: what files do not say of themselves, such as the order of their layers.
        seed: the seed of the noise.
        device: ``auto`` (a GPU if there is one), ``cpu``, ``cuda`` or ``cuda:i``.

    Returns:
        the prediction, and a row for each layer; ``plot`` draws what the command draws.

    Raises:
        DataError: the run or the network cannot be read, or there is no network of this name.
        UsageError: the run was trained for another task; or there are several networks, and none is named.

    >>> from mnfn_cli.testing import example_zoo
    >>> found = explain("generalization/digits-relu-canonical-statistics", example_zoo(), "10")
    >>> found.network, found.table.columns, found.table.height
    ('10', ['layer', 'weights', 'biases'], 4)
    """
    found = explanation.explain(
        run if isinstance(run, Run) else Path(run),
        Path(networks) if isinstance(networks, str) else networks,
        network=network,
        reading=reading,
        seed=seed,
        context=_context(device, None),
    )
    return ExplanationResult(found)


def compare(
    a: str | Path,
    b: str | Path,
    *,
    activation: str | None = None,
    omega: float | None = None,
    stride: int | Sequence[int | Pair] | None = None,
    padding: int | Sequence[int | Pair] | None = None,
    pool: str | Sequence[str] | None = None,
    input_size: int | Sequence[int] | None = None,
    reading: Reading = Reading(),
) -> ComparisonResult:
    """Say whether two networks compute the same function, and are the same up to the group: ``mnfn compare``.

    The outputs are compared in float64 on random inputs. For weights in memory there is ``mnfn_cli.weightspace.align``.

    Args:
        a: the checkpoint file of the network to move.
        b: the file of the network to compare it with.
        activation: for files that do not say it, the activation after every layer but the last.
        omega: for files that do not say it, the frequency of sine layers.
        stride, padding: for files that do not say them, those of the convolutions: one number or one for each.
        pool: for files that do not say it, the pooling after each convolution: one text or one for each.
        input_size: for files that do not say it, the size in pixels of the pictures that the networks read.
        reading: the order of the layers where their shapes leave it open, and where batch normalisations stand.

    Returns:
        the verdict, and a row for each hidden layer; ``save`` writes A moved onto B.

    Raises:
        DataError: a file cannot be read, the networks have different weight spaces, or a number is not finite.
        UsageError: the activation is needed and not given, or contradicts that in a file.
        NumericError: the weights are too large to be brought into canonical form in float64.

    Source:
        docs/symmetries.md (the groups, and what they leave as it is).

    >>> from tempfile import TemporaryDirectory
    >>> from mnfn_cli import augment_zoo, export_zoo
    >>> from mnfn_cli.testing import example_zoo
    >>> with TemporaryDirectory() as folder:
    ...     moved = augment_zoo(example_zoo(), f"{folder}/moved", scale=(1.0, 10.0)).zoo
    ...     count = export_zoo(example_zoo(), f"{folder}/a") + export_zoo(moved, f"{folder}/b")
    ...     found = compare(f"{folder}/a/00.safetensors", f"{folder}/b/00-g1.safetensors")
    >>> found.twins, found.verdict
    (True, 'A and B are the same network up to permutations and scalings')
    """
    said = Architecture.of(activation, omega, stride=stride, padding=padding, pool=pool, input_size=input_size)
    pair = read_pair(Path(a), Path(b), said, reading)
    return ComparisonResult(compare_pair(pair), pair)


def _apply(
    task: str,
    run: str | Path | Run,
    networks: Networks,
    split: str | None,
    skip_bad: bool,
    reading: Reading,
    device: str,
    progress: Progress | None,
    output: Path | None = None,
    force: bool = False,
) -> Application:
    return apply_run(
        run if isinstance(run, Run) else Path(run),
        Path(networks) if isinstance(networks, str) else networks,
        task=task,
        split=split,
        skip_bad=skip_bad,
        reading=reading,
        output=output,
        force=force,
        context=_context(device, progress),
    )


def _context(device: str, progress: Progress | None, tensorboard: bool = False) -> Context:
    if tensorboard:
        require_tensorboard("tensorboard")
    return Context(resolve_device(device), progress or Silent(), tensorboard=tensorboard)


def _texts(overrides: Overrides) -> Sequence[str]:
    """Return overrides as texts ``key=value``: YAML reads JSON."""
    if not isinstance(overrides, Mapping):
        return overrides
    pairs = overrides.items()
    return [f"{key}={each if isinstance(each, str) else json.dumps(each, allow_nan=False)}" for key, each in pairs]


def _paths(zoos: Zoos | None) -> list[Path]:
    if zoos is None:
        return []
    every = [zoos] if isinstance(zoos, Zoo | str | Path) else list(zoos)
    for zoo in every:
        if isinstance(zoo, Zoo) and len(zoo) != len(zoo.whole):
            raise UsageError(zoo.path, f"{len(zoo)} of its {len(zoo.whole)} networks; write them with save_zoo first")
    return [zoo.path if isinstance(zoo, Zoo) else Path(zoo) for zoo in every]
