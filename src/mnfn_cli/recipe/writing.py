"""Convert a recipe to a dict and to YAML."""

from typing import Any

import yaml

from mnfn_cli.recipe.schema import Recipe
from mnfn_cli.recipe.yaml12 import CoreDumper


def recipe_to_document(recipe: Recipe) -> dict[str, Any]:
    """Return the recipe with all defaults as dicts, lists and plain values, without keys whose value is None.

    :func:`parse_recipe` turns the result into an equal recipe.
    """
    return recipe.model_dump(mode="json", exclude_none=True)


def recipe_to_yaml(recipe: Recipe) -> str:
    """Return the recipe with all defaults as YAML; reading it gives an equal recipe."""
    return yaml.dump(
        recipe_to_document(recipe),
        Dumper=CoreDumper,
        default_flow_style=None,
        sort_keys=False,
        allow_unicode=True,
        width=110,
    )
