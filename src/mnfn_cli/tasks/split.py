"""Networks and what is to be learned from them, split by split, out of one zoo or several."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mnfn_cli.errors import DataError, RecipeError
from mnfn_cli.recipe import Recipe
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.zoo.store import Zoo, open_zoo


@dataclass(frozen=True)
class Split:
    """Networks of one split.

    Args:
        ids: of the networks.
        pictures: for INRs the picture that each one holds, zoo and image id; the network's own id otherwise.
        features: raw weights.
        targets: ``(networks, ...)``: accuracies, class numbers or target pictures.
    """

    ids: list[str]
    pictures: list[str]
    features: WeightSpaceFeatures
    targets: Tensor

    def to(self, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "Split":
        """Return the split on another device or in another dtype; class numbers stay integers."""
        targets = self.targets.to(device=device, dtype=dtype if self.targets.is_floating_point() else None)
        return Split(self.ids, self.pictures, self.features.to(device=device, dtype=dtype), targets)

    def vector(self) -> np.ndarray:
        """Return scalar targets as float64 numbers on the CPU."""
        return self.targets.double().cpu().numpy()


def load_split(
    zoos: Sequence[Zoo],
    name: str,
    targets: Callable[[Zoo, Sequence[int]], Tensor],
    skip: frozenset[tuple[str, str]] = frozenset(),
) -> Split:
    """Join one split of several zoos of one weight space.

    Args:
        zoos: where the networks are.
        name: train, val or test.
        targets: reads the targets of some rows of a zoo.
        skip: networks (zoo, id) to leave out.
    """
    ids, pictures, features, values = [], [], [], []
    for number, zoo in enumerate(zoos):
        every = zoo.ids
        rows = [row for row in zoo.rows(name) if (str(zoo.path), every[row]) not in skip]
        ids += [every[row] for row in rows]
        shown = zoo.table["image_id"].to_list() if "image_id" in zoo.table.columns else every
        pictures += [f"{number}/{shown[row]}" for row in rows]
        features.append(zoo.read(rows))
        values.append(targets(zoo, rows))
    return Split(ids, pictures, WeightSpaceFeatures.cat(features), torch.cat(values))


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


def find_bad(zoos: Sequence[Zoo], skip_bad: bool) -> frozenset[tuple[str, str]]:
    """Return (zoo, id) of the networks that are not finite.

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
