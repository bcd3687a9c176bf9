"""Networks and what is to be learned from them, split by split, out of one zoo or several."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mnfn_cli.errors import DataError, RecipeError
from mnfn_cli.recipe import Recipe
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.zoo.store import Zoo, open_zoo

Picture = tuple[int, str]
"""The number of a zoo among those that are learned from, and an ``image_id`` in it."""

Skipped = frozenset[tuple[str, str]]
"""Networks that are left out: the zoo's path, and the id."""


@dataclass(frozen=True)
class Split:
    """The networks of one split.

    Args:
        ids: the networks' ids.
        pictures: for INRs the picture that each network holds; for other networks its own id stands in its place.
        features: raw weights, ``(networks, 1, ...)``.
        targets: ``(networks, ...)``: accuracies, class numbers or target pictures.
    """

    ids: list[str]
    pictures: list[Picture]
    features: WeightSpaceFeatures
    targets: Tensor

    def to(self, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "Split":
        """Return the split on another device or in another dtype; class numbers stay integers."""
        targets = self.targets.to(device=device, dtype=dtype if self.targets.is_floating_point() else None)
        return Split(self.ids, self.pictures, self.features.to(device=device, dtype=dtype), targets)

    def vector(self) -> np.ndarray:
        """Return scalar targets as float64 numbers on the CPU."""
        return self.targets.double().cpu().numpy()


@dataclass(frozen=True)
class Splits:
    """All networks that a run learns from and is measured on."""

    train: Split
    val: Split
    test: Split


def load_split(
    zoos: Sequence[Zoo],
    name: str,
    targets: Callable[[Zoo, Sequence[int]], Tensor],
    skipped: Skipped = frozenset(),
) -> Split:
    """Join one split of several zoos of one weight space.

    Args:
        zoos: the zoos that hold the networks.
        name: ``train``, ``val`` or ``test``.
        targets: reads the targets of some rows of a zoo.
        skipped: networks to leave out.
    """
    ids: list[str] = []
    pictures: list[Picture] = []
    features, values = [], []
    for number, zoo in enumerate(zoos):
        every, rows = zoo.ids, rows_of_split(zoo, name, skipped)
        ids += [every[row] for row in rows]
        shown = zoo.table["image_id"].to_list() if "image_id" in zoo.table.columns else every
        pictures += [(number, shown[row]) for row in rows]
        features.append(zoo.read(rows))
        values.append(targets(zoo, rows))
    return Split(ids, pictures, WeightSpaceFeatures.cat(features), torch.cat(values))


def rows_of_split(zoo: Zoo, name: str, skipped: Skipped) -> list[int]:
    """Return the rows of a split, without the networks that are left out."""
    every, path = zoo.ids, str(zoo.path)
    return [row for row in zoo.rows(name) if (path, every[row]) not in skipped]


def open_zoos(recipe: Recipe) -> list[Zoo]:
    """Open a recipe's zoos and check that they fit it and each other; every misfit is named.

    Raises:
        RecipeError: no zoo, or networks of another activation or weight space than the recipe's.
        DataError: a zoo cannot be read.
    """
    if not recipe.data.zoo:
        raise RecipeError("data.zoo", "the recipe names no zoo; give one with --zoo")
    zoos = [open_zoo(path) for path in recipe.data.zoo]
    misfits = []
    for zoo in zoos:
        wanted = recipe.data.activation
        if wanted and zoo.spec.activation != wanted:
            problem = f"networks with {zoo.spec.activation}; this recipe is for {wanted} networks"
            misfits.append(RecipeError(zoo.path, problem))
        elif zoo.spec != zoos[0].spec:
            misfits.append(RecipeError(zoo.path, f"networks {zoo.spec}; the first zoo holds {zoos[0].spec}"))
    if misfits:
        raise RecipeError.together(misfits)
    return zoos


def find_bad(zoos: Sequence[Zoo], skip_bad: bool) -> Skipped:
    """Return the networks that hold a number that is not finite.

    Raises:
        DataError: there are some, and ``skip_bad`` is not asked for; all are named.
    """
    bad = [(zoo, zoo.ids[row], problem) for zoo in zoos for row, problem in zoo.bad_networks()]
    if bad and not skip_bad:
        raise DataError.together(
            DataError(f"{zoo.path}:{name}", f"{problem}; leave such networks out with --on-bad skip")
            for zoo, name, problem in bad
        )
    return frozenset((str(zoo.path), name) for zoo, name, _ in bad)


def with_absolute_zoos(recipe: Recipe, zoos: Sequence[Path] = ()) -> Recipe:
    """Return the recipe with the paths of its zoos made absolute, so that a run finds them from any folder.

    Args:
        recipe: a recipe, which names zoos unless some are given.
        zoos: folders of zoos, in place of those that the recipe names.
    """
    paths = tuple(str(Path(path).absolute()) for path in (zoos or recipe.data.zoo))
    return recipe.model_copy(update={"data": recipe.data.model_copy(update={"zoo": paths})})
