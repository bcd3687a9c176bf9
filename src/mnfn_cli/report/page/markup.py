"""Build HTML from elements. Every text that is not ``Markup`` already is escaped, here and nowhere else."""

from collections.abc import Iterable
from html import escape

from mnfn_cli.errors import one_line

VOID = frozenset({"img", "link", "meta"})
"""The elements that have no content and no end tag."""


class Markup(str):
    """A text that is HTML: what ``element`` returned, or a constant of this package."""

    __slots__ = ()


Content = str | int | Iterable["Content"] | None
"""What an element may contain: text, elements, or any nesting of these; None is nothing."""


def element(name: str, /, *content: Content, **attributes: str | int | bool | None) -> Markup:
    """Return an element.

    Args:
        name: the name of the element.
        content: its content; texts that are not ``Markup`` are escaped.
        attributes: its attributes. Underscores in names become hyphens, and one at the end is dropped (``class_``).
            True is an attribute without a value; None and False leave it out.

    >>> element("p", "a < b, ", element("b", "bold"), class_="x")
    '<p class="x">a &lt; b, <b>bold</b></p>'
    """
    start = name
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        start += " " + key.rstrip("_").replace("_", "-")
        start += "" if value is True else f'="{text(value)}"'
    inner = join(*content)
    return Markup(f"<{start}>" if name in VOID else f"<{start}>{inner}</{name}>")


def join(*content: Content) -> Markup:
    """Return content one after the other, without an element around it."""
    return Markup("".join(_pieces(content)))


def text(value: object) -> Markup:
    r"""Return a value as HTML, also inside the quotes of an attribute.

    Control characters, those that change the direction of writing, and halves of surrogate pairs are written as
    escapes; line breaks stay.

    >>> text('<script>\x00"')
    '&lt;script&gt;\\x00&quot;'
    """
    return Markup(escape("\n".join(map(one_line, str(value).split("\n")))))


def _pieces(content: Content) -> Iterable[str]:
    if content is None:
        return
    if isinstance(content, Markup):
        yield content
    elif isinstance(content, str | int | float):
        yield text(content)
    else:
        for piece in content:
            yield from _pieces(piece)
