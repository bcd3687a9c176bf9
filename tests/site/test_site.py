"""The built site (``make site``) is whole without a network: every link leads somewhere, and nothing is requested."""

import re
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import pytest
from pages import ROOT

SITE = ROOT / "site"
LOADS = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "object": "data"}
"""Elements that make a browser load something, and the attribute that says what."""


class Page(HTMLParser):
    """The links, the anchors and the files of a page."""

    def __init__(self, text):
        super().__init__()
        self.links, self.anchors, self.loads = [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.anchors |= {found[name] for name in ("id", "name") if found.get(name)}
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        if tag in LOADS and found.get(LOADS[tag]) and found.get("rel") not in ("canonical", "next", "prev"):
            self.loads.append(found[LOADS[tag]])


def faults(pages, exists):
    """Return what is wrong on pages, by path, given whether a file exists."""
    found = []
    for path, page in pages.items():
        found += [f"{path} requests {load}" for load in page.loads if urlsplit(load).scheme in ("http", "https")]
        found += [f"{path} requests {load}" for load in page.loads if load.startswith("//")]
        for link in [*page.links, *page.loads]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not exists(target):
                found.append(f"{path} links to {link}, which is missing")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                found.append(f"{path} links to {link}, which has no such place")
    return found


@pytest.mark.docs
def test_every_link_leads_somewhere_and_nothing_is_requested():
    assert SITE.is_dir(), "make site builds it"
    pages = {path.resolve(): Page(path.read_text()) for path in SITE.rglob("*.html") if path.name != "404.html"}
    assert len(pages) > 30 and not faults(pages, lambda path: path.exists())
    styles = [path for path in SITE.rglob("*.css") if re.search(r"url\(['\"]?(https?:)?//|@import", path.read_text())]
    assert not styles


@pytest.mark.docs
def test_every_exported_name_is_in_the_python_reference():
    import mnfn_cli

    text = "".join(path.read_text() for path in (SITE / "reference" / "python").glob("*.html"))
    missing = [name for name in mnfn_cli.__all__ if not name.startswith("__") and f'.{name}"' not in text]
    assert not missing


def test_faults_are_found(tmp_path):
    one, other = tmp_path / "one.html", tmp_path / "other.html"
    text = (
        '<a href="other.html#there">x</a><a href="gone.html">y</a><script src="https://a.b/c.js"></script><p id=here>'
    )
    pages = {one: Page(text), other: Page('<p id="elsewhere"><a href="one.html#here">z</a><a href="https://a.b">w</a>')}
    said = faults(pages, lambda path: path in pages)
    assert [what.split(" ", 1)[1] for what in said] == [
        "requests https://a.b/c.js",
        "links to other.html#there, which has no such place",
        "links to gone.html, which is missing",
    ]
