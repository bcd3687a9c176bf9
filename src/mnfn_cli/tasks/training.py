"""Train a recipe's functional on zoos, for every task, and write the folder of the run."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from mnfn_cli.errors import DataError, RecipeError, UsageError
from mnfn_cli.models.functional import ClosedFormFunctional, Functional, count_parameters
from mnfn_cli.recipe import Recipe, load_recipe, recipe_to_yaml
from mnfn_cli.runtime.context import Context
from mnfn_cli.runtime.seeds import derive_seed
from mnfn_cli.storage.locks import locked
from mnfn_cli.storage.outputs import Output, check_outputs
from mnfn_cli.storage.records import write_record
from mnfn_cli.storage.tensors import save_tensors
from mnfn_cli.task_list import TASKS
from mnfn_cli.tasks.batch_loss import BatchLoss
from mnfn_cli.tasks.calibration import Calibration
from mnfn_cli.tasks.data import (
    Split,
    Splits,
    find_bad,
    find_unreadable,
    fit_in_memory,
    load_split,
    open_zoos,
    require_training_networks,
    rows_of_split,
    split_protocol,
    with_absolute_zoos,
)
from mnfn_cli.tasks.description import describe_run
from mnfn_cli.tasks.division import Division, divide, families_of, one_of_each
from mnfn_cli.tasks.familiarity import Familiarity
from mnfn_cli.tasks.functional import build_functional
from mnfn_cli.tasks.invariance import measure_invariance
from mnfn_cli.tasks.result import RESULT_FILE, Learned, Result, Seconds, read_result
from mnfn_cli.tasks.size import require_bounded_size
from mnfn_cli.tasks.task import Task, task_class, task_of_run
from mnfn_cli.training.closed_form import finish, fit_at_once
from mnfn_cli.training.events import EVENTS_FILE, require_tensorboard, start_events
from mnfn_cli.training.loop import Job, run_job
from mnfn_cli.training.run_folder import CHANGED, CONCLUDING, RUN, RUN_FILE, RunFolder, create_run, resuming
from mnfn_cli.training.state import Position
from mnfn_cli.version import __version__
from mnfn_cli.zoo.contents import ZOO
from mnfn_cli.zoo.inr_design import InrDesign
from mnfn_cli.zoo.store import Zoo, open_zoo
from mnfn_cli.zoo.table import SPLITS
from mnfn_cli.zoo.verification import changed_files

PREPARED = 4096
"""The number of training networks that give means and deviations where not all are in memory."""

Illustrate = Callable[[Path], None]
"""A function that draws the figures of a run and writes its card, given its folder."""


def resolve_recipe(
    recipe: Recipe | str | Path, overrides: Sequence[str], zoos: Sequence[Path], seed: int | None
) -> Recipe:
    """Return the recipe to train: with overrides, with the absolute paths of zoos, and with a seed.

    Args:
        recipe: a recipe, or the name or the file of one.
        overrides: texts ``key=value``, for a name or a file.
        zoos: paths of zoos that replace the recipe's, if there are any.
        seed: the seed of the training; None for the recipe's.

    Raises:
        RecipeError: the recipe or an override is wrong, or a path is not UTF-8.
    """
    loaded = recipe if isinstance(recipe, Recipe) else load_recipe(str(recipe), overrides)
    resolved = with_absolute_zoos(loaded, zoos)
    if seed is None:
        return resolved
    return resolved.model_copy(update={"training": resolved.training.model_copy(update={"seed": seed})})


def train_run(
    recipe: Recipe,
    path: Path,
    *,
    force: bool = False,
    skip_bad: bool = False,
    context: Context | None = None,
    illustrate: Illustrate = lambda path: None,
) -> Result:
    """Train a recipe's model and write the folder of the run.

    Args:
        recipe: the recipe, with all overrides and with the paths of its zoos.
        path: the folder of the run, which is created.
        force: replace an existing run.
        skip_bad: leave out networks with a weight that is not finite, or that the functional cannot run, instead of
            raising an error.
        context: the device, and where progress is reported and interrupts are noticed.
        illustrate: a function that draws the figures of the run, given its folder.

    Returns:
        the contents of result.json.

    Raises:
        RecipeError: a zoo does not fit the recipe, a split is smaller than a batch, or the model is too large.
        DataError: a zoo cannot be read, lacks what the task needs, or has fewer than 2 networks in a split.
        OutputError: the folder exists, or is equal to, inside or around a zoo.
        StorageError: the folder cannot be written.
        NumericError: a loss or a gradient is not finite.
        InterruptedRun: the user interrupted the training; ``resume_run`` continues it.
    """
    context = context or Context()
    recipe = with_absolute_zoos(recipe)
    zoos = open_zoos(recipe)
    task = task_class(recipe.task).on_zoos(recipe, zoos)
    skipped = find_bad(zoos, skip_bad, in_float32=recipe.training.precision != "fp64")
    runs = recipe.model.reads == "runs the network" and len(task.specs) == 1
    if runs and isinstance(model := _new_model(task), Functional):
        skipped |= find_unreadable(zoos, model, task.spec, skipped, skip_bad)
    counts = {name: sum(len(rows_of_split(zoo, name, skipped)) for zoo in zoos) for name in SPLITS}
    for name, count in counts.items():
        if count < 2:
            raise DataError(zoos[0].path, f"{count} networks in split {name}; training needs at least 2 in each")
    require_training_networks(zoos, task.specs, skipped)
    _require_fitting_batch(recipe, counts["train"])
    require_bounded_size(task, context.progress)

    def fill(folder: Path) -> None:
        if task.fit is not None:
            InrDesign.of_zoo(zoos[0].parts[0]).save_start(folder)
        if context.tensorboard:
            start_events(folder / EVENTS_FILE)

    @contextmanager
    def created() -> Iterator[RunFolder]:
        check_outputs([Output(path, RUN)], [zoo.path for zoo in zoos], force=force, kinds=(ZOO, RUN))
        with locked(path):
            record = describe_run(task, zoos, counts, skipped, context)
            yield create_run(path, recipe_to_yaml(recipe), record, force=force, fill=fill)

    with context.processes.entered_by_first(created) as folder:
        return _run(task, folder, zoos, context, illustrate)


def train_or_resume(
    recipe: Recipe,
    path: Path,
    *,
    skip_bad: bool = False,
    context: Context | None = None,
    illustrate: Illustrate = lambda path: None,
) -> Result:
    """Train a recipe's model, or continue the run in ``path``, or return the result of that run if it is done.

    So the same command, given again after each interruption, ends with the result.

    Args:
        recipe, path, skip_bad, context, illustrate: as in ``train_run``.

    Raises:
        UsageError: the run in ``path`` was trained with another recipe or on other zoos.
        MnfnError: as in ``train_run`` and ``resume_run``.
    """
    context = context or Context()
    recipe = with_absolute_zoos(recipe)
    state = None
    if context.processes.first:
        state = _state_of(path, recipe)
    state = context.processes.share(state)
    if state is None:
        return train_run(recipe, path, skip_bad=skip_bad, context=context, illustrate=illustrate)
    if state == "running":
        return resume_run(path, context=context, illustrate=illustrate)
    context.progress.note(f"{path} is done")
    return read_result(path)


def require_same_recipe(path: Path, recipe: Recipe) -> None:
    """Check that a run was trained with a recipe on its zoos.

    Raises:
        UsageError: it was not.
    """
    if with_absolute_zoos(load_recipe(str(RunFolder(path).recipe))) != recipe:
        raise UsageError(path, "was run with another recipe or zoo than the command now asks for; use another output")


def _state_of(path: Path, recipe: Recipe) -> str | None:
    if not path.exists():
        return None
    require_same_recipe(path, recipe)
    return RunFolder(path).record.state


def resume_run(path: Path, *, context: Context | None = None, illustrate: Illustrate = lambda path: None) -> Result:
    """Continue an interrupted run. The result is bit for bit that of an uninterrupted run in the same environment.

    Args:
        path: the folder of the run.
        context: the device, and where progress is reported and interrupts are noticed.
        illustrate: a function that draws the figures of the run, given its folder.

    Returns:
        the contents of result.json.

    Raises:
        UsageError: the run is finished, was started by another version of mnfn, or needs a plugin that is not loaded
            or has changed.
        DataError: there is no run, its recipe or a zoo of it changed, its newest state is damaged, or its metrics are
            not what it wrote.
        NumericError, InterruptedRun: as in ``train_run``.
    """
    context = context or Context()
    with context.processes.entered_by_first(partial(_unchanged, path)) as folder:
        if (folder.path / EVENTS_FILE).exists():
            require_tensorboard(folder.path / EVENTS_FILE)
        if changed := folder.require_plugins():
            raise UsageError(path, f"{changed[0]}; it cannot be resumed")
        recipe, record = load_recipe(str(folder.recipe)), folder.record
        zoos = open_zoos(recipe)
        if (made_by := record.versions.mnfn) != __version__:
            raise UsageError(path, f"was started by mnfn {made_by}; this is {__version__}, which may train otherwise")
        task = task_of_run(record.task, recipe, record.specs, record.facts, record.inr, folder.path / RUN_FILE)
        return _run(task, folder, zoos, context, illustrate)


@contextmanager
def _unchanged(path: Path) -> Iterator[RunFolder]:
    """Hold the lock of an unfinished run inside the block, after a check of its files and zoos by their checksums."""
    with resuming(path) as folder:
        faults = [DataError(file, f"{CHANGED}; it cannot be resumed") for file in folder.changed_files()]
        for known in folder.record.zoos:
            zoo = open_zoo(known.path)
            if zoo.fingerprint != known.fingerprint:
                faults.append(DataError(zoo.path, "changed since the run started; it cannot be resumed"))
            faults += changed_files(zoo.path, zoo.record)
        if faults:
            raise DataError.together(faults)
        yield folder


def _require_fitting_batch(recipe: Recipe, networks: int) -> None:
    size = recipe.training.batch_size
    if size is not None and size > networks:
        raise RecipeError("training.batch_size", f"{size} is more than the {networks} training networks")


def _run(task: Task, folder: RunFolder, zoos: Sequence[Zoo], context: Context, illustrate: Illustrate) -> Result:
    started = time.monotonic()
    recipe = task.recipe
    dtype = torch.float64 if recipe.training.precision == "fp64" else torch.float32

    def load(name: str) -> Split:
        split = load_split(zoos, name, task.targets, skipped, task.specs).to(device=context.device, dtype=dtype)
        return split.in_memory() if in_memory else split

    skipped = frozenset(folder.record.skipped)
    in_memory = fit_in_memory(recipe, zoos, skipped)
    share, seed = recipe.training.calibration or 0.0, recipe.training.seed
    train = load("train")
    whole, related = load("val"), families_of(zoos, "val", skipped)
    validation = divide(whole, related, share, seed)
    val = validation.selection
    model = _new_model(task).to(context.device)
    if isinstance(model, Functional):
        # Statistics of networks that do not fit in memory are those of as many as do, evenly spaced.
        some = slice(None, None, 1 if in_memory else -(-len(train.ids) // PREPARED))
        model.prepare(train.features.select(some))
    position = _fit(task, model, train, val, folder, context, in_memory)
    learned = _Learned(model, position, train, whole, related, validation, started, time.monotonic())
    return _conclude(task, folder, zoos, learned, load, context, illustrate)


@dataclass(frozen=True)
class _Learned:
    """What a training leaves for its conclusion: model and position, the splits that it read, and times."""

    model: nn.Module
    position: Position
    train: Split
    whole: Split
    related: list[int]
    validation: Division
    started: float
    trained: float


def _conclude(
    task: Task,
    folder: RunFolder,
    zoos: Sequence[Zoo],
    learned: _Learned,
    load: Callable[[str], Split],
    context: Context,
    illustrate: Illustrate,
) -> Result:
    """Measure a trained functional on the test networks, and write the rest of the run's folder on rank 0."""
    recipe, model, position, train = task.recipe, learned.model, learned.position, learned.train
    whole, validation, skipped = learned.whole, learned.validation, frozenset(folder.record.skipped)
    processes = context.processes
    if processes.first:
        save_tensors(folder.model, model.state_dict())
    # Without what a conclusion wrote that was killed: it is written again.
    before = {path.name for path in folder.path.iterdir()} - CONCLUDING if processes.first else set()
    # The test networks are read here, once, with the model that validation chose.
    test, families = load("test"), 1 + max(families_of(zoos, "test", skipped))
    splits = Splits(train, validation.selection, test, families, validation.calibration)
    with processes.folder_for_first(folder.path) as written:
        concluded = task.conclude(model.eval(), splits, written)
    familiarity: Familiarity | None = None
    unflagged: list[str] = []
    if TASKS[recipe.task].writes == "table":
        one = whole.select(one_of_each(learned.related, recipe.training.seed))
        familiarity, unflagged = Familiarity.if_enough(task.specs, train.features, one.features)
    remarks = [*validation.remarks, *unflagged, *concluded.remarks]
    more: dict[str, Any] = dict(concluded.more)
    more |= {"by_weight_space": concluded.by_weight_space} if concluded.by_weight_space else {}
    more |= {"remarks": remarks} if remarks else {}
    more |= {} if familiarity is None else {"unlike": familiarity.figures(test.features, families)}
    invariance = measure_invariance(task, model, test)
    if not processes.first:
        return processes.share(cast(Result, None))
    Calibration(concluded.intervals, familiarity).save(folder.path)
    result = Result(
        task=recipe.task,
        model=recipe.model.name,
        reads=recipe.model.reads,
        parameters=count_parameters(model),
        data=Learned(
            zoos=folder.record.zoos,
            networks=folder.record.networks,
            split_protocol=split_protocol(zoos, task.protocol),
        ),
        test=concluded.test,
        invariance=invariance,
        validation={
            task.criterion.removeprefix("val_"): position.best_value if math.isfinite(position.best_value) else None,
            "step": position.best_step,
        },
        steps=position.step,
        seed=recipe.training.seed,
        bit_for_bit=position.exact,
        environment=position.environment,
        versions=folder.record.versions,
        seconds=Seconds(
            training=round(learned.trained - learned.started, 3),
            per_step=round(position.step_seconds / max(position.step, 1), 6),
            in_all=round(time.monotonic() - learned.started, 3),
        ),
        **more,
    )
    write_record(folder.path / RESULT_FILE, result)
    illustrate(folder.path)
    folder.finish({path.name for path in folder.path.iterdir()} - before)
    for remark in remarks:
        context.progress.note(remark)
    return processes.share(read_result(folder.path))


