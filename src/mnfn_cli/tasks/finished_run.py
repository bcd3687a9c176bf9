"""Load finished runs: the trained functional, its task, and the weight space that it reads."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from mnfn_cli.errors import DataError, MnfnError, UsageError
from mnfn_cli.models.functional import place_of
from mnfn_cli.pretrained import find_run, similar_run
from mnfn_cli.recipe import Recipe, load_recipe
from mnfn_cli.storage.tensor_headers import read_header
from mnfn_cli.storage.tensors import all_finite, read_tensors
from mnfn_cli.task_list import TASKS
from mnfn_cli.tasks.calibration import Calibration
from mnfn_cli.tasks.functional import build_functional
from mnfn_cli.tasks.task import Task, task_of_run
from mnfn_cli.training.run_folder import RUN_FILE, RunFolder, open_finished
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.mixed import Networks, join_networks
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.inr_design import InrDesign
from mnfn_cli.zoo.mixed import place_of_spec
from mnfn_cli.zoo.store import Zoo, open_zoo

EFFORT_BESIDE = 1_000_000
"""The effort (``_effort``) for parameters that a model may have for a moment while it is built, and does not keep."""

NO_INTERVALS = "the run has no intervals: it was trained by an earlier mnfn, or on too few validation networks"


class Run:
    """A finished run with its trained functional.

    Args:
        folder, recipe, task, model, remarks, calibration: what ``load_run`` passes; use it.

    Attributes:
        folder: the folder of the run.
        recipe: the recipe of the run, with all defaults and overrides.
        task: the task that the functional was trained for.
        specs: the weight spaces of the networks that the functional reads.
        model: the functional, in evaluation mode.
        calibration: the intervals around predictions and the flag of unlike networks, if the run has them.
        remarks: sentences about the run that the user should read.

    Raises:
        UsageError: from ``spec``, ``predict``, ``unlike`` and ``intervals``, as these say.

    >>> from mnfn_cli import load_run
    >>> from mnfn_cli.testing import example_zoo
    >>> run = load_run("generalization/digits-relu-hybrid")
    >>> predicted = run.predict(example_zoo().split("test").read())
    >>> low, high = run.intervals(predicted)
    >>> predicted.shape, bool((low <= predicted).all()), run.recipe.task
    (torch.Size([2]), True, 'generalization')
    """

    def __init__(
        self,
        folder: RunFolder,
        recipe: Recipe,
        task: Task,
        model: nn.Module,
        remarks: Sequence[str] = (),
        calibration: Calibration = Calibration(),
    ) -> None:
        self.remarks = tuple(remarks)
        self.calibration = calibration
        self.folder = folder
        self.recipe = recipe
        self.task = task
        self.specs = task.specs
        self.model = model.eval()

    @property
    def in_float32(self) -> bool:
        """Whether the functional computes in float32, which cannot hold all numbers of networks in float64."""
        return place_of(self.model)[1] != torch.float64

    @property
    def spec(self) -> NetworkSpec:
        """The weight space of the networks that the functional reads.

        Raises:
            UsageError: there are several.
        """
        return self.task.spec

    @property
    def start(self) -> str | None:
        """The fingerprint of the initial weights shared by all INRs of the training zoo; None where there are none."""
        return None if self.task.fit is None else self.task.fit.start

    def require_task(self, task: str | None) -> "Run":
        """Return the run if it was trained for a task.

        Args:
            task: the task; None for any.

        Raises:
            UsageError: it was trained for another one.

        >>> run = load_run("generalization/digits-relu-hybrid")
        >>> run.require_task("editing")
        Traceback (most recent call last):
        mnfn_cli.errors.UsageError: ...digits-relu-hybrid: is a run of task generalization; mnfn predict reads it
        """
        if task is not None:
            _require_task(self.folder.path, self.recipe.task, task)
        return self

    def to(self, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "Run":
        """Return the run, whose functional is moved to a device or a dtype in place.

        Args:
            device: the device; by default the functional stays where it is.
            dtype: the dtype of its parameters; by default as they are.

        >>> run = load_run("generalization/digits-relu-hybrid")
        >>> run.to(dtype=torch.float64).in_float32
        False
        """
        self.model.to(device=device, dtype=dtype)
        return self

    def predict(self, features: Networks, spec: NetworkSpec | None = None) -> Any:
        """Apply the functional to networks, in its dtype and on its device.

        Args:
            features: raw weights of the networks, ``(networks, 1, ...)``. Memory-mapped weights are read in batches.
            spec: the weight space of the networks. It is required if the run reads several, except for
                ``MixedFeatures``, whose parts are in the order of ``specs``.

        Raises:
            UsageError: the weight space is required and not given, or the run does not read it.

        Returns:
            for generalization the predicted accuracies ``(networks,)``, for classification the probabilities
            ``(networks, classes)``, for editing the edited weights in the dtypes of ``features``; all on the CPU.

        >>> run = load_run("generalization/digits-relu-hybrid")
        >>> from mnfn_cli.testing import example_zoo
        >>> run.predict(example_zoo().split("test").read()).shape
        torch.Size([2])
        """
        return self.task.answers(self.model, self._placed(features, spec))

    def unlike(self, features: Networks, spec: NetworkSpec | None = None) -> Tensor:
        """Return how far networks are from those of the training zoo: scores above 1 flag them as unlike these.

        Args:
            features, spec: as in ``predict``.

        Returns:
            a float64 tensor ``(networks,)`` on the CPU: the distance of each network as a multiple of the distance that
            5 % of networks like those of the training zoo exceed (docs/answers.md).

        Raises:
            UsageError: the run has no flag, or as in ``predict``.

        >>> from mnfn_cli.testing import example_zoo
        >>> run = load_run("generalization/digits-relu-hybrid")
        >>> run.unlike(example_zoo().split("test").read()).shape
        torch.Size([2])
        """
        if self.calibration.familiarity is None:
            raise UsageError(self.folder.path, "the run cannot tell unlike networks: it has no calibration for that")
        return torch.from_numpy(self.calibration.familiarity.scores(self._placed(features, spec)))

    def _placed(self, features: Networks, spec: NetworkSpec | None) -> Networks:
        number = 0 if spec is None else place_of_spec(spec, self.specs)
        if number is None:
            raise self._choose(f"the run does not read networks {spec}")
        if len(self.specs) > 1 and isinstance(features, WeightSpaceFeatures):
            if spec is None:
                raise self._choose("the run reads several weight spaces; give spec")
            features = join_networks([(number, range(features.batch), features)], self.specs)
        return features

    def intervals(self, predicted: Tensor) -> tuple[Tensor, Tensor]:
        """Return the intervals around predictions: each holds the true number with a probability of at least 90 %.

        The promise is for a network drawn as those of the training zoo were, on average over such networks
        (docs/answers.md).

        Args:
            predicted: what ``predict`` returned, ``(networks,)``.

        Returns:
            the lower and the upper ends, float64 tensors ``(networks,)`` on the CPU, clipped to the target's bounds.

        Raises:
            UsageError: the run has no intervals.

        >>> from mnfn_cli.testing import example_zoo
        >>> run = load_run("generalization/digits-relu-hybrid")
        >>> low, high = run.intervals(run.predict(example_zoo().split("test").read()))
        >>> low.shape, bool((low < high).all())
        (torch.Size([2]), True)
        """
        if self.calibration.intervals is None:
            raise UsageError(self.folder.path, NO_INTERVALS)
        low, high = self.calibration.intervals.around(predicted.double().cpu().numpy())
        return torch.from_numpy(low), torch.from_numpy(high)

    def _choose(self, problem: str) -> UsageError:
        known = "\n".join(f"{spec};" for spec in self.specs)
        return UsageError(self.folder.path, f"{problem}; it reads\n{known.removesuffix(';')}")


def load_run(path: str | Path, task: str | None = None) -> Run:
    """Load a finished run.

    Args:
        path: the folder of the run, or the name of a run that comes with mnfn (``mnfn pretrained``).
        task: the task that the run must have been trained for; any task by default.

    Returns:
        the run, whose functional is on the CPU, in evaluation mode.

    Raises:
        DataError: there is no run, it is not finished, or a file of it is missing or damaged.
        UsageError: the run was trained for another task, or its model comes from a plugin that is not loaded.

    >>> from mnfn_cli import load_run
    >>> load_run("generalization/digits-relu-hybrid").spec.widths
    (1, 16, 16, 16, 10)
    """
    found = find_run(path)
    if not found.exists() and (similar := similar_run(path)):
        raise DataError(path, f"no such run, and none of this name comes with mnfn; did you mean '{similar}'?")
    folder = open_finished(found)
    record, file = folder.record, folder.path / RUN_FILE
    if record.task not in TASKS:
        raise DataError(f"{file}:task", f"'{record.task}' is no task that this version of mnfn knows")
    if task is not None:
        _require_task(path, record.task, task)
    remarks = folder.require_plugins()
    remarks += [f"{file} was edited since the run was trained" for file in folder.changed_files()]
    recipe = load_recipe(str(folder.recipe))
    known = task_of_run(record.task, recipe, record.specs, record.facts, record.inr, file)
    _check_size(folder, recipe, known)
    model = build_functional(recipe, record.specs, known.model_options)
    tensors, _ = read_tensors(folder.model, floats_only=False)
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise DataError(folder.model, f"does not fit the recipe: {error}") from None
    if wrong := [name for name, tensor in tensors.items() if tensor.is_floating_point() and not all_finite(tensor)]:
        raise DataError(f"{folder.model}:{wrong[0]}", "is not finite; the run is damaged, train it anew")
    return Run(folder, recipe, known, model, remarks, Calibration.read(folder.path, record.specs))


def _require_task(path: object, found: str, wanted: str) -> None:
    if found != wanted:
        raise UsageError(path, f"is a run of task {found}; mnfn {TASKS[found].short} reads it")


def _check_size(folder: RunFolder, recipe: Recipe, task: Task) -> None:
    """Raise ``DataError`` if recipe.yaml and run.json describe a model with more numbers than model.safetensors holds.

    A damaged width would otherwise take all memory, and thousands of layers a long time: the building ends as soon as
    the parameters are far more than the file holds. Those that weight spaces share are built once for each.
    """
    sizes = [prod(entry.shape) for entry in read_header(folder.model).tensors.values()]
    held = sum(sizes)
    try:
        with torch.device("meta"), _at_most((len(task.specs) + 1) * sum(map(_effort, sizes)) + EFFORT_BESIDE):
            model = build_functional(recipe, task.specs, task.model_options)
    except (RuntimeError, TypeError, ValueError, OverflowError) as error:
        if folder.record.plugins:
            return  # a user's own model need not know the meta device
        problem = f"describes no model that can be built: {str(error).partition(chr(10))[0]}"
        raise DataError(folder.path / RUN_FILE, problem) from None
    described = sum(tensor.numel() for tensor in model.state_dict().values())
    if described > held:
        raise DataError(folder.model, f"holds {held} numbers, and the run's model has {described}")


@contextmanager
def _at_most(effort: int) -> Iterator[None]:
    """Raise ``ValueError`` inside the block when the parameters of new modules take more effort than this."""
    known: dict[int, nn.Parameter] = {}  # a parameter may be registered in several modules

    def count(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        if parameter is not None and id(parameter) not in known:
            known[id(parameter)] = parameter
            left[0] -= _effort(parameter.numel())
            if left[0] < 0:
                raise ValueError("it has far more parameters than model.safetensors holds")

    left = [effort]
    registered = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        registered.remove()


def _effort(numbers: int) -> int:
    """Return what a parameter of this size costs: even an empty one takes as long as thousand numbers take memory."""
    return 1000 + numbers


def load_runs(paths: Sequence[Path]) -> list[Run]:
    """Load several finished runs.

    Raises:
        DataError, UsageError: ``load_run`` fails for some of them; all faults are named.
    """
    runs, faults = [], []
    for path in paths:
        try:
            runs.append(load_run(path))
        except MnfnError as fault:
            faults.append(fault)
    if faults:
        raise type(faults[0]).together(faults)
    return runs


def label_runs(runs: Sequence[Run]) -> dict[str, str]:
    """Return a label for each run by the path of its folder, which runs on the same zoos share if only seeds differ.

    It is the name of the model or, where recipes with the same model differ on the same zoos, that of the run's folder
    without the seed.
    """
    recipes: dict[tuple[str, tuple[str, ...]], list[Recipe]] = {}
    for run in runs:
        known = recipes.setdefault((run.recipe.model.name, run.recipe.data.zoo), [])
        if _without_seed(run.recipe) not in known:
            known.append(_without_seed(run.recipe))
    return {
        str(run.folder.path): run.recipe.model.name
        if len(recipes[run.recipe.model.name, run.recipe.data.zoo]) == 1
        else re.sub(r"-seed\d+$", "", run.folder.path.name)
        for run in runs
    }


def design_of(path: str | Path | Zoo) -> InrDesign:
    """Return how the INRs of a zoo, or of the zoo that a finished run was trained on, were fitted.

    Args:
        path: an open zoo, the folder of a zoo or of a finished run, or the name of a run that comes with mnfn.

    Returns:
        the architecture of the INRs, the settings of the fit and the initial weights that they share, for
        ``build_siren_zoo(..., like=...)``.

    Raises:
        UsageError: the networks of the zoo or of the run are not INRs, or those of the run have several weight spaces.
        DataError: the folder is neither a zoo nor a run, or it is incomplete.

    >>> from mnfn_cli import design_of
    >>> from mnfn_cli.testing import example_zoo
    >>> design_of(example_zoo().path)
    Traceback (most recent call last):
    mnfn_cli.errors.UsageError: ...zoo: holds networks 1 -> 16 -> 16 -> 16 -> 10,... relu, no INRs
    """
    if isinstance(path, Zoo):
        return InrDesign.of_zoo(path)
    path = find_run(path)
    if not (path / RUN_FILE).exists():
        return InrDesign.of_zoo(open_zoo(path))
    record = open_finished(path).record
    if record.inr is None:
        raise UsageError(path, "is a run on networks that are no INRs")
    if len(record.specs) > 1:
        raise UsageError(path, f"is a run on INRs of {len(record.specs)} weight spaces; name a zoo of one")
    return InrDesign.of_folder(path, record.specs[0], record.inr)


def _without_seed(recipe: Recipe) -> Recipe:
    return recipe.model_copy(update={"training": recipe.training.model_copy(update={"seed": 0})})
