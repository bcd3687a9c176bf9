"""Turn matplotlib figures into inline SVG that follows the page: its colours, its fonts and its security policy.

The policy of the page forbids styles on elements, so they become presentation attributes. The colours of ``INKS``
become classes, to which the page gives other colours in a dark scheme. The same figure gives the same bytes.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings, simplefilter
from xml.etree import ElementTree

from mnfn_cli.report.page.markup import Content, Markup, element

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INKS: Mapping[str, str] = {
    "#101010": "ink",
    "#202020": "faint",
    "#303030": "line",
    "#404040": "paper",
    **{f"#5050{number:02x}": f"c{number}" for number in range(8)},
}
"""The colours with which charts are drawn, by the name of the class that colours them on the page."""
COLOUR: Mapping[str, str] = {name: colour for colour, name in INKS.items()}
"""The colours to draw with, by name: ``ink`` for texts, ``faint`` for what stands back, ``line`` for axes and grids,
``paper`` for the background, and ``c0`` to ``c7`` for data."""

_SETTINGS: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "mnfn",
    "text.parse_math": False,
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9,
    "legend.fontsize": 8.5,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "text.color": COLOUR["ink"],
    "axes.labelcolor": COLOUR["faint"],
    "axes.titlecolor": COLOUR["ink"],
    "axes.edgecolor": COLOUR["line"],
    "xtick.color": COLOUR["line"],
    "ytick.color": COLOUR["line"],
    "xtick.labelcolor": COLOUR["faint"],
    "ytick.labelcolor": COLOUR["faint"],
    "grid.color": COLOUR["line"],
    "grid.linewidth": 0.5,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.handlelength": 1.2,
    "lines.linewidth": 1.6,
    "axes.unicode_minus": True,
}
WIDTH, HEIGHT = 4.1, 2.7
"""The usual size of a chart in inches; at this width its text is of readable size on a phone."""

_SVG, _LINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"
_NUMBER = re.compile(r"-?\d+\.\d{2,}")
_REFERENCE = re.compile(r"^(?:url\()?#([^)]+)\)?$")


class Chart:
    """A chart that is being drawn on ``axes``; ``svg`` is there when the block of ``charting`` has ended."""

    def __init__(self, axes: "Axes") -> None:
        self.axes = axes
        self.svg = Markup()


@contextmanager
def charting(name: str, description: str, width: float = WIDTH, height: float = HEIGHT) -> Iterator[Chart]:
    """Yield a chart to draw on.

    Args:
        name: a text that no other chart of the page has, of letters, digits and hyphens; ids in the SVG begin with it.
        description: what the chart shows, for those who cannot see it.
        width, height: the size of the figure in inches.
    """
    from cycler import cycler
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    colours = [COLOUR[f"c{number}"] for number in range(8)]

    with rc_context({**_SETTINGS, "axes.prop_cycle": cycler(color=colours)}), catch_warnings():
        simplefilter("ignore")  # of glyphs, which a browser has for all languages, and of axes without numbers
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(figure)
        chart = Chart(figure.add_subplot())
        yield chart
        drawn = BytesIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(drawn, format="svg", transparent=True, metadata=nothing)
    chart.svg = _inline(ElementTree.fromstring(drawn.getvalue()), name, description)


def _inline(root: ElementTree.Element, name: str, description: str) -> Markup:
    used = {found for node in root.iter() for value in node.attrib.values() if (found := _referred(value))}
    body = [_rebuilt(child, name, used) for child in root]
    return element("svg", body, viewBox=root.get("viewBox"), role="img", aria_label=description, class_="chart")


def _referred(value: str) -> str | None:
    found = _REFERENCE.match(value)
    return found[1] if found else None


def _rebuilt(node: ElementTree.Element, name: str, used: set[str]) -> Content:
    tag = str(node.tag).removeprefix(_SVG)
    if tag in ("metadata", "style"):
        return None
    inside = [_rebuilt(child, name, used) for child in node]
    if tag == "defs" and not any(inside):
        return None
    attributes: dict[str, str] = {}
    classes: list[str] = []
    for key, value in (*node.attrib.items(), *_styles(node.attrib.get("style", ""))):
        if key == "style" or (key == "id" and value not in used) or value.startswith("rotate(-0 "):
            continue
        if colour := INKS.get(value):
            classes.append(f"{key}-{colour}")
        elif key == "id":
            attributes[key] = f"{name}-{value}"
        elif found := _referred(value):
            attributes[key.replace(_LINK, "href")] = value.replace(f"#{found}", f"#{name}-{found}")
        else:
            attributes[key] = _NUMBER.sub(lambda number: f"{float(number[0]):.1f}", value)
    if classes:
        attributes["class"] = " ".join(classes)
    if tag == "path":
        if attributes.get("fill") == "none" and not classes and "stroke" not in attributes:
            return None  # the background
        if "d" not in attributes:
            return None  # nothing to draw, such as a line whose numbers are all missing
        attributes["d"] = " ".join(attributes["d"].split())
    content = [node.text if tag == "text" else None, *inside]
    if tag == "g" and not attributes:
        return content
    return element(tag, *content, **attributes)


def _styles(style: str) -> Iterator[tuple[str, str]]:
    """Yield the declarations of a style attribute, but for fonts: the page has its own."""
    for declaration in filter(None, map(str.strip, style.split(";"))):
        key, _, value = declaration.partition(":")
        if key.strip() == "font":  # of earlier versions, with the size before the family
            yield "font-size", value.split()[0]
        elif key.strip() != "font-family":
            yield key.strip(), value.strip()
