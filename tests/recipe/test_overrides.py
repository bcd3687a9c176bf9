"""``key=value``: how it is read, and where it goes."""

import copy
from typing import Any

import pytest

from mnfn_cli.errors import RecipeError
from mnfn_cli.recipe import apply_overrides


@pytest.mark.parametrize(
    ("override", "section", "content"),
    [
        ("training.steps=1000", "training", {"steps": 1000, "batch_size": 2}),
        ("optimizer.lr=1e-3", "optimizer", {"name": "adam", "lr": 0.001}),
        ("model.channels=[8,8,5]", "model", {"name": "monomial", "channels": [8, 8, 5], "head": [8, 8]}),
        ("augment.scale=[1,1e4]", "augment", {"scale": [1, 10000.0]}),
        ("augment={}", "augment", {}),
        ("data.zoo=a=b", "data", {"zoo": "a=b"}),
        ("data.zoo=zoos/my zoo", "data", {"zoo": "zoos/my zoo"}),
        ("task='no'", "task", "no"),
    ],
)
def test_values(document: dict[str, Any], override: str, section: str, content: Any) -> None:
    assert apply_overrides(document, [override])[section] == content


def test_null_removes_a_key(document: dict[str, Any]) -> None:
    changed = apply_overrides(document, ["training.steps=null", "training.epochs=2", "optimizer=null"])
    assert changed["training"] == {"epochs": 2, "batch_size": 2}
    assert "optimizer" not in changed


def test_the_last_override_of_a_key_holds(document: dict[str, Any]) -> None:
    assert apply_overrides(document, ["training.steps=1", "training.steps=2"])["training"]["steps"] == 2


def test_a_null_section_is_a_section_to_make() -> None:
    assert apply_overrides({"augment": None}, ["augment.scale=[1,2]"]) == {"augment": {"scale": [1, 2]}}


def test_the_document_stays_as_it_is(document: dict[str, Any]) -> None:
    before = copy.deepcopy(document)
    apply_overrides(document, ["training.steps=7", "model=null", "augment.scale=[1,2]"])
    assert document == before


_FORM = "an override has the form key=value, such as optimizer.lr=1e-3"


@pytest.mark.parametrize(
    ("override", "fault"),
    [
        ("training.epochs", f"override training.epochs: {_FORM}"),
        ("", f"override '': {_FORM}"),
        ("=5", f"override =5: {_FORM}"),
        ("a..b=5", f"override a..b: {_FORM}"),
        (".lr=5", f"override .lr: {_FORM}"),
        ("lr.=5", f"override lr.: {_FORM}"),
        ("optimizer.lr=", "override optimizer.lr: no value after '='; write null to remove the key"),
        ("optimizer.lr=[1", "override optimizer.lr: not valid YAML: "),
        ("optimizer.lr=&a 1", "override optimizer.lr: the anchor '&a'; leave it out"),
        ("optimizer={lr: 1, lr: 2}", "override optimizer: the key 'lr' stands here a second time; keep one"),
        ("optimizer.lr=" + "[" * 3000, "override optimizer.lr: nested deeper than 20 levels"),
        ("task.name=x", "override task.name: 'task' is a value in the recipe, not a section"),
        ("model.head.first.x=1", "override model.head.first.x: 'model.head' is a value in the recipe, not a"),
        ("data.zoo=a\udc80", "override data.zoo: the character U+DC80 is not allowed"),
    ],
)
def test_faults(document: dict[str, Any], override: str, fault: str) -> None:
    with pytest.raises(RecipeError) as caught:
        apply_overrides(document, [override])
    (found,) = caught.value.faults
    assert found.startswith(fault)


def test_all_wrong_overrides_are_reported_together(document: dict[str, Any]) -> None:
    with pytest.raises(RecipeError) as caught:
        apply_overrides(document, ["a", "training.steps=5", "b=", "task.c=1"])
    assert [fault.split(":")[0] for fault in caught.value.faults] == ["override a", "override b", "override task.c"]
