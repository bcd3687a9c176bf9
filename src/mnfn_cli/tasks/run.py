"""A finished run, read back: its model, and what it needs to read networks."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mnfn_cli.errors import DataError, MnfnError, UsageError
from mnfn_cli.models.registry import build_model
from mnfn_cli.recipe import Recipe, load_recipe
from mnfn_cli.storage.tensors import read_tensors
from mnfn_cli.training.run_folder import RunFolder, open_finished
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec

BATCH = 256

COMMANDS = {"generalization": "predict", "classification": "classify", "editing": "edit"}
"""Which command applies a run of a task to networks."""


class Run:
    """A trained functional.

    Attributes:
        folder: where it lives.
        recipe: the resolved recipe that made it.
        spec: the weight space that it reads.
        model: the functional, in evaluation mode.
    """

    def __init__(self, folder: RunFolder, recipe: Recipe, spec: NetworkSpec, model: nn.Module) -> None:
        self.folder = folder
        self.recipe = recipe
        self.spec = spec
        self.model = model.eval()

    @property
    def start(self) -> str | None:
        """Fingerprint of the shared start that all networks had which the run learned from; None for other runs."""
        design = self.folder.description["inr"]
        return None if design is None else design["start"]

    def to(self, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "Run":
        """Move the model, and return the run."""
        self.model.to(device=device, dtype=dtype)
        return self

    def predict(self, features: WeightSpaceFeatures) -> Tensor | WeightSpaceFeatures:
        """Apply the functional to raw weights, in the model's dtype and on its device.

        Args:
            features: ``(networks, 1, ...)`` of the run's weight space; a memory map is read block by block.

        Returns:
            On the CPU: for generalization the predicted accuracies ``(networks,)``, for classification the
            probabilities ``(networks, classes)``, for editing the edited weights.
        """
        match self.recipe.task:
            case "generalization":
                return predict(self.model, features)
            case "classification":
                return predict(self.model, features).softmax(dim=1)
            case _:
                change = predict_change(self.model, features)
                return features.to(device="cpu", dtype=change.dtype).zip_map(torch.add, change)


def predict(model: nn.Module, features: WeightSpaceFeatures) -> Tensor:
    """Apply a functional whose outputs are numbers, in blocks of ``BATCH`` networks, without gradients."""
    outputs = [output.cpu() for output in _in_blocks(model, features)]
    return torch.cat(outputs) if outputs else torch.zeros(0)


def predict_change(model: nn.Module, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
    """Apply a functional whose outputs are changes of weights, in blocks, without gradients."""
    return WeightSpaceFeatures.cat([change.to(device="cpu") for change in _in_blocks(model, features)])


def _in_blocks(model: nn.Module, features: WeightSpaceFeatures) -> Iterator[Any]:
    parameter = next(model.parameters())
    with torch.inference_mode():
        for start in range(0, features.batch, BATCH):
            block = features.select(slice(start, start + BATCH))
            yield model(block.to(device=parameter.device, dtype=parameter.dtype))


def load_run(path: str | Path, task: str | None = None) -> Run:
    """Open a finished run.

    Args:
        path: its folder.
        task: that it must have been trained for; any by default.

    Raises:
        DataError: there is none, it is not done, or its files are damaged.
        UsageError: it was trained for another task.
    """
    folder = open_finished(Path(path))
    found = folder.description["task"]
    if task is not None and found != task:
        raise UsageError(path, f"is a run of task {found}; mnfn {COMMANDS[found]} reads it")
    recipe = load_recipe(str(folder.recipe))
    try:
        spec = NetworkSpec.from_json(folder.description["spec"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(folder.path / "run.json", f"spec cannot be read: {error}") from None
    model = build_functional(recipe, spec, folder.description["facts"])
    tensors, _ = read_tensors(folder.model)
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise DataError(folder.model, f"does not fit the recipe: {error}") from None
    return Run(folder, recipe, spec, model)


def load_runs(paths: Sequence[Path], task: str) -> list[Run]:
    """Open several finished runs of a task; what is wrong with any of them is told in one pass.

    Raises:
        DataError, UsageError: as of ``load_run``.
    """
    runs, faults = [], []
    for path in paths:
        try:
            runs.append(load_run(path, task))
        except MnfnError as fault:
            faults.append(fault)
    if faults:
        raise type(faults[0]).together(faults)
    return runs


def build_functional(recipe: Recipe, spec: NetworkSpec, facts: Mapping[str, Any]) -> nn.Module:
    """Build a recipe's model for a weight space, in the recipe's precision, from torch's random state.

    Args:
        recipe: chooses the model.
        spec: the weight space.
        facts: what the task found out about the zoo (``Task.facts``).
    """
    options = recipe.model.options()
    if "classes" in facts:
        options |= {"classes": len(facts["classes"])}
    model = build_model(f"{recipe.task}/{recipe.model.name}", spec, **options)
    return model.double() if recipe.training.precision == "fp64" else model
