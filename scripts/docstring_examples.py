"""Show the examples of docstrings as code: a griffe extension for the Python reference (mkdocs.yml)."""

import re
from typing import Any

from griffe import Extension

_DOCTEST = re.compile(r"(?:^>>> .*\n?(?:^(?!\s*$).*\n?)*)+", re.MULTILINE)


def fenced(text: str) -> str:
    r"""Return a docstring with its doctests in fences, which Markdown would take for quotations.

    >>> fenced("Add.\n\n>>> add(1, 2)\n3\n")
    'Add.\n\n```pycon\n>>> add(1, 2)\n3\n```\n'
    """
    return _DOCTEST.sub(lambda found: f"```pycon\n{found[0].rstrip()}\n```\n", text)


class DocstringExamples(Extension):
    """Rewrites docstrings when they are loaded."""

    def on_object(self, *, obj: Any, **_: Any) -> None:
        """Put the doctests of an object's docstring into fences."""
        if obj.docstring is not None:
            obj.docstring.value = fenced(obj.docstring.value)
