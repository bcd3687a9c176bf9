"""Names of a package that are imported on first use, so that importing the package imports neither torch nor polars."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the function ``__getattr__`` of a package.

    Its ``__init__.py`` imports the same names below ``if TYPE_CHECKING``, for type checkers and editors, and lists them
    in ``__all__``; a test compares the three.

    Args:
        package: the name of the package, its ``__name__``.
        homes: by module, the names that it defines, with spaces between.

    >>> lazy_names("example", {"math": "pi tau"})("pi") > 3
    True
    """
    home = {name: module for module, names in homes.items() for name in names.split()}

    def __getattr__(name: str) -> Any:  # noqa: N807 - Python's name for it
        if name not in home:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        return getattr(import_module(home[name]), name)

    return __getattr__
