"""A recipe survives being written and read."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mnfn_cli.recipe import parse_recipe, recipe_to_document, recipe_to_yaml
from mnfn_cli.recipe.reader import read_text

_counts = st.integers(1, 2**31 - 1)
_rates = st.floats(0, allow_infinity=False, exclude_min=True)
_paths = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
_groups = st.sampled_from(
    [
        {"activation": "relu", "invariant": "normalize"},
        {"activation": "tanh", "invariant": "absolute"},
        {"activation": "sin", "invariant": "absolute", "sign_terms": True},
    ]
)
_models = st.builds(
    lambda group, options: {"name": "monomial", **group, **options},
    _groups,
    st.fixed_dictionaries(
        {"channels": st.lists(_counts, min_size=1, max_size=4), "head": st.tuples(_counts, _counts)},
        optional={"dropout": st.floats(0, 1, exclude_max=True), "canonicalize": st.booleans()},
    ),
)
_recipes = st.fixed_dictionaries(
    {
        "version": st.just(1),
        "task": st.just("generalization"),
        "model": _models,
        "optimizer": st.fixed_dictionaries(
            {"name": st.just("adam"), "lr": _rates}, optional={"weight_decay": _rates, "warmup_steps": _counts}
        ),
        "training": st.fixed_dictionaries(
            {"batch_size": _counts}, optional={"seed": st.integers(0, 2**63 - 1), "precision": st.just("fp64")}
        ).flatmap(lambda training: st.sampled_from(["epochs", "steps"]).map(lambda key: {**training, key: 5})),
    },
    optional={
        "data": st.fixed_dictionaries({"zoo": st.lists(_paths, max_size=3) | _paths}),
        "augment": st.fixed_dictionaries({}, optional={"scale": st.tuples(_rates, _rates).map(sorted)}),
    },
)


@given(_recipes)
def test_yaml_round_trip(document: dict[str, Any]) -> None:
    recipe = parse_recipe(document, "a test")
    read = read_text(recipe_to_yaml(recipe), "a test")
    assert read.faults == ()
    assert parse_recipe(read.content, "a test") == recipe
    assert read.content == recipe_to_document(recipe)


def test_the_document_is_full_and_plain(document: dict[str, Any]) -> None:
    assert recipe_to_document(parse_recipe(document, "a test")) == {
        "version": 1,
        "task": "generalization",
        "data": {"zoo": []},
        "model": {
            "name": "monomial",
            "channels": [4],
            "head": [8, 8],
            "activation": "relu",
            "invariant": "normalize",
            "sign_terms": False,
            "layer": "linear",
            "hnp_channels": [],
            "dropout": 0.0,
            "canonicalize": False,
            "statistics": [],
        },
        "optimizer": {"name": "adam", "lr": 0.01, "warmup_steps": 0, "schedule": "constant", "weight_decay": 0.0},
        "training": {"steps": 3, "batch_size": 2, "calibration": 0.5, "seed": 0, "precision": "fp32"},
    }


def test_sections_keep_the_order_of_the_schema(document: dict[str, Any]) -> None:
    text = recipe_to_yaml(parse_recipe(dict(reversed(document.items())) | {"augment": {}}, "a test"))
    starts = [line.split(":")[0] for line in text.splitlines() if not line.startswith(" ")]
    assert starts == ["version", "task", "data", "model", "augment", "optimizer", "training"]
