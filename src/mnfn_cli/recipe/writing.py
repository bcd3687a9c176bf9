"""A recipe back to a document and to YAML, as a run folder keeps it."""

from typing import Any

import yaml

from mnfn_cli.recipe.schema import Recipe
from mnfn_cli.recipe.yaml12 import CoreDumper


def recipe_to_document(recipe: Recipe) -> dict[str, Any]:
    """Return every key of ``recipe`` with its value, defaults too, as dicts, lists and plain values.

    What is None in the recipe is absent. :func:`parse_recipe` of the document gives ``recipe`` again.
    """
    return recipe.model_dump(mode="json", exclude_none=True)


def recipe_to_yaml(recipe: Recipe) -> str:
    """Return ``recipe`` as YAML text, in the order of the schema, that reads back as the same recipe."""
    return yaml.dump(
        recipe_to_document(recipe),
        Dumper=CoreDumper,
        default_flow_style=None,
        sort_keys=False,
        allow_unicode=True,
        width=110,
    )
