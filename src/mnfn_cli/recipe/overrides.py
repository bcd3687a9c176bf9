"""Overrides: texts ``key=value`` that replace values of a recipe."""

import copy
from collections.abc import Iterable
from typing import Any

from mnfn_cli.errors import RecipeError
from mnfn_cli.recipe.reader import read_value


def override_key(override: str) -> str:
    """Return the dotted key of an override.

    >>> override_key("optimizer.lr=1e-3")
    'optimizer.lr'
    """
    return override.partition("=")[0]


def apply_overrides(document: dict[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """Return a copy of ``document`` with the overrides applied in order.

    The key of an override is dotted, and missing sections are added. The value is YAML; null removes the key. Unknown
    keys are accepted here and refused by :func:`parse_recipe`.

    Args:
        document: the sections and values of a recipe.
        overrides: texts such as ``optimizer.lr=1e-3``.

    Returns:
        the changed copy.

    Raises:
        RecipeError: an override does not have the form ``key=value``, its value is not YAML, or a part of its key is a
            value and not a section. All such overrides are named.

    >>> apply_overrides({"training": {"epochs": 50}}, ["training.epochs=5", "augment.scale=[1, 1e4]"])
    {'training': {'epochs': 5}, 'augment': {'scale': [1, 10000.0]}}
    """
    changed = copy.deepcopy(document)
    faults = []
    for override in overrides:
        try:
            _apply(changed, override)
        except RecipeError as fault:
            faults.append(fault)
    if faults:
        raise RecipeError.together(faults)
    return changed


def _apply(document: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    where = "override " + (key or override or "''")
    *sections, name = key.split(".")
    if not equals or not all([*sections, name]):
        raise RecipeError(where, "an override has the form key=value, such as optimizer.lr=1e-3")
    if not text.strip():
        raise RecipeError(where, "no value after '='; write null to remove the key")
    value = read_value(text, where)
    section = document
    for depth, part in enumerate(sections, start=1):
        if section.get(part) is None:
            section[part] = {}
        section = section[part]
        if not isinstance(section, dict):
            path = ".".join(sections[:depth])
            raise RecipeError(where, f"'{path}' is a value in the recipe, not a section")
    if value is None and name in section:
        del section[name]
    else:
        section[name] = value  # a null that removes nothing stays, so that the schema sees a misspelt key
