"""The task ``editing``: change an INR's weights so that the picture that it encodes is dilated or gains contrast."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from mnfn_cli.errors import DataError, RecipeError
from mnfn_cli.recipe import Recipe
from mnfn_cli.runtime.seeds import generator
from mnfn_cli.storage.atomic import write_text
from mnfn_cli.storage.records import Record
from mnfn_cli.storage.tensors import read_tensors, save_tensors
from mnfn_cli.tasks.data import Picture, Split, Splits
from mnfn_cli.tasks.edits import edit_pictures, on_symmetric_range
from mnfn_cli.tasks.figure import Figure, Grid
from mnfn_cli.tasks.functional import BLOCK, apply_functional
from mnfn_cli.tasks.intervals import Intervals
from mnfn_cli.tasks.metrics import Metric, Vector, mean_difference, with_interval
from mnfn_cli.tasks.result import Result
from mnfn_cli.tasks.task import Conclusion, Report, Task
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.weightspace.rendering import render
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.checkpoints import Checkpoints
from mnfn_cli.zoo.inr_design import InrDesign
from mnfn_cli.zoo.mixed import weight_spaces
from mnfn_cli.zoo.record import Fit
from mnfn_cli.zoo.store import Zoo

SHOWN = 12
"""The number of networks whose pictures are drawn before and after the edit, beside their targets."""

SHIFTS = 40
"""The largest shift of a bias, in units of ``pi / omega``, for which the equivariance error is measured."""

RENDERINGS = "renderings before the edit"


class EditFacts(Record):
    """The edit that was learned, a key of ``EDITS``, and the source of its target pictures, in words."""

    edit: str
    targets_from: str


class Editing(Task):
    """Minimise the mean squared error, on [-1, 1], between the picture of the edited weights and the target picture."""

    Facts = EditFacts
    facts: EditFacts
    criterion = "val_mse"
    smaller_is_better = True
    needs_fit = True
    protocol = "split by picture, with all its networks"
    answer = "the edited weights are"
    seen = "pixel"
    returns = "the edited weights and biases, in the order of the inputs"
    meaning = "mse is the mean squared error, on [-1, 1], between pictures of the edited weights and their targets"

    def __init__(self, recipe: Recipe, specs: Sequence[NetworkSpec], facts: EditFacts, fit: Fit | None = None) -> None:
        super().__init__(recipe, specs, facts, fit)
        assert fit is not None
        self._fit = fit

    @classmethod
    def study(cls, recipe: Recipe, zoos: Sequence[Zoo]) -> EditFacts:
        """Check that all networks are INRs of one weight space and picture size, with targets of the same source."""
        if len(spaces := weight_spaces(zoos)) > 1:
            raise RecipeError("data.zoo", f"networks of {len(spaces)} weight spaces; an editor reads one")
        fits = [InrDesign.of_zoo(zoo).fit for zoo in zoos]
        sizes, ranges = {fit.size for fit in fits}, {fit.pixel_range for fit in fits}
        if len(sizes) > 1:
            raise RecipeError("data.zoo", f"pictures of sizes {sorted(sizes)}; an editor learns on one size")
        if len(ranges) > 1:
            raise RecipeError("data.zoo", f"pixels on {sorted(ranges)}; an editor learns on one range")
        origins = {_target_origin(zoo) for zoo in zoos}
        if len(origins) > 1:
            raise DataError(zoos[0].path, "some zoos keep their pictures and some do not: targets would differ in kind")
        return EditFacts(edit=str(recipe.data.edit), targets_from=origins.pop())

    def targets(self, zoo: Zoo, rows: Sequence[int]) -> Tensor:
        """Return target pictures on [-1, 1], ``(rows, channels, height, width)``.

        They are made from the original pictures where the zoo holds those, else from the pictures that the networks
        render.
        """
        pictures = zoo.pictures_of(rows)
        if pictures is None:
            return edit_pictures(self.facts.edit, self._draw(zoo.read(rows)))
        return edit_pictures(self.facts.edit, on_symmetric_range(pictures, self._fit.pixel_range))

    def loss(self, model: nn.Module, features: WeightSpaceFeatures, targets: Tensor, where: str) -> Tensor:
        """Return the mean squared error over pixels and networks."""
        edited = change_weights(features, model(features))
        return (self._draw(edited) - targets).square().mean()

    def validate(self, model: nn.Module, split: Split) -> Mapping[str, float]:
        """Return the mean squared error on the validation networks."""
        return {"val_mse": float(self._errors(split, apply_functional(model, split.features)).mean())}

    def conclude(self, model: nn.Module, splits: Splits, folder: Path) -> Conclusion:
        """Write errors.csv and examples.safetensors; return mean squared errors and the equivariance errors.

        The baselines are no change (``do_nothing``) and the mean training target for every network (``mean_target``).
        The equivariance error is that for permutations and sign flips, and that for shifts of up to ``SHIFTS`` besides.
        """
        train, test = splits.train, splits.test
        change = apply_functional(model, test.features)
        nothing = test.only_features.map(torch.zeros_like).to(device="cpu")
        mean_target = train.targets.double().mean(dim=0, keepdim=True).cpu()
        errors = {
            "mse": self._errors(test, change),
            "do_nothing": self._errors(test, nothing),
            "mean_target": _squared(mean_target, test.targets.double().cpu()),
        }
        exact = test.only_features.to(device="cpu", dtype=torch.float64)
        element, shifted = (
            MonomialElement.sample(
                self.spec,
                exact.batch,
                (1.0, 1.0),
                shifts=shifts,
                generator=generator(self.recipe.training.seed, "conclusion"),
            ).for_biases_of(exact)
            for shifts in (0, SHIFTS)
        )
        acted = element.act(exact).to(device=test.features.device, dtype=test.features.dtype)
        acted_split = Split(test.ids, test.pictures, acted, test.targets)
        errors["mse_permuted_and_flipped"] = self._errors(acted_split, apply_functional(model, acted))
        columns: dict[str, Any] = {"network": test.ids, "picture": [name for _, name in test.pictures]}
        write_text(folder / "errors.csv", pl.DataFrame(columns | errors).write_csv())
        self._save_examples(test, change, folder / "examples.safetensors")
        zeros = np.zeros(len(test.ids))
        return Conclusion(
            {name: with_interval(mean_difference, values, zeros, test.pictures) for name, values in errors.items()},
            {
                "targets_from": self.facts.targets_from,
                "equivariance": {
                    "float64": equivariance_error(model, exact, element),
                    "float64_with_shifts": equivariance_error(model, exact, shifted),
                },
            },
        )

    def from_output(self, output: WeightSpaceFeatures, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        """Return the edited weights: added in float64, then rounded to the dtypes of ``features``."""
        edited = change_weights(features, output, torch.float64)
        return edited.zip_map(lambda new, old: new.to(old.dtype), features)

    def observed(self, answers: WeightSpaceFeatures) -> Tensor:
        """Return the pictures that the edited networks render."""
        blocks = [slice(start, start + BLOCK) for start in range(0, answers.batch, BLOCK)]
        exact = (answers.select(block).to(dtype=torch.float64) for block in blocks)
        return torch.cat([self._draw(weights) for weights in exact])

    def score(
        self, observed: Tensor, targets: Tensor, pictures: Sequence[Picture], intervals: Intervals | None = None
    ) -> tuple[Metric, Mapping[str, float]]:
        """Return the mean squared error."""
        errors = _squared(observed, targets.double())
        return with_interval(mean_difference, errors, np.zeros(len(errors)), pictures), {}

    def report(self, networks: Checkpoints, answers: WeightSpaceFeatures, intervals: Intervals | None = None) -> Report:
        """Return the error of each picture against its target, before and after the edit, and some of the pictures."""
        drawn = {
            name: self._draw(weights.to(dtype=torch.float64))
            for name, weights in (("before", networks.features), ("after", answers))
        }
        if networks.zoo is None or networks.rows is None:
            origin, targets = RENDERINGS, edit_pictures(self.facts.edit, drawn["before"])
        else:
            origin, targets = _target_origin(networks.zoo), self.targets(networks.zoo, networks.rows)
        errors = {f"mse_{name}": _squared(drawing, targets.double()) for name, drawing in drawn.items()}
        zeros = np.zeros(len(networks.names))
        shown = _spread(len(networks.names), SHOWN)
        pictures = {name: drawing[shown].float() for name, drawing in (drawn | {"target": targets}).items()}
        return Report(
            columns=errors,
            figures={name: with_interval(mean_difference, values, zeros) for name, values in errors.items()},
            known=len(networks.names),
            summary=(
                f"{self.facts.edit}; mean squared error to the target, made from {origin}: "
                f"{errors['mse_before'].mean():.4f} before, {errors['mse_after'].mean():.4f} after"
            ),
            shown=list(errors),
            facts={"edit": self.facts.edit, "targets_from": origin},
            pictures=pictures,
            figure=lambda: Grid(pictures),
        )

    def figures(self, folder: Path, result: Result) -> Mapping[str, Figure]:
        """Draw test pictures before and after the edit, and their targets."""
        drawn, _ = read_tensors(folder / "examples.safetensors")
        return {"edits.png": Grid({name: drawn[name] for name in ("before", "after", "target")})}

    def _draw(self, features: WeightSpaceFeatures) -> Tensor:
        """Return the picture of each network on [-1, 1], ``(networks, channels, height, width)``."""
        return on_symmetric_range(render(self.spec, features, self._fit.size), self._fit.pixel_range)

    def _errors(self, split: Split, change: WeightSpaceFeatures) -> Vector:
        """Return the mean squared error over the pixels of each network after a change of its weights, in float64."""
        parts = []
        for start in range(0, len(split.ids), BLOCK):
            block = slice(start, start + BLOCK)
            edited = change_weights(split.only_features.select(block), change.select(block), torch.float64)
            parts.append(_squared(self._draw(edited), split.targets[block].double().cpu()))
        return np.concatenate(parts)

    def _save_examples(self, test: Split, change: WeightSpaceFeatures, file: Path) -> None:
        some = _spread(len(test.ids), SHOWN)
        before = test.only_features.select(some).to(device="cpu")
        drawn = {
            "before": self._draw(before),
            "after": self._draw(change_weights(before, change.select(some), before.dtype)),
            "target": test.targets[some].cpu(),
        }
        save_tensors(file, {name: pictures.float() for name, pictures in drawn.items()})


def change_weights(
    features: WeightSpaceFeatures, change: WeightSpaceFeatures, dtype: torch.dtype | None = None
) -> WeightSpaceFeatures:
    """Return weights plus a change of them.

    Args:
        features: raw weights of the networks, ``(networks, 1, ...)``.
        change: the numbers to add to them, ``(networks, 1, ...)``.
        dtype: compute in this dtype on the CPU; by default the dtype and the device of the tensors are used.
    """
    if dtype is not None:
        features, change = (given.to(device="cpu", dtype=dtype) for given in (features, change))
    return features.zip_map(torch.add, change)


def equivariance_error(model: nn.Module, features: WeightSpaceFeatures, element: MonomialElement) -> float:
    """Return the equivariance error of an editor: the largest max |delta(g x) - g delta(x)| / max |g delta(x)|.

    It is taken over all weight and bias tensors, each over all networks, in float64 on the CPU.

    Args:
        model: the editor ``delta``, a map from weights to a change of them.
        features: raw weights ``x`` in float64, ``(networks, 1, ...)``.
        element: one group element ``g`` for each network.
    """
    double = copy.deepcopy(model).double().cpu()
    left = apply_functional(double, element.act(features))
    right = element.act_on_change(apply_functional(double, features))
    ratios = left.zip_map(lambda a, b: (a - b).abs().amax() / b.abs().amax(), right)
    return max(float(ratio) for ratio in ratios.tensors())


def _target_origin(zoo: Zoo) -> str:
    """Return the source of a zoo's target pictures, in words."""
    return "original pictures" if zoo.pictures() is not None else RENDERINGS


def _spread(count: int, most: int) -> list[int]:
    """Return at most ``most`` evenly spaced numbers below ``count``; neighbouring networks often look alike.

    >>> _spread(9, 3)
    [0, 4, 8]
    """
    return cast(list[int], torch.linspace(0, count - 1, min(count, most)).long().tolist())


def _squared(pictures: Tensor, targets: Tensor) -> Vector:
    return (pictures - targets).square().flatten(1).mean(dim=1).numpy()
