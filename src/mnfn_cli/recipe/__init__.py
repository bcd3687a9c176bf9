"""Recipes: YAML files that say which model to train, on which zoos and how. This package does not import torch."""

from mnfn_cli.recipe.catalogue import CatalogueEntry, find_recipe, list_recipes
from mnfn_cli.recipe.declaration import Model
from mnfn_cli.recipe.loading import load_recipe, parse_recipe, recipe_to_document, recipe_to_yaml
from mnfn_cli.recipe.models import MODELS, declare_model
from mnfn_cli.recipe.overrides import apply_overrides
from mnfn_cli.recipe.schema import Augment, Data, Optimizer, Recipe, Training

__all__ = [
    "MODELS",
    "Augment",
    "CatalogueEntry",
    "Data",
    "Model",
    "Optimizer",
    "Recipe",
    "Training",
    "apply_overrides",
    "declare_model",
    "find_recipe",
    "list_recipes",
    "load_recipe",
    "parse_recipe",
    "recipe_to_document",
    "recipe_to_yaml",
]
