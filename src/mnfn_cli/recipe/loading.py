"""Load and check recipes. All faults of a recipe are reported together."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import yaml
from pydantic import ValidationError

from mnfn_cli.errors import RecipeError
from mnfn_cli.recipe.catalogue import find_recipe
from mnfn_cli.recipe.messages import plain_faults
from mnfn_cli.recipe.overrides import apply_overrides, override_key
from mnfn_cli.recipe.reader import read_file
from mnfn_cli.recipe.schema import Recipe
from mnfn_cli.recipe.yaml12 import CoreDumper


def load_recipe(name_or_path: str, overrides: Sequence[str] = ()) -> Recipe:
    """Load a shipped recipe or a recipe file, and apply overrides.

    Args:
        name_or_path: the name of a shipped recipe, such as ``generalization/relu-monomial``, or the path of a file.
        overrides: texts ``key=value``, such as ``optimizer.lr=1e-3``; see :func:`apply_overrides`.

    Returns:
        the recipe, with defaults for the keys that it leaves out.

    Raises:
        RecipeError: there is no such recipe, or the recipe or an override is wrong. All faults are named, each on a
            line ``FILE:key: what is wrong, what to do``.
        StorageError: the file cannot be read.

    >>> load_recipe("generalization/relu-monomial", ["training.epochs=5"]).training.epochs
    5
    """
    path = find_recipe(name_or_path)
    document = read_file(path)
    content = apply_overrides(document.content, overrides)
    faults = list(document.faults)
    try:
        recipe = parse_recipe(content, str(path), [override_key(override) for override in overrides])
    except RecipeError as error:
        faults.append(error)
    if faults:
        raise RecipeError.together(faults)
    return recipe


def parse_recipe(document: Mapping[str, Any], where: str, overridden: Collection[str] = ()) -> Recipe:
    """Check the keys and values of a recipe.

    Args:
        document: the sections and values of the recipe, as :func:`recipe_to_document` returns them.
        where: the name of the recipe in errors, usually its file.
        overridden: dotted keys that come from overrides; errors about them name the override and not the file.

    Returns:
        the recipe, with defaults for the keys that it leaves out.

    Raises:
        RecipeError: a key or a value is wrong. All faults are named, each on a line.

    >>> parse_recipe({"version": 1, "task": "generalization"}, "my.yaml")
    Traceback (most recent call last):
    mnfn_cli.errors.RecipeError: my.yaml:model: missing
    my.yaml:optimizer: missing
    my.yaml:training: missing
    """
    try:
        return Recipe.model_validate(dict(document), context={"task": document.get("task")})
    except ValidationError as error:
        raise RecipeError.together(plain_faults(error, document, where, overridden)) from None


def recipe_to_document(recipe: Recipe) -> dict[str, Any]:
    """Return every key of ``recipe`` with its value, defaults too, as dicts, lists and plain values.

    What is None in the recipe is absent. :func:`parse_recipe` of the document gives ``recipe`` again.

    Args:
        recipe: the recipe.

    Returns:
        the sections, as ``parse_recipe`` reads them.

    >>> from mnfn_cli.recipe import load_recipe, recipe_to_document
    >>> recipe_to_document(load_recipe("generalization/relu-monomial"))["training"]["epochs"]
    50
    """
    return recipe.model_dump(mode="json", exclude_none=True)


def recipe_to_yaml(recipe: Recipe) -> str:
    """Return ``recipe`` as YAML text, in the order of the schema, that reads back as the same recipe.

    Args:
        recipe: the recipe.

    Returns:
        the text.

    >>> from mnfn_cli.recipe import load_recipe, recipe_to_yaml
    >>> recipe_to_yaml(load_recipe("generalization/relu-monomial")).splitlines()[0]
    'version: 1'
    """
    return yaml.dump(
        recipe_to_document(recipe),
        Dumper=CoreDumper,
        default_flow_style=None,
        sort_keys=False,
        allow_unicode=True,
        width=110,
    )
