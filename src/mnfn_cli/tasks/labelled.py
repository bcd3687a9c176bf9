"""Networks with measured accuracies, split by split, out of one zoo or several."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mnfn_cli.errors import DataError, RecipeError
from mnfn_cli.recipe import Recipe
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.zoo.store import Zoo, open_zoo

LABEL = "test_accuracy"


@dataclass(frozen=True)
class Split:
    """Networks of one split, on the device that trains.

    Args:
        ids: of the networks.
        features: raw weights.
        accuracies: measured test accuracies, ``(networks,)``, in [0, 1].
    """

    ids: list[str]
    features: WeightSpaceFeatures
    accuracies: Tensor

    def vector(self) -> np.ndarray:
        """Return the accuracies as float64 numbers on the CPU."""
        return self.accuracies.double().cpu().numpy()


def load_split(zoos: Sequence[Zoo], name: str, skip: frozenset[tuple[str, str]] = frozenset()) -> Split:
    """Join one split of several zoos of one weight space, without the networks (zoo, id) in ``skip``."""
    ids, parts, accuracies = [], [], []
    for zoo in zoos:
        every = zoo.ids
        rows = [row for row in zoo.rows(name) if (str(zoo.path), every[row]) not in skip]
        ids += [every[row] for row in rows]
        parts.append(zoo.read(rows))
        accuracies.append(torch.tensor(zoo.table[LABEL].to_numpy()[rows], dtype=torch.float32))
    return Split(ids, WeightSpaceFeatures.cat(parts), torch.cat(accuracies))


def open_zoos(recipe: Recipe) -> list[Zoo]:
    """Open a recipe's zoos and check that they fit it and each other; every misfit is named.

    Raises:
        RecipeError: no zoo, or networks of another activation or weight space than the recipe's.
        DataError: a zoo cannot be read, or has no accuracies.
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
    for zoo in zoos:
        zoo.require_column(LABEL)
        values = zoo.table[LABEL].cast(float).to_numpy()
        wrong = [zoo.ids[row] for row in np.nonzero(~((values >= 0) & (values <= 1)))[0]]
        if wrong:
            raise DataError(zoo.path / "table.csv", f"{LABEL} outside [0, 1] of network {', '.join(wrong[:20])}")
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
