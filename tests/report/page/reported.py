"""The page of some paths, and texts that would do harm on it if they were not escaped."""

from mnfn_cli.report.page.document import document
from mnfn_cli.report.page.sources import find_sources, sections_of
from mnfn_cli.runtime.context import Context

ATTACKS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style><svg onload=alert(1)>",
    "'; alert(1); '",
    "$\\frac{1}{0}$ & <b>",
    "a\x07b\u202ec",
    "<!-- x",
    "]]>" + "long " * 50,
)


def page_of(*paths):
    return document(sections_of(find_sources(paths), Context()), "A title")
