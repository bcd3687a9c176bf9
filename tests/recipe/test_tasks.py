"""Recipes of every task: which models and keys each has, and what is said when they do not fit."""

from typing import Any

import pytest

from mnfn_cli.errors import RecipeError
from mnfn_cli.recipe import MODELS, list_recipes, load_recipe, parse_recipe, recipe_to_yaml
from mnfn_cli.recipe.reader import read_text

_STACK = {"base_channels": [4]}
_HEADED = {**_STACK, "head": [8, 8]}
# The least that each model's section must hold.
_LEAST: dict[str, dict[str, Any]] = {
    "generalization/monomial": {"channels": [4], "head": [8, 8]},
    "generalization/statnn": {"head": [8, 8]},
    "generalization/np": {"channels": [4], "head": [8, 8]},
    "generalization/hnp": {"channels": [4], "head": [8, 8]},
    "generalization/gnn": {"size": 8, "rounds": 2, "head": [8, 8]},
    "generalization/mlp": {"head": [8, 8]},
    "generalization/statistics-mlp": {"head": [8, 8]},
    "generalization/learned-test-set": {},
    "generalization/trees": {"features": ["S"]},
    "classification/monomial": {**_HEADED, "channels": [4, 1]},
    "classification/absolute": _HEADED,
    "classification/hnp": _HEADED,
    "classification/np": _HEADED,
    "classification/mlp": {"hidden": [8]},
    "classification/graded": {"size": 4, "rounds": 1, "directions": 4, "head": [8, 8]},
    "classification/probe": {"points": 4, "hidden": [8]},
    "editing/monomial-strict": {**_STACK, "channels": [4, 2]},
    "editing/graded": {"nodes": 4, "edges": 2, "rounds": 1, "fourier": {"size": 2, "scale": 1}},
    "editing/monomial": _STACK,
    "editing/hnp": _STACK,
    "editing/np": _STACK,
    "editing/mlp": {"hidden": [8]},
}


def _recipe(key: str, data: Any = None, **options: Any) -> dict[str, Any]:
    task, name = key.split("/")
    return {
        "version": 1,
        "task": task,
        "data": data if data is not None else {"edit": "dilate"} if task == "editing" else {},
        "model": {"name": name, **_LEAST.get(key, {}), **options},
        "optimizer": {"name": "adam", "lr": 0.01},
        "training": {"steps": 3, "batch_size": 2},
    }


def _faults(document: dict[str, Any]) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(document, "r")
    return list(caught.value.faults)


def test_every_model_is_tested_here() -> None:
    assert set(_LEAST) == {f"{task}/{name}" for task, models in MODELS.items() for name in models}


@pytest.mark.parametrize("key", _LEAST)
def test_the_least_of_every_model(key: str) -> None:
    recipe = parse_recipe(_recipe(key), "r")
    assert type(recipe.model) is MODELS[recipe.task][recipe.model.name]
    options = recipe.model.options()
    assert "name" not in options
    least = {name: tuple(value) if isinstance(value, list) else value for name, value in _LEAST[key].items()}
    assert all(options[name] == value for name, value in least.items())


@pytest.mark.parametrize("key", [key for key, least in _LEAST.items() if least])
def test_what_every_model_requires(key: str) -> None:
    document = _recipe(key)
    document["model"] = {"name": document["model"]["name"]}
    assert sorted(_faults(document)) == sorted(f"r:model.{name}: missing" for name in _LEAST[key])


@pytest.mark.parametrize("entry", list_recipes(), ids=lambda entry: entry.name)
def test_every_shipped_recipe_survives_being_written(entry: Any) -> None:
    recipe = load_recipe(entry.name)
    assert parse_recipe(read_text(recipe_to_yaml(recipe), "r").content, "r") == recipe


def test_defaults_of_the_sign_models() -> None:
    monomial = parse_recipe(_recipe("classification/monomial"), "r").model.options()
    assert (monomial["activation"], monomial["sign_terms"], monomial["keep_input"]) == ("sin", True, False)
    assert (monomial["base"], monomial["dropout"], monomial["channel_dropout"]) == ("hnp", 0.0, 0.0)
    editor = parse_recipe(_recipe("editing/monomial"), "r").model.options()
    assert (editor["channels"], editor["sign_terms"]) == ((16, 1), True)
    strict = parse_recipe(_recipe("editing/monomial-strict"), "r").model.options()
    assert (strict["activation"], strict["sharpness"], strict["sign_terms"]) == ("sin", 10.0, True)


def test_nested_sections_are_handed_on_as_dicts_or_none() -> None:
    document = _recipe("editing/np", fourier={"size": 4, "scale": 1}, encoding=None)
    options = parse_recipe(document, "r").model.options()
    assert options["fourier"] == {"size": 4, "scale": 1.0}
    assert options["encoding"] is None


