"""A finished run, read back: its model, and what it needs to read networks."""

from pathlib import Path

import torch
from torch import Tensor, nn

from mnfn_cli.errors import DataError
from mnfn_cli.models.registry import build_model
from mnfn_cli.recipe import Recipe, load_recipe
from mnfn_cli.storage.tensors import read_tensors
from mnfn_cli.training.run_folder import RunFolder, open_finished
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec

BATCH = 256


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

    def to(self, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "Run":
        """Move the model, and return the run."""
        self.model.to(device=device, dtype=dtype)
        return self

    def predict(self, features: WeightSpaceFeatures) -> Tensor:
        """Apply the functional to raw weights, in the model's dtype and on its device.

        Args:
            features: ``(networks, 1, ...)`` of the run's weight space; a memory map is read block by block.

        Returns:
            On the CPU; for generalization the predicted accuracies ``(networks,)``.
        """
        return predict(self.model, features)


def predict(model: nn.Module, features: WeightSpaceFeatures) -> Tensor:
    """Apply a functional in blocks of ``BATCH`` networks, without gradients."""
    parameter = next(model.parameters())
    outputs = []
    with torch.inference_mode():
        for start in range(0, features.batch, BATCH):
            block = features.select(slice(start, start + BATCH))
            outputs.append(model(block.to(device=parameter.device, dtype=parameter.dtype)).cpu())
    return torch.cat(outputs) if outputs else torch.zeros(0)


def load_run(path: str | Path) -> Run:
    """Open a finished run.

    Raises:
        DataError: there is none, it is not done, or its files are damaged.
    """
    folder = open_finished(Path(path))
    recipe = load_recipe(str(folder.recipe))
    try:
        spec = NetworkSpec.from_json(folder.description["spec"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(folder.path / "run.json", f"spec cannot be read: {error}") from None
    model = build_functional(recipe, spec)
    tensors, _ = read_tensors(folder.model)
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise DataError(folder.model, f"does not fit the recipe: {error}") from None
    return Run(folder, recipe, spec, model)


def build_functional(recipe: Recipe, spec: NetworkSpec) -> nn.Module:
    """Build a recipe's model for a weight space, in the recipe's precision, from torch's random state."""
    model = build_model(f"{recipe.task}/{recipe.model.name}", spec, **recipe.model.options())
    return model.double() if recipe.training.precision == "fp64" else model
