"""Build functionals by name or from a recipe, and apply them to any number of networks."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from math import ceil
from typing import Any

import torch
from torch import nn

from mnfn_cli.errors import UsageError
from mnfn_cli.models.functional import place_of
from mnfn_cli.models.shared import SharedFunctional
from mnfn_cli.recipe import MODELS, Model, Recipe, load_recipe
from mnfn_cli.runtime.processes import current
from mnfn_cli.symmetry import LAYER_ACTIVATIONS
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.mixed import Networks
from mnfn_cli.weightspace.spec import NetworkSpec

BLOCK = 256
"""The largest number of networks in a batch when a functional is applied."""
SHARES = 4
"""The number of batches of few networks, so that several processes can share them."""


def build_model(name: str, spec: NetworkSpec, **options: Any) -> nn.Module:
    """Build a complete functional with its published options.

    Args:
        name: the task and the model, such as ``generalization/monomial``.
        spec: the weight space of the networks that it reads.
        options: options of the model that replace the published ones.

    Returns:
        a module that maps raw weights ``(batch, 1, ...)`` to what the task needs: ``(batch,)``, ``(batch, classes)``
        or a change of the weights.

    Raises:
        UsageError: the name is unknown, or an option does not fit the weight space.

    >>> spec = NetworkSpec.cnn([1, 16, 16, 16], stride=2, outputs=10, activation="relu")
    >>> sum(parameter.numel() for parameter in build_model("generalization/monomial", spec).parameters())
    254609
    """
    declared = _declared_models().get(name)
    if declared is None:
        raise UsageError("build_model", f"unknown model '{name}'; known: {', '.join(_declared_models())}")
    if declared.published:
        published = declared.published.format(family=LAYER_ACTIVATIONS[spec.group][0])
        options = load_recipe(published).model.options() | options
    else:
        chosen = {key: value for key, value in options.items() if key in declared.model_fields}
        options = declared(name=name.partition("/")[2], **chosen).options() | options
    functional: nn.Module = declared.builder()(spec, **options)
    return functional


def build_functional(recipe: Recipe, specs: Sequence[NetworkSpec], facts: Mapping[str, Any]) -> nn.Module:
    """Build a recipe's model in the recipe's precision, initialised from torch's global random state.

    Args:
        recipe: the recipe, which names the model and its options.
        specs: the weight spaces of the networks that the model reads; for several it is a ``SharedFunctional``.
        facts: arguments of the model that depend on the zoos and not on the recipe (``Task.model_options``).

    Raises:
        UsageError: an option does not fit a weight space, or the model cannot read one beside the others.
    """
    build = partial(recipe.model.builder(), **recipe.model.options(), **facts)
    functional = build(specs[0]) if len(specs) == 1 else SharedFunctional(build, specs, recipe.model.shares)
    return functional.double() if recipe.training.precision == "fp64" else functional


def apply_functional(model: nn.Module, features: Networks) -> Any:
    """Apply a functional to any number of networks in batches, on its device, in its dtype, without gradients.

    Several processes that share the work take the batches in turn; these are the same for any number of processes.

    Args:
        model: a functional that maps raw weights to a tensor ``(batch, ...)``, or to a change of the weights.
        features: raw weights of the networks, ``(networks, 1, ...)``; ``MixedFeatures`` for a functional that reads
            several weight spaces. Memory-mapped weights are read batch by batch.

    Returns:
        the outputs of the model for all networks, moved to the CPU: a tensor ``(networks, ...)``, or
        ``WeightSpaceFeatures``.
    """
    size = min(BLOCK, ceil(max(features.batch, 1) / SHARES))
    own = [slice(start, start + size) for start in current().own(range(0, features.batch, size))]
    outputs = current().in_order(_side_by_side(_in_blocks(model, features, own), (len(own), size)))
    if not outputs:
        return torch.zeros(0)
    return WeightSpaceFeatures.cat(outputs) if isinstance(outputs[0], WeightSpaceFeatures) else torch.cat(outputs)


def _in_blocks(model: nn.Module, features: Networks, blocks: Iterable[slice]) -> Iterator[Any]:
    device, dtype = place_of(model)
    with torch.inference_mode():
        for rows in blocks:
            block = features.select(rows)
            yield model(block.to(device=device, dtype=dtype)).to(device="cpu")


def _side_by_side(outputs: Iterator[Any], room: tuple[int, int]) -> list[Any]:
    """Return the outputs as a list; tensors are collected in one, which is made after the first batch.

    A small tensor that stays, among the large ones that come and go with a batch, can leave a hole that the next batch
    does not fit into. Thousands of them made the process grow by hundreds of megabytes.

    Args:
        outputs: tensors of a number of networks ``(networks, ...)``, or features of as many.
        room: how many outputs there are, and the largest number of networks of one.
    """
    sizes: list[int] = []
    for output in outputs:
        if isinstance(output, WeightSpaceFeatures):
            return [output, *outputs]
        if not sizes:
            held = output.new_empty(*room, *output.shape[1:])
        held[len(sizes), : len(output)] = output
        sizes.append(len(output))
    return [rows[:size].clone() for rows, size in zip(held, sizes, strict=True)] if sizes else []


def _declared_models() -> dict[str, type[Model]]:
    return {f"{task}/{name}": model for task, models in MODELS.items() for name, model in models.items()}