def _new_model(task: Task) -> nn.Module:
    torch.manual_seed(derive_seed(task.recipe.training.seed, "model"))
    return build_functional(task.recipe, task.specs, task.model_options)


def _fit(
    task: Task, model: nn.Module, train: Split, val: Split, folder: RunFolder, context: Context, in_memory: bool
) -> Position:
    validate = partial(task.validate, model, val)
    if isinstance(model, ClosedFormFunctional):
        return fit_at_once(model, train.only_features, train.targets, validate, task.criterion, folder, context)
    chosen = task.recipe.training
    optimizer = task.recipe.optimizer
    assert chosen.batch_size is not None and optimizer is not None
    steps_per_epoch = -(-len(train.ids) // chosen.batch_size)
    job = Job(
        loss=BatchLoss(task, model, train, chosen.batch_size, steps_per_epoch, by_blocks=not in_memory),
        validate=validate,
        criterion=task.criterion,
        smaller_is_better=task.smaller_is_better,
        total_steps=chosen.steps or steps_per_epoch * (chosen.epochs or 0),
        steps_per_epoch=steps_per_epoch,
        validate_every=chosen.validate_every or steps_per_epoch,
        learning_rate=optimizer.lr,
        warmup_steps=optimizer.warmup_steps,
        schedule=optimizer.schedule,
        optimizer=optimizer.name,
        weight_decay=optimizer.weight_decay,
        seed=chosen.seed,
    )
    position = run_job(job, model, folder, context)
    if isinstance(model, Functional):
        finish(model, train.features, train.targets, validate, task.criterion, position, folder, context)
    return position
