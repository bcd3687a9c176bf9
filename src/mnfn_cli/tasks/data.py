"""Load the weights and targets of networks from one or several zoos, split by split."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mnfn_cli.errors import DataError, RecipeError, printable, unicode_text
from mnfn_cli.models.functional import Functional
from mnfn_cli.models.shared import obstacles
from mnfn_cli.recipe import Recipe
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.mixed import MixedFeatures, Networks
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.mixed import place_of_spec, read_networks, weight_spaces
from mnfn_cli.zoo.store import Zoo, open_zoo

Picture = tuple[int, str]
"""A picture: the index of its zoo among the run's zoos, and its ``image_id`` in that zoo."""

BLOCK = 256
"""The number of networks that are tried at a time."""

LARGEST_IN_MEMORY = 2**29
"""The size in bytes of the training networks up to which a training keeps its networks in memory by default.

It decides the order of the networks, so it does not depend on the machine.
"""

Skipped = frozenset[tuple[str, str]]
"""The networks that are left out, as (path of the zoo, network id)."""


@dataclass(frozen=True)
class Split:
    """The networks of one split.

    Args:
        ids: the networks' ids.
        pictures: the picture that each INR encodes; for other networks the network's own id in place of the picture's.
        features: raw weights of the networks, ``(networks, 1, ...)``; ``MixedFeatures`` for several weight spaces.
        targets: the targets of the networks, ``(networks, ...)``: accuracies, class indices or target pictures.
    """

    ids: list[str]
    pictures: list[Picture]
    features: Networks
    targets: Tensor

    def to(self, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "Split":
        """Return the split on another device or in another dtype; integer targets (class indices) keep their dtype."""
        targets = self.targets.to(device=device, dtype=dtype if self.targets.is_floating_point() else None)
        return Split(self.ids, self.pictures, self.features.to(device=device, dtype=dtype), targets)

    def select(self, rows: Sequence[int]) -> "Split":
        """Return the networks in these rows, in this order."""
        chosen = list(rows)
        return Split(
            [self.ids[row] for row in chosen],
            [self.pictures[row] for row in chosen],
            self.features.select(chosen),
            self.targets[chosen],
        )

    def in_memory(self) -> "Split":
        """Return the split after all its networks were read; until then they are read when they are used."""
        for part in self.features.parts if isinstance(self.features, MixedFeatures) else [self.features]:
            _ = part.weights
        return self

    @property
    def only_features(self) -> WeightSpaceFeatures:
        """The features, for what reads one weight space."""
        assert isinstance(self.features, WeightSpaceFeatures)
        return self.features

    def vector(self) -> np.ndarray:
        """Return scalar targets as a float64 array ``(networks,)``."""
        return self.targets.double().cpu().numpy()


@dataclass(frozen=True)
class Splits:
    """The training, validation and test networks of a run.

    Args:
        train: the training networks.
        val: the validation networks that chose the best model.
        test: the test networks.
        test_families: the number of families of test networks, where a network with its copies is one.
        calibration: the validation networks that chose nothing, for calibration; None if there are none.
    """

    train: Split
    val: Split
    test: Split
    test_families: int = 0
    calibration: Split | None = None


def load_split(
    zoos: Sequence[Zoo],
    name: str,
    targets: Callable[[Zoo, Sequence[int]], Tensor],
    skipped: Skipped = frozenset(),
    specs: Sequence[NetworkSpec] = (),
) -> Split:
    """Load one split of several zoos, in the order of the zoos and of their tables.

    Args:
        zoos: the zoos.
        name: the split: ``train``, ``val`` or ``test``.
        targets: a function that returns the targets of some rows of a zoo's table, ``(rows, ...)``.
        skipped: the networks to leave out.
        specs: the weight spaces of the networks, in the order of the functional; by default ``weight_spaces(zoos)``.

    Raises:
        DataError: the targets cannot be read from a zoo.
    """
    ids: list[str] = []
    pictures: list[Picture] = []
    chosen, values = [], []
    for number, zoo in enumerate(zoos):
        every, rows = zoo.ids, rows_of_split(zoo, name, skipped)
        ids += [every[row] for row in rows]
        shown = zoo.table["image_id"].to_list() if "image_id" in zoo.table.columns else every
        pictures += [(number, shown[row]) for row in rows]
        chosen.append(rows)
        values.append(targets(zoo, rows))
    return Split(ids, pictures, read_networks(zoos, chosen, specs or weight_spaces(zoos)), torch.cat(values))


def rows_of_split(zoo: Zoo, name: str | None, skipped: Skipped) -> list[int]:
    """Return the indices of a split's rows in the zoo's table, without the networks that are left out; None for all."""
    rows, left_out = zoo.rows(name), [network for path, network in skipped if path == str(zoo.path)]
    if not left_out:
        return rows
    kept = ~zoo.table["id"].is_in(left_out)
    return [row for row, keep in zip(rows, kept[rows], strict=True) if keep]


def fit_in_memory(recipe: Recipe, zoos: Sequence[Zoo], skipped: Skipped) -> bool:
    """Return whether a training keeps its networks in memory: as the recipe says, or by the training networks' size."""
    if recipe.training.in_memory is not None:
        return recipe.training.in_memory
    size = 8 if recipe.training.precision == "fp64" else 4
    parts = [part for zoo in zoos for part in zoo.parts]
    numbers = sum(part.spec.num_parameters * len(rows_of_split(part, "train", skipped)) for part in parts)
    return size * numbers <= LARGEST_IN_MEMORY


def require_training_networks(zoos: Sequence[Zoo], specs: Sequence[NetworkSpec], skipped: Skipped) -> None:
    """Check that there are at least 2 training networks of each weight space, or raise ``DataError``."""
    parts = [part for zoo in zoos for part in zoo.parts]
    few = []
    for number, spec in enumerate(specs):
        own = [part for part in parts if place_of_spec(part.spec, specs) == number]
        count = sum(len(rows_of_split(part, "train", skipped)) for part in own)
        problem = f"{count} training networks {spec}; at least 2 of each weight space are needed"
        few += [DataError(own[0].path, problem)] if count < 2 else []
    if few:
        raise DataError.together(few)


def open_zoos(recipe: Recipe) -> list[Zoo]:
    """Open a recipe's zoos and check that their networks fit the recipe and each other.

    Raises:
        RecipeError: the recipe names no zoo, or one twice; or networks have another activation than the recipe's, or
            its model cannot read them beside the others. All such weight spaces are named with their zoo.
        DataError: a zoo cannot be read.
    """
    if not recipe.data.zoo:
        raise RecipeError("data.zoo", "the recipe names no zoo; give one with --zoo")
    if again := [path for path, times in Counter(map(os.path.realpath, recipe.data.zoo)).items() if times > 1]:
        raise RecipeError("data.zoo", f"{printable(again[0])} is given more than once")
    zoos = [open_zoo(path) for path in recipe.data.zoo]
    wanted = recipe.data.activation
    misfits = [
        RecipeError(zoo.path, f"networks with {activation}; this recipe is for {wanted} networks")
        for zoo in zoos
        for activation in dict.fromkeys(space.spec.activation for space in zoo.spaces)
        if wanted and activation != wanted
    ]
    if not misfits:
        home = {space.spec: zoo.path for zoo in reversed(zoos) for space in zoo.spaces}
        for spec, why in obstacles(weight_spaces(zoos), recipe.model.shares):
            problem = f"model {recipe.model.name} cannot read these networks: {why}; these are {spec}"
            misfits.append(RecipeError(home[spec], problem))
    if misfits:
        raise RecipeError.together(misfits)
    return zoos


def split_protocol(zoos: Sequence[Zoo], usual: str) -> str:
    """Return how the networks of some zoos are split, in words, for result.json and evaluations.

    Args:
        zoos: the zoos. One that was imported with a published protocol records it.
        usual: what is said of all others.
    """
    return " | ".join(dict.fromkeys(zoo.record.split_protocol or usual for zoo in zoos))


def find_bad(zoos: Sequence[Zoo], skip_bad: bool, *, in_float32: bool = False) -> Skipped:
    """Return the networks that have a weight or bias that is not finite.

    Args:
        zoos: the zoos to search.
        in_float32: whether weights and biases must also be finite in float32.
        skip_bad: return such networks instead of raising an error.

    Raises:
        DataError: there are such networks and ``skip_bad`` is False; all are named.
    """
    bad = [(zoo, zoo.ids[row], problem) for zoo in zoos for row, problem in zoo.bad_networks(in_float32=in_float32)]
    return _left_out(bad, skip_bad)


def find_unreadable(
    zoos: Sequence[Zoo], model: Functional, spec: NetworkSpec, skipped: Skipped, skip_bad: bool
) -> Skipped:
    """Return the networks that a functional cannot read, such as those whose outputs on its inputs are not finite.

    Args:
        zoos: the zoos to search.
        model: the functional.
        spec: the weight space that it reads.
        skipped: networks that are left out already.
        skip_bad: return such networks instead of raising an error.

    Raises:
        DataError: there are such networks and ``skip_bad`` is False; all are named.
    """
    bad = []
    for zoo in zoos:
        rows = rows_of_split(zoo, None, skipped)
        networks = read_networks([zoo], [rows], [spec])
        for start in range(0, len(rows), BLOCK):
            with torch.inference_mode():
                fine = model.readable(networks.select(slice(start, start + BLOCK)))
            problem = "its outputs on the functional's inputs are not finite"
            bad += [(zoo, zoo.ids[rows[start + place]], problem) for place in (~fine).nonzero().flatten().tolist()]
    return _left_out(bad, skip_bad)


def _left_out(bad: Sequence[tuple[Zoo, str, str]], skip_bad: bool) -> Skipped:
    if bad and not skip_bad:
        raise DataError.together(
            DataError(f"{zoo.path}:{name}", f"{problem}; leave such networks out with --on-bad skip")
            for zoo, name, problem in bad
        )
    return frozenset((str(zoo.path), name) for zoo, name, _ in bad)


def with_absolute_zoos(recipe: Recipe, zoos: Sequence[Path] = ()) -> Recipe:
    """Return the recipe with the paths of its zoos made absolute, so that a run finds them from any folder.

    Args:
        recipe: the recipe to change.
        zoos: paths of zoos that replace the recipe's; by default the recipe's are kept.

    Raises:
        RecipeError: a path is not UTF-8.
    """
    paths = tuple(str(Path(path).absolute()) for path in (zoos or recipe.data.zoo))
    for path in paths:
        if unicode_text(path) != path:
            raise RecipeError("data.zoo", f"{path} is not UTF-8, which a recipe is written in; rename the folder")
    return recipe.model_copy(update={"data": recipe.data.model_copy(update={"zoo": paths})})
