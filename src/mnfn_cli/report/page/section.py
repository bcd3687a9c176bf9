"""A section of the page: what was reported, its numbers at a glance, and its figures and tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mnfn_cli.report.page.markup import Content, Markup, element
from mnfn_cli.report.page.tables import short


@dataclass(frozen=True)
class Section:
    """A section of the page.

    Args:
        kind: what is reported: a zoo, a run, and so on.
        path: where it is, as the user named it.
        facts: its numbers at a glance, by what they are.
        body: its figures, tables and texts.
        state: the state of a run, such as ``running``; empty for what has none.
        task: the task of a run or an evaluation; empty for what has none.
    """

    kind: str
    path: Path
    facts: Mapping[str, str]
    body: Sequence[Content]
    state: str = ""
    task: str = ""

    @property
    def title(self) -> str:
        """The name of the file or folder."""
        return self.path.name or str(self.path)

    def markup(self, anchor: str) -> Markup:
        """Return the section with the id ``anchor``."""
        badge = element("span", self.state, class_=f"state {self.state}") if self.state else None
        head = element(
            "header",
            element("p", element("span", " · ".join(filter(None, (self.kind, self.task))), class_="kind"), badge),
            element("h2", short(self.title), id=f"{anchor}-title"),
            element("p", str(self.path), class_="path"),
        )
        facts = element("dl", [_fact(name, value) for name, value in self.facts.items()], class_="facts")
        return element("section", head, facts, self.body, id=anchor, aria_labelledby=f"{anchor}-title")


def _fact(name: str, value: str) -> Markup:
    main, _, rest = value.partition(" [")
    more = element("small", f"[{rest}") if rest else None
    return element("div", element("dt", name), element("dd", short(main), more))


def figure(title: str, content: Content, caption: Content = None, class_: str | None = None) -> Markup:
    """Return a figure with a title above and a caption below."""
    below = element("figcaption", caption) if caption else None
    return element("figure", element("h3", title), content, below, class_=class_)


def figures(*shown: Content) -> Content:
    """Return figures beside each other; nothing if there are none."""
    present = [one for one in shown if one]
    return element("div", present, class_="figures") if present else None


def block(title: str, *content: Content) -> Markup:
    """Return content under a heading of its own."""
    return element("div", element("h3", title), content, class_="block")


def details(pairs: Mapping[str, Content]) -> Markup:
    """Return a list of terms with texts that may be long, such as command lines."""
    return element(
        "dl", [(element("dt", name), element("dd", value)) for name, value in pairs.items() if value], class_="details"
    )


def folded(title: str, content: str) -> Markup:
    """Return a text as it is, under a title that unfolds it."""
    return element("details", element("summary", title), element("pre", content, tabindex=0))
