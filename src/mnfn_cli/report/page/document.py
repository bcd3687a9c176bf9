"""The page around the sections: its head with styles, script and security policy, its title and its contents."""

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from importlib.resources import files

from mnfn_cli.report.page.markup import Content, Markup, element, join
from mnfn_cli.report.page.section import Section
from mnfn_cli.report.page.tables import short
from mnfn_cli.version import __version__


def title_of(names: Sequence[str]) -> str:
    """Return a title of the names of what is reported.

    >>> title_of(["zoo", "relu", "hnp", "robustness"])
    'zoo, relu and 2 more'
    """
    if len(names) < 3:
        return " and ".join(names)
    return f"{names[0]}, {names[1]} and {len(names) - 2} more"


def document(sections: Sequence[Section], title: str) -> str:
    """Return the whole page as HTML, without a date: the same sections give the same text.

    It holds all styles, the script and all pictures. Its policy forbids the browser to load anything, and to run any
    other script or apply any other style than these two, which it names by their hashes.

    Args:
        sections: what is reported, in the order of the page.
        title: the title of the page.
    """
    anchors = [f"part-{number}" for number in range(1, len(sections) + 1)]
    style, script = (_packaged(name) for name in ("page.css", "page.js"))
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_policy(style, script)),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="generator", content=f"mnfn {__version__}"),
        element("title", title),
        element("link", rel="icon", href="data:,"),
        element("style", style),
    )
    counts = dict.fromkeys(section.kind for section in sections)
    kinds = [_many(sum(one.kind == kind for one in sections), kind) for kind in counts]
    top = element(
        "header",
        element("p", "mnfn report", class_="brand"),
        element("h1", short(title, 120)),
        element("p", ", ".join(kinds), class_="lead"),
        class_="top",
    )
    main = element("main", [section.markup(anchor) for section, anchor in zip(sections, anchors, strict=True)])
    foot = element("footer", f"Made by mnfn {__version__}. This page is whole in itself and asks for nothing.")
    body = element("body", top, _contents(sections, anchors), main, foot, element("script", script))
    return join(Markup("<!doctype html>\n"), element("html", head, body, lang="en"), "\n")


def _contents(sections: Sequence[Section], anchors: Sequence[str]) -> Content:
    if len(sections) < 2:
        return None
    entries = [
        element("li", element("a", element("span", one.kind, class_="kind"), short(one.title, 40), href=f"#{anchor}"))
        for one, anchor in zip(sections, anchors, strict=True)
    ]
    return element("nav", element("h2", "Contents"), element("ol", entries), aria_label="Contents")


def _many(count: int, kind: str) -> str:
    words = {"predictions": ("table of predictions", "tables of predictions")}
    one, many = words.get(kind, (kind, f"{kind}s"))
    return f"{count} {one if count == 1 else many}"


def _policy(style: str, script: str) -> str:
    hashes = [b64encode(sha256(content.encode()).digest()).decode() for content in (style, script)]
    allowed = f"style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; img-src data:"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


def _packaged(name: str) -> Markup:
    """Return a file of this package, which goes into the page as it is."""
    return Markup(files("mnfn_cli.report.page").joinpath(name).read_text("utf-8"))
