"""Train a recipe's functional: from zoos to a run folder that explains itself, the same for every task."""

import json
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mnfn_cli import __version__
from mnfn_cli.errors import DataError, RecipeError, UsageError
from mnfn_cli.models.accuracy import AccuracyPredictor
from mnfn_cli.recipe import Recipe, load_recipe, recipe_to_yaml
from mnfn_cli.runtime.interruption import Interruption
from mnfn_cli.runtime.progress import Progress, Silent
from mnfn_cli.runtime.seeds import derive_seed, generator
from mnfn_cli.storage.atomic import write_json
from mnfn_cli.storage.folders import check_apart
from mnfn_cli.storage.tensors import save_tensors
from mnfn_cli.tasks.classification import Classification
from mnfn_cli.tasks.editing import Editing
from mnfn_cli.tasks.generalization import Generalization
from mnfn_cli.tasks.run import build_functional
from mnfn_cli.tasks.split import Split, find_bad, load_split, open_zoos
from mnfn_cli.tasks.task import Task
from mnfn_cli.training.loop import Job, run_job
from mnfn_cli.training.run_folder import RunFolder, create_run, open_unfinished, working_on
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.weightspace.rendering import is_inr
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.inr import InrDesign
from mnfn_cli.zoo.store import Zoo

TASKS: Mapping[str, type[Task]] = {
    "generalization": Generalization,
    "classification": Classification,
    "editing": Editing,
}


def train_run(
    recipe: Recipe,
    path: Path,
    *,
    force: bool = False,
    skip_bad: bool = False,
    command: str = "train_run",
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
    interruption: Interruption | None = None,
    illustrate: Callable[[Path], None] = lambda path: None,
) -> dict[str, Any]:
    """Train a recipe's model and leave a run folder that explains itself.

    Args:
        recipe: resolved, with its zoos.
        path: the run folder to make.
        force: replace an existing one.
        skip_bad: leave out networks that are not finite.
        command: how it was called, for run.json.
        device: where to train.
        progress: listener.
        interruption: asked between steps and validation batches.
        illustrate: draws the run's pictures, given its folder, before it counts as done.

    Returns:
        The result, as in result.json.

    Raises:
        RecipeError, DataError, OutputError, StorageError: before any training.
        NumericError: a loss or gradient was not finite.
        InterruptedRun: stopped; the run can be resumed.
    """
    zoos = open_zoos(recipe)
    task = TASKS[recipe.task](recipe, zoos)
    skipped = find_bad(zoos, skip_bad)
    counts = {name: _count(zoos, name, skipped) for name in ("train", "val", "test")}
    for name, count in counts.items():
        if count < 2:
            raise DataError(zoos[0].path, f"{count} networks in split {name}; training needs at least 2 in each")
    if recipe.training.batch_size > counts["train"]:
        problem = f"{recipe.training.batch_size} is more than the {counts['train']} training networks"
        raise RecipeError("training.batch_size", problem)
    # What does not fit the weight space is found before the folder is made.
    build_functional(recipe, zoos[0].spec, task.facts)
    design = InrDesign.of_zoo(zoos[0]) if is_inr(zoos[0].spec) else None
    description = {
        "task": recipe.task,
        "spec": zoos[0].spec.to_json(),
        "facts": task.facts,
        "inr": design and design.to_json(),
        "zoos": [{"path": str(zoo.path), "fingerprint": zoo.fingerprint} for zoo in zoos],
        "networks": counts,
        "skipped": sorted(map(list, skipped)),
        "command": command,
        "versions": {"mnfn": __version__, "torch": torch.__version__, "python": platform.python_version()},
    }
    check_apart(path, [zoo.path for zoo in zoos])
    with working_on(path):
        folder = create_run(path, recipe_to_yaml(recipe), description, force=force)
        if design is not None:
            design.save_start(path)
        return _run(recipe, task, folder, zoos, skipped, device, progress, interruption, illustrate)


def resume_run(
    path: Path,
    *,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
    interruption: Interruption | None = None,
    illustrate: Callable[[Path], None] = lambda path: None,
) -> dict[str, Any]:
    """Continue an interrupted run, to the same bytes as if it had not been interrupted.

    Raises:
        UsageError: the run is done.
        DataError: there is none, its zoo changed, or its newest state is damaged.
    """
    folder = open_unfinished(path)
    with working_on(path):
        recipe = load_recipe(str(folder.recipe))
        zoos = open_zoos(recipe)
        for zoo, known in zip(zoos, folder.description["zoos"], strict=True):
            if zoo.fingerprint != known["fingerprint"]:
                raise DataError(zoo.path, "changed since the run started; it cannot be resumed")
        if folder.description["versions"]["mnfn"] != __version__:
            made_by = folder.description["versions"]["mnfn"]
            raise UsageError(path, f"was started by mnfn {made_by}; this is {__version__}, which may train otherwise")
        skipped = frozenset((zoo, name) for zoo, name in folder.description["skipped"])
        task = TASKS[recipe.task](recipe, zoos)
        return _run(recipe, task, folder, zoos, skipped, device, progress, interruption, illustrate)


