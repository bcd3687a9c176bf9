"""Small pictures inside the page: inputs that a functional has learned, and pictures that networks encode."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from io import BytesIO

from torch import Tensor

from mnfn_cli.report.page.markup import Content, Markup, element
from mnfn_cli.report.page.tables import short
from mnfn_cli.report.pictures import to_image


def image(tensor: Tensor, description: str) -> Markup:
    """Return a picture ``(1 or 3, height, width)`` on [-1, 1] as an element that carries its own PNG file."""
    drawn = to_image(tensor)
    drawn = drawn.convert("L") if len(tensor) == 1 and not tensor.isnan().any() else drawn
    content = BytesIO()
    drawn.save(content, format="PNG", optimize=True)
    source = f"data:image/png;base64,{b64encode(content.getvalue()).decode()}"
    return element("img", src=source, alt=description, width=drawn.width, height=drawn.height)


def tiles(pictures: Sequence[Tensor], descriptions: Sequence[str], captions: Sequence[Content]) -> Markup:
    """Return pictures beside each other, each with a caption; they go on below where there is no more room."""
    triples = zip(pictures, descriptions, captions, strict=True)
    shown = [
        element("li", image(picture, described), element("span", caption)) for picture, described, caption in triples
    ]
    return element("ul", shown, class_="tiles")


def picture_table(rows: Mapping[str, Tensor], caption: str, titles: Sequence[Content] = ()) -> Markup:
    """Return a table of pictures, whose columns are versions of one picture, in a box that scrolls.

    Args:
        rows: by the row's name, pictures ``(n, channels, height, width)`` on [-1, 1]; as many in each row.
        caption: what they are.
        titles: a heading for each column.
    """
    head = element("thead", element("tr", element("td"), [element("th", title, scope="col") for title in titles]))
    body = []
    for name, pictures in rows.items():
        cells = [element("td", image(one, f"{name}, picture {number}")) for number, one in enumerate(pictures, 1)]
        body.append(element("tr", element("th", short(name), scope="row"), cells))
    table = element("table", element("caption", caption), head if titles else None, element("tbody", body))
    return element("div", table, class_="wide pictures", tabindex=0, role="region", aria_label=caption)
