"""What a valid recipe becomes."""

from typing import Any, get_args

import pytest
from pydantic import ValidationError

from mnfn_cli.recipe import MODELS, parse_recipe
from mnfn_cli.recipe.declaration import Model
from mnfn_cli.recipe.schema import dotted_keys


def test_defaults(document: dict[str, Any]) -> None:
    recipe = parse_recipe(document, "a test")
    assert recipe.data.zoo == ()
    assert recipe.data.activation is None
    assert recipe.augment is None
    assert (recipe.optimizer.warmup_steps, recipe.optimizer.weight_decay) == (0, 0.0)
    assert (recipe.training.epochs, recipe.training.seed, recipe.training.precision) == (None, 0, "fp32")


def test_options_are_the_model_without_its_name(document: dict[str, Any]) -> None:
    assert parse_recipe(document, "a test").model.options() == {
        "channels": (4,),
        "head": (8, 8),
        "activation": "relu",
        "invariant": "normalize",
        "sign_terms": False,
        "layer": "linear",
        "hnp_channels": (),
        "dropout": 0.0,
        "canonicalize": False,
        "statistics": (),
    }


def test_one_zoo_may_be_written_without_brackets(document: dict[str, Any]) -> None:
    assert parse_recipe(document | {"data": {"zoo": "zoos/a"}}, "a test").data.zoo == ("zoos/a",)


def test_an_empty_augment_is_there_and_has_no_scale(document: dict[str, Any]) -> None:
    augment = parse_recipe(document | {"augment": {}}, "a test").augment
    assert augment is not None
    assert augment.scale is None


def test_null_is_as_if_absent(document: dict[str, Any]) -> None:
    nulls = {"augment": None, "data": None, "training": document["training"] | {"epochs": None, "seed": None}}
    assert parse_recipe(document | nulls, "a test") == parse_recipe(document, "a test")


def test_whole_numbers_are_fine_where_reals_are_asked(document: dict[str, Any]) -> None:
    recipe = parse_recipe(document | {"optimizer": {"name": "adam", "lr": 1}}, "a test")
    assert type(recipe.optimizer.lr) is float


def test_a_recipe_is_frozen_and_hashable(document: dict[str, Any]) -> None:
    recipe = parse_recipe(document, "a test")
    with pytest.raises(ValidationError, match="frozen"):
        recipe.optimizer.lr = 1.0  # type: ignore[misc]
    assert hash(recipe) == hash(parse_recipe(document, "a test"))


@pytest.mark.parametrize("activation", ["tanh", "sin"])
def test_the_sign_group(document: dict[str, Any], activation: str) -> None:
    model = document["model"] | {"activation": activation, "invariant": "absolute", "sign_terms": True}
    recipe = parse_recipe(document | {"model": model, "data": {"activation": "tanh"}}, "a test")
    assert recipe.model.sign_terms


def test_the_dotted_keys_are_all_keys() -> None:
    keys = set(dotted_keys())
    assert {"version", "data.zoo", "model.channels", "augment.scale", "training.steps"} <= keys
    schemas = [schema for models in MODELS.values() for schema in models.values()]
    assert all(f"model.{name}" in keys for schema in schemas for name in schema.model_fields)
    assert "model.fourier.scale" in keys


def test_every_model_answers_to_its_name() -> None:
    for models in MODELS.values():
        for name, schema in models.items():
            assert issubclass(schema, Model)
            assert name in get_args(schema.model_fields["name"].annotation)


@pytest.mark.parametrize(("messages", "layer"), [(True, "messages"), (False, "linear")])
def test_older_recipes_name_the_layer_by_a_flag(messages: bool, layer: str) -> None:
    model = {"name": "monomial-strict", "channels": [4], "base_channels": [4], "messages": messages}
    assert MODELS["editing"]["monomial-strict"](**model).options()["layer"] == layer
    with pytest.raises(ValidationError, match="messages"):
        MODELS["editing"]["monomial-strict"](**model, layer="linear")
