"""The shipped recipes, and how a name or a path becomes a file."""

from pathlib import Path

import pytest

from mnfn_cli.errors import RecipeError
from mnfn_cli.recipe import catalogue, find_recipe, list_recipes, load_recipe

_PAPER = {
    "generalization/relu-monomial": ("relu", "normalize", (200, 200), False, "254,609"),
    "generalization/tanh-monomial": ("tanh", "absolute", (1000, 1000), False, "1,416,699"),
    "generalization/tanh-monomial-complete": ("tanh", "absolute", (1000, 1000), True, "1,423,739"),
}


@pytest.mark.parametrize("name", _PAPER)
def test_the_papers_recipes(name: str) -> None:
    activation, invariant, head, sign_terms, parameters = _PAPER[name]
    recipe = load_recipe(name)
    assert recipe.data.zoo == ()
    assert recipe.data.activation == recipe.model.activation == activation
    assert (recipe.model.invariant, recipe.model.channels) == (invariant, (16, 16, 5))
    assert (recipe.model.head, recipe.model.sign_terms) == (head, sign_terms)
    assert (recipe.optimizer.lr, recipe.training.batch_size, recipe.training.epochs) == (1e-3, 8, 50)
    assert f"# Parameters: {parameters}, " in find_recipe(name).read_text()


@pytest.mark.parametrize("entry", list_recipes(), ids=lambda entry: entry.name)
def test_every_shipped_recipe(entry: catalogue.CatalogueEntry) -> None:
    lines = entry.path.read_text().splitlines()
    assert lines[0] == f"# {entry.summary}"
    assert entry.summary
    assert any(f"mnfn train --recipe {entry.name} --zoo ZOO -o RUN" in line for line in lines)
    assert load_recipe(entry.name).task == entry.name.split("/")[0]
    order = ("version", "task", "data", "model", "augment", "optimizer", "training")
    sections = [line.lstrip("# ").split(":")[0] for line in lines if line.lstrip("# ").startswith(order)]
    assert sections == list(order)


def test_the_sign_groups_augmentation_needs_no_scale() -> None:
    assert load_recipe("generalization/tanh-monomial", ["augment={}"]).augment is not None


def test_a_path_is_a_path(tmp_path: Path) -> None:
    path = tmp_path / "mine"
    path.write_text("version: 1")
    assert find_recipe(str(path)) == path


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("generalisation/relu-monomial", "did you mean 'generalization/relu-monomial'?"),
        ("generalization/relu-monomial.yaml", "did you mean 'generalization/relu-monomial'?"),
        ("qqq.yaml", "mnfn recipe list names the shipped ones"),
        ("a" * 5000, "mnfn recipe list names the shipped ones"),
        ("a\0b", "mnfn recipe list names the shipped ones"),
    ],
)
def test_an_unknown_name(name: str, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecipeError, match="no shipped recipe and no file, ") as caught:
        find_recipe(name)
    assert advice in str(caught.value)


def test_a_name_does_not_lead_out_of_the_catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = tmp_path / "recipes"
    (shipped / "task").mkdir(parents=True)
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "file.yaml").write_text("version: 1")
    monkeypatch.setattr(catalogue, "_FOLDERS", (shipped,))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for name in ("task/../../secret/file", "../secret/file.yml", "task/../../secret/file.yaml"):
        with pytest.raises(RecipeError, match="no shipped recipe"):
            find_recipe(name)


def test_the_recipes_inside_a_wheel_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside, root = tmp_path / "_recipes", tmp_path / "recipes"
    monkeypatch.setattr(catalogue, "_FOLDERS", (inside, root))
    for folder in (root, inside):
        (folder / "task").mkdir(parents=True)
        (folder / "task" / "one.yaml").write_text(f"# In {folder.name}.\nversion: 1\n")
        assert [(entry.name, entry.summary) for entry in list_recipes()] == [("task/one", f"In {folder.name}.")]