def test_overrides_reach_nested_sections() -> None:
    name = "editing/digits-dilate-np"
    assert load_recipe(name, ["model.fourier.scale=0.5"]).model.options()["fourier"]["scale"] == 0.5
    assert load_recipe(name, ["model.fourier=null"]).model.options()["fourier"] is None
    with pytest.raises(RecipeError, match=r"^override model\.fourier\.scal: unknown key, did you mean 'scale'\?"):
        load_recipe(name, ["model.fourier.scal=1"])


def test_the_schedule_and_validation() -> None:
    recipe = load_recipe("editing/digits-dilate-np", ["optimizer.schedule=constant", "training.validate_every=7"])
    assert (recipe.optimizer.schedule, recipe.training.validate_every) == ("constant", 7)
    assert load_recipe("generalization/relu-monomial").training.validate_every is None


@pytest.mark.parametrize("key", ["editing/absolute", "classification/monomial-strict", "generalization/absolute"])
def test_a_model_of_another_task(key: str) -> None:
    task, name = key.split("/")
    (fault,) = _faults(_recipe(key))
    assert fault == f"r:model.name: no model is called '{name}'; the models are {', '.join(MODELS[task])}"


@pytest.mark.parametrize("task", ["editing", "editting", 5])
@pytest.mark.parametrize("name", [None, 5, [1], {}])
def test_a_name_that_is_no_name(task: Any, name: Any) -> None:
    found = _faults(_recipe("editing/np") | {"task": task, "model": {"name": name}})
    assert sum(fault.startswith("r:model.name: ") for fault in found) == 1
    assert name is not None or any(fault.startswith("r:model.name: missing; the models are ") for fault in found)


def test_a_misspelt_task_is_the_only_fault_of_a_good_recipe() -> None:
    document = _recipe("editing/np") | {"task": "editting"}
    assert [fault.split(", not")[0] for fault in _faults(document)] == [
        "r:task: must be 'generalization', 'classification' or 'editing'"
    ]


def test_suggestions_are_keys_of_the_recipes_own_model() -> None:
    (fault,) = _faults(_recipe("editing/hnp", hiden=[4]))  # `hidden` is a key of the mlp alone
    assert fault == "r:model.hiden: unknown key, known here: name, fourier, encoding, base_channels"
    (fault,) = _faults(_recipe("classification/np", dropuot=0))
    assert fault == "r:model.dropuot: unknown key, did you mean 'dropout'?"


@pytest.mark.parametrize("data", [{}, {"edit": None}])
def test_an_editor_needs_an_edit(data: dict[str, Any]) -> None:
    assert _faults(_recipe("editing/np", data)) == ["r:data.edit: missing; an editor learns dilate or contrast"]


def test_an_editor_needs_the_section() -> None:
    document = _recipe("editing/np")
    del document["data"]
    assert _faults(document) == ["r:data.edit: missing; an editor learns dilate or contrast"]


@pytest.mark.parametrize("task", ["generalization", "classification"])
def test_other_tasks_have_no_edit(task: str) -> None:
    (fault,) = _faults(_recipe(f"{task}/monomial", {"edit": "dilate"}))
    assert fault == f"r:data.edit: only task editing has it, not {task}; leave it out"


def test_the_edit_is_checked_beside_the_other_faults_of_data() -> None:
    zoo = "r:data.zoo: a list such as [1, 2] is needed, not 5"
    assert _faults(_recipe("editing/np", {"zoo": 5}))[0] == zoo
    assert len(_faults(_recipe("editing/np", {"zoo": 5}))) == 2
    assert len(_faults(_recipe("classification/np", {"zoo": 5, "edit": "dilate"}))) == 2


_SIGN_MODELS = [
    "classification/monomial",
    "classification/absolute",
    "editing/monomial",
    "editing/monomial-strict",
    "editing/graded",
]


@pytest.mark.parametrize("key", _SIGN_MODELS)
def test_sign_models_are_for_networks_with_sign_flips(key: str) -> None:
    data = {"edit": "dilate"} if key.startswith("editing") else {}
    parse_recipe(_recipe(key, data | {"activation": "tanh"}), "r")
    (fault,) = _faults(_recipe(key, data | {"activation": "relu"}))
    assert fault == (
        f"r:model: '{key.split('/')[1]}' respects sign flips, but networks of 'relu' have scalings; "
        "change model.name or data.activation"
    )


@pytest.mark.parametrize("key", ["classification/np", "classification/hnp", "classification/mlp"])
def test_other_models_take_any_network(key: str) -> None:
    assert parse_recipe(_recipe(key, {"activation": "relu"}), "r").data.activation == "relu"
