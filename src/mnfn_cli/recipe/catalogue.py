"""The shipped recipes: ``recipes/`` at the root of a clone, ``mnfn_cli/_recipes`` in an installed wheel."""

import difflib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mnfn_cli.errors import RecipeError

_PACKAGE = Path(__file__).resolve().parents[1]
_FOLDERS = (_PACKAGE / "_recipes", _PACKAGE.parents[1] / "recipes")


@dataclass(frozen=True)
class CatalogueEntry:
    """A shipped recipe.

    Attributes:
        name: the task and the recipe, such as ``generalization/relu-monomial``.
        summary: the first line of comment in its file.
        path: the file.

    >>> from mnfn_cli.recipe import list_recipes
    >>> list_recipes()[0].name
    'classification/cifar10-hnp'
    """

    name: str
    summary: str
    path: Path


def list_recipes() -> list[CatalogueEntry]:
    """Return the shipped recipes, sorted by name.

    Returns:
        the name, the summary and the file of each.

    >>> [entry.name for entry in list_recipes() if "tanh-mono" in entry.name][:2]
    ['generalization/tanh-monomial', 'generalization/tanh-monomial-canonical']
    """
    return list(_recipes_in(next(folder for folder in _FOLDERS if folder.is_dir())))


@cache
def _recipes_in(folder: Path) -> tuple[CatalogueEntry, ...]:
    paths = {path.relative_to(folder).with_suffix("").as_posix(): path for path in folder.glob("*/*.yaml")}
    return tuple(CatalogueEntry(name, _summary(path), path) for name, path in sorted(paths.items()))


def find_recipe(name_or_path: str) -> Path:
    """Return the file of a recipe: of a shipped recipe by its name, else the file with this path.

    Args:
        name_or_path: the name of a shipped recipe, or the path of a file.

    Returns:
        the path of the file.

    Raises:
        RecipeError: there is neither a shipped recipe nor a file of this name. The message suggests a similar name.

    >>> from mnfn_cli.recipe import find_recipe
    >>> find_recipe("generalization/relu-monomial").name
    'relu-monomial.yaml'
    """
    shipped = {entry.name: entry.path for entry in list_recipes()}
    if name_or_path in shipped:
        return shipped[name_or_path]
    path = Path(name_or_path)
    if _exists(path):
        return path
    near = difflib.get_close_matches(name_or_path, shipped, n=1)
    advice = f"did you mean '{near[0]}'?" if near else "mnfn recipe list names the shipped ones"
    raise RecipeError(name_or_path, f"no shipped recipe and no file, {advice}")


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name too long or with a NUL byte is no file either
        return False


def _summary(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        return next((line.strip("# \n") for line in file if line.startswith("#")), "")
