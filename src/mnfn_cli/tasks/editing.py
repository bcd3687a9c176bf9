"""Change the weights of an INR so that its picture changes as asked."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mnfn_cli.errors import DataError, RecipeError
from mnfn_cli.recipe import Recipe
from mnfn_cli.runtime.seeds import generator
from mnfn_cli.storage.atomic import write_text
from mnfn_cli.storage.tensors import save_tensors
from mnfn_cli.tasks.edits import edit_pictures
from mnfn_cli.tasks.metrics import Vector, mean_difference, with_interval
from mnfn_cli.tasks.run import BATCH, predict_change
from mnfn_cli.tasks.split import Split
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.weightspace.rendering import render
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.inr import InrDesign
from mnfn_cli.zoo.store import Zoo

EXAMPLES = 12
"""Test networks of which the run keeps pictures before and after the edit, and the target."""


class Editing:
    """Mean squared error, on [-1, 1], between the picture that the new weights draw and the target."""

    criterion = "val_mse"
    smaller_is_better = True
    protocol = "split by picture, with all its networks"

    def __init__(self, recipe: Recipe, zoos: Sequence[Zoo]) -> None:
        assert recipe.data.edit is not None
        self._edit = recipe.data.edit
        self._seed = recipe.training.seed
        self._spec = zoos[0].spec
        sizes = {InrDesign.of_zoo(zoo).size for zoo in zoos}
        if len(sizes) > 1:
            raise RecipeError("data.zoo", f"pictures of sizes {sorted(sizes)}; an editor learns on one size")
        self._size = sizes.pop()
        origins = {target_origin(zoo) for zoo in zoos}
        if len(origins) > 1:
            raise DataError(zoos[0].path, "some zoos keep their pictures and some do not: targets would differ in kind")
        self.facts: dict[str, Any] = {"edit": self._edit, "targets_from": origins.pop()}

    def targets(self, zoo: Zoo, rows: Sequence[int]) -> Tensor:
        """Return target pictures, ``(rows, channels, height, width)``."""
        return target_pictures(zoo, rows, self._edit, self._size)

    def loss(self, model: nn.Module, features: WeightSpaceFeatures, targets: Tensor, where: str) -> Tensor:
        """Return the mean squared error over pixels and networks."""
        edited = features.zip_map(torch.add, model(features))
        return (render(self._spec, edited, self._size) - targets).square().mean()

    def validate(self, model: nn.Module, split: Split) -> Mapping[str, float]:
        """Return the mean squared error."""
        return {"val_mse": float(self._errors(split, predict_change(model, split.features)).mean())}

    def conclude(self, model: nn.Module, train: Split, test: Split, folder: Path) -> dict[str, Any]:
        """Write errors.csv and examples; return errors beside the baselines, and whether the edit commutes."""
        change = predict_change(model, test.features)
        nothing = test.features.map(torch.zeros_like).to(device="cpu")
        mean_target = train.targets.double().mean(dim=0, keepdim=True).cpu()
        errors = {
            "mse": self._errors(test, change),
            "do_nothing": self._errors(test, nothing),
            "mean_target": _squared(mean_target, test.targets.double().cpu()),
        }
        element = MonomialElement.sample(
            self._spec, test.features.batch, (1.0, 1.0), generator=generator(self._seed, "conclusion")
        )
        exact = test.features.to(device="cpu", dtype=torch.float64)
        acted = element.act(exact).to(device=test.features.device, dtype=test.features.dtype)
        acted_split = Split(test.ids, test.pictures, acted, test.targets)
        errors["mse_permuted_and_flipped"] = self._errors(acted_split, predict_change(model, acted))
        _write_errors(test, errors, folder / "errors.csv")
        self._save_examples(test, change, folder / "examples.safetensors")
        zeros = np.zeros(len(test.ids))
        return {
            "test": {
                name: with_interval(mean_difference, values, zeros, test.pictures) for name, values in errors.items()
            },
            "targets_from": self.facts["targets_from"],
            "equivariance": {"float64": equivariance_error(model, self._spec, exact, element)},
        }

    def _errors(self, split: Split, change: WeightSpaceFeatures) -> Vector:
        """Return each network's squared error after a change, averaged over pixels, in float64."""
        parts = []
        for start in range(0, len(split.ids), BATCH):
            block = slice(start, start + BATCH)
            before = split.features.select(block).to(device="cpu", dtype=torch.float64)
            edited = before.zip_map(torch.add, change.select(block).to(dtype=torch.float64))
            parts.append(_squared(render(self._spec, edited, self._size), split.targets[block].double().cpu()))
        return np.concatenate(parts)

    def _save_examples(self, test: Split, change: WeightSpaceFeatures, file: Path) -> None:
        some = spread(len(test.ids), EXAMPLES)
        before = test.features.select(some).to(device="cpu")
        edited = before.zip_map(torch.add, change.select(some).to(dtype=before.dtype))
        drawn = {
            "before": render(self._spec, before, self._size),
            "after": render(self._spec, edited, self._size),
            "target": test.targets[some].cpu(),
        }
        save_tensors(file, {name: pictures.float() for name, pictures in drawn.items()})


def spread(count: int, most: int) -> list[int]:
    """Return at most ``most`` of the numbers below ``count``, evenly spread: neighbours may look alike.

    >>> spread(9, 3)
    [0, 4, 8]
    """
    return torch.linspace(0, count - 1, min(count, most)).long().tolist()


def target_origin(zoo: Zoo) -> str:
    """Return what a zoo's target pictures are made from."""
    return "original pictures" if zoo.pictures() is not None else "renderings before the edit"


def target_pictures(zoo: Zoo, rows: Sequence[int], edit: str, size: tuple[int, int]) -> Tensor:
    """Return target pictures: of the originals where the zoo keeps them, else of what the networks draw."""
    pictures = zoo.pictures_of(rows)
    if pictures is None:
        pictures = render(zoo.spec, zoo.read(rows), size)
    return edit_pictures(edit, pictures)


def equivariance_error(
    model: nn.Module, spec: NetworkSpec, features: WeightSpaceFeatures, element: MonomialElement
) -> float:
    """Return how far an editor is from commuting with the group: max |delta(g x) - g delta(x)| / max |delta(x)|.

    The largest over all networks and tensors, in float64 on the CPU.
    """
    double = copy.deepcopy(model).double().cpu()
    left = predict_change(double, element.act(features))
    right = element.act(predict_change(double, features))
    ratios = left.zip_map(lambda a, b: (a - b).abs().amax() / b.abs().amax(), right)
    return max(float(ratio) for ratio in ratios.tensors())


def _squared(pictures: Tensor, targets: Tensor) -> Vector:
    return (pictures - targets).square().flatten(1).mean(dim=1).numpy()


def _write_errors(test: Split, errors: Mapping[str, Vector], file: Path) -> None:
    import polars as pl

    columns: dict[str, Any] = {"network": test.ids, "picture": [name.partition("/")[2] for name in test.pictures]}
    write_text(file, pl.DataFrame(columns | dict(errors)).write_csv())