def _run(
    recipe: Recipe,
    task: Task,
    folder: RunFolder,
    zoos: Sequence[Zoo],
    skipped: frozenset[tuple[str, str]],
    device: torch.device | str,
    progress: Progress | None,
    interruption: Interruption | None,
    illustrate: Callable[[Path], None],
) -> dict[str, Any]:
    started = time.monotonic()
    progress = progress or Silent()
    interruption = interruption or Interruption()
    dtype = torch.float64 if recipe.training.precision == "fp64" else torch.float32
    spec = zoos[0].spec

    def load(name: str) -> Split:
        return load_split(zoos, name, task.targets, skipped).to(device=device, dtype=dtype)

    train, val = load("train"), load("val")
    torch.manual_seed(derive_seed(recipe.training.seed, "model"))
    model = build_functional(recipe, spec, task.facts).to(device)
    if isinstance(model, AccuracyPredictor):
        model.standardize(train.features)

    def check() -> None:
        interruption.check(folder.path, f"continue with: mnfn train --resume {folder.path}")

    def validate() -> Mapping[str, float]:
        check()
        figures = task.validate(model, val)
        check()
        return figures

    steps_per_epoch = -(-len(train.ids) // recipe.training.batch_size)
    job = Job(
        loss=_BatchLoss(task, model, train, recipe, spec, steps_per_epoch),
        validate=validate,
        criterion=task.criterion,
        smaller_is_better=task.smaller_is_better,
        total_steps=recipe.training.steps or steps_per_epoch * (recipe.training.epochs or 0),
        steps_per_epoch=steps_per_epoch,
        validate_every=recipe.training.validate_every or steps_per_epoch,
        learning_rate=recipe.optimizer.lr,
        warmup_steps=recipe.optimizer.warmup_steps,
        schedule=recipe.optimizer.schedule,
        weight_decay=recipe.optimizer.weight_decay,
        seed=recipe.training.seed,
    )
    position = run_job(job, model, folder, progress, interruption)
    trained = time.monotonic()
    save_tensors(folder.model, model.state_dict())
    # The test split is touched here, once, by the model that validation chose.
    concluded = task.conclude(model.eval(), train, load("test"), folder.path)
    result = {
        "task": recipe.task,
        "model": recipe.model.name,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "data": {
            "zoos": folder.description["zoos"],
            "networks": folder.description["networks"],
            "split_protocol": task.protocol,
        },
        **concluded,
        "validation": {task.criterion.removeprefix("val_"): position.best_value, "step": position.best_step},
        "steps": position.step,
        "seed": recipe.training.seed,
        "bit_for_bit": position.exact,
        "environment": position.environment,
        "versions": folder.description["versions"],
        "seconds": {
            "training": round(trained - started, 3),
            "per_step": round(position.step_seconds / max(position.step, 1), 6),
            "in_all": round(time.monotonic() - started, 3),
        },
    }
    write_json(folder.path / "result.json", result)
    illustrate(folder.path)
    folder.finish()
    return dict(json.loads((folder.path / "result.json").read_text("utf-8")))


def _count(zoos: Sequence[Zoo], name: str, skipped: frozenset[tuple[str, str]]) -> int:
    return sum((str(zoo.path), zoo.ids[row]) not in skipped for zoo in zoos for row in zoo.rows(name))


class _BatchLoss:
    """The loss of a step: which networks it sees, and by which elements they are acted on, depend on its number."""

    def __init__(
        self,
        task: Task,
        model: torch.nn.Module,
        train: Split,
        recipe: Recipe,
        spec: NetworkSpec,
        steps_per_epoch: int,
    ) -> None:
        self._task = task
        self._model = model
        self._train = train
        self._recipe = recipe
        self._spec = spec
        self._steps_per_epoch = steps_per_epoch
        self._order_epoch = -1
        self._order = torch.empty(0, dtype=torch.int64)

    def __call__(self, step: int) -> Tensor:
        seed, size = self._recipe.training.seed, self._recipe.training.batch_size
        epoch, position = divmod(step, self._steps_per_epoch)
        if epoch != self._order_epoch:
            order = torch.randperm(len(self._train.ids), generator=generator(seed, "order", epoch))
            self._order, self._order_epoch = order.to(self._train.targets.device), epoch
        rows = self._order[position * size : (position + 1) * size]
        batch = self._train.features.select(rows)
        if self._recipe.augment is not None:
            element = MonomialElement.sample(
                self._spec,
                len(rows),
                self._recipe.augment.scale or (1.0, 1.0),
                generator=generator(seed, "element", step),
            )
            batch = element.act(batch)
        return self._task.loss(self._model, batch, self._train.targets[rows], f"step {step + 1}")
