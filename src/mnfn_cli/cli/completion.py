"""Shell completion of options and arguments. Nothing here imports torch."""

from collections.abc import Iterable, Mapping
from typing import Any

import typer

from mnfn_cli.symmetry import CLASSIFIER_ACTIVATIONS, GROUP_OF_ACTIVATION

Offers = list[str] | list[tuple[str, str]]

DEVICES = {
    "auto": "the first CUDA device, or the CPU where there is none",
    "cpu": "the CPU",
    "cuda": "the first CUDA device",
    "cuda:0": "the CUDA device of this number",
}


def recipes(incomplete: str) -> Offers:
    """Offer the names of shipped recipes, with their summaries."""
    from mnfn_cli.recipe import list_recipes

    return [(entry.name, entry.summary) for entry in list_recipes() if entry.name.startswith(incomplete)]


def activations(incomplete: str) -> Offers:
    """Offer the activations of classifiers."""
    return _starting(CLASSIFIER_ACTIVATIONS, incomplete)


def every_activation(incomplete: str) -> Offers:
    """Offer the activations of all networks that can be read."""
    return _starting(GROUP_OF_ACTIVATION, incomplete)


def devices(incomplete: str) -> Offers:
    """Offer names of devices, without asking torch which of them exist."""
    return [(name, text) for name, text in DEVICES.items() if name.startswith(incomplete)]


def overrides(ctx: typer.Context, incomplete: str) -> Offers:
    """Offer ``KEY=`` for every key of the recipe that was named, and after ``model.name=`` the names of models."""
    key, equals, value = incomplete.partition("=")
    if equals:
        return [f"{key}={name}" for name in _values(ctx, key, value)]
    # Bash makes the equals sign a word of its own, which typer drops if it is the last one.
    words: list[str] = ctx.params.get("overrides") or []
    *before, last = ["", *words]
    if last == "=":
        return _values(ctx, before[-1], incomplete)
    if last and "=" not in last and before[-1] != "=":
        return _values(ctx, last, incomplete)
    return _starting((f"{name}=" for name in _keys(_document(ctx))), incomplete)


def _document(ctx: typer.Context) -> Mapping[str, Any]:
    """Return the contents of the recipe that the command line names; empty if there is none or it cannot be read."""
    from mnfn_cli.errors import MnfnError
    from mnfn_cli.recipe import load_recipe, recipe_to_document

    named = ctx.params.get("recipe")
    first = named[0] if isinstance(named, list | tuple) and named else named
    try:
        return recipe_to_document(load_recipe(first.partition(";")[0])) if isinstance(first, str) else {}
    except MnfnError:
        return {}


def _values(ctx: typer.Context, key: str, incomplete: str) -> list[str]:
    if key != "model.name":
        return []
    from mnfn_cli.recipe import MODELS

    task = _document(ctx).get("task")
    names = {name for known, models in MODELS.items() if task in (known, None) for name in models}
    return _starting(sorted(names), incomplete)


def _keys(document: Mapping[str, Any], prefix: str = "") -> list[str]:
    keys = []
    for name, value in document.items():
        keys += _keys(value, f"{prefix}{name}.") if isinstance(value, Mapping) else [f"{prefix}{name}"]
    return keys


def _starting(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
