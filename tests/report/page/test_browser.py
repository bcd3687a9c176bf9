"""The page in a real browser: Chromium of the distribution, as wide as a desktop and as a phone, in both schemes.

Playwright drives it (``pip install -e .[browser]``). Without either the tests are skipped, and say so.
"""

import os
import shutil

import pytest
from page_checks import CONTRAST, CUT_OFF, FOCUSABLE, OVERLAPPING, SORTED, WIDER
from reported import page_of

pytestmark = pytest.mark.docs
SIZES = {"desktop": (1440, 900), "phone": (390, 844)}


@pytest.fixture(scope="module")
def chromium():
    """A headless Chromium."""
    executable = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if executable is None:
        pytest.skip("no Chromium here (Debian: apt install chromium)")
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright here (pip install -e .[browser])")
    # Chromium's sandbox refuses root.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def file(everything, tmp_path_factory):
    """The page of everything."""
    path = tmp_path_factory.mktemp("pages") / "report.html"
    path.write_text(page_of(*everything))
    return path


class Opened:
    """A page that is open, with what it said on the console and what it asked for."""

    def __init__(self, browser, path, size, scheme):
        self.messages, self.requests = [], []
        width, height = SIZES[size]
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        self.page = context.new_page()
        self.page.on("console", lambda message: self.messages.append(message.text))
        self.page.on("pageerror", lambda error: self.messages.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.messages.append(dialog.message), dialog.dismiss()))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())


@pytest.fixture(params=[(size, scheme) for size in SIZES for scheme in ("light", "dark")], ids="-".join, scope="module")
def opened(request, chromium, file):
    """The page of everything, open."""
    return Opened(chromium, file, *request.param)


def test_it_asks_for_nothing_and_says_nothing(opened, file):
    opened.page.evaluate("scrollTo(0, document.body.scrollHeight)")
    loaded = [url for url in opened.requests if not url.startswith("data:")]
    assert loaded == [file.as_uri()] and opened.messages == []


def test_all_pictures_are_drawn(opened):
    broken = "() => [...document.images].filter((one) => !one.complete || !one.naturalWidth).length"
    assert opened.page.evaluate("document.images.length") > 40 and opened.page.evaluate(broken) == 0
    flat = "() => [...document.querySelectorAll('svg.chart')].filter((one) => one.getBoundingClientRect().height < 80)"
    assert opened.page.evaluate("document.querySelectorAll('svg.chart').length") > 15
    assert opened.page.evaluate(f"({flat})().length") == 0


def test_nothing_is_wider_than_the_window(opened):
    assert opened.page.evaluate(WIDER) == []


def test_nothing_is_cut_off(opened):
    assert opened.page.evaluate(CUT_OFF) == []


def test_no_texts_of_a_chart_overlap(opened):
    assert opened.page.evaluate(OVERLAPPING) == []


def test_texts_are_readable(opened):
    opened.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert opened.page.evaluate(CONTRAST, 4.5) == []
    opened.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = false; })")


def test_ids_are_unique_and_references_lead_somewhere(opened):
    ids = opened.page.evaluate("[...document.querySelectorAll('[id]')].map((one) => one.id)")
    assert len(ids) == len(set(ids))
    links = opened.page.evaluate(
        "[...document.querySelectorAll('[href^=\"#\"]')].map((one) => one.getAttribute('href'))"
    )
    assert links and {link.removeprefix("#") for link in links} <= set(ids)


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_headings_sort_by_keyboard_and_by_mouse(opened, key):
    opened.page.reload()
    table = opened.page.locator(".data table").filter(has_text="test_accuracy").last.element_handle()
    texts = opened.page.evaluate("(table) => [...table.tHead.rows[0].cells].map((cell) => cell.textContent)", table)
    for name in ("id", "test_accuracy"):
        button = table.query_selector_all("th button")[texts.index(name)]
        for number, order in enumerate(("ascending", "descending")):
            if number:
                button.click()
            else:
                button.focus()
                opened.page.keyboard.press(key)
            found = opened.page.evaluate(SORTED, table)
            values = [float(value) if found["numeric"] else value for value in found["values"]]
            assert (found["order"], found["column"]) == (order, texts.index(name))
            if found["numeric"]:
                assert values == sorted(values, reverse=order == "descending") and len(set(values)) > 2


def test_the_keyboard_reaches_everything(opened):
    opened.page.reload()
    wanted = opened.page.evaluate(FOCUSABLE)
    seen = opened.page.evaluate("window.reached = new Set(), 0")
    for _ in range(wanted + 5):
        opened.page.keyboard.press("Tab")
        seen = opened.page.evaluate("reached.add(document.activeElement), reached.delete(document.body), reached.size")
    assert wanted > 100 and seen == wanted


def test_texts_of_the_user_are_texts(opened):
    opened.page.reload()
    shown = opened.page.evaluate("document.body.innerText")
    assert "<script>alert(1)</script>" in shown and "<i onclick=alert(1)>" in shown
    assert opened.page.evaluate("document.scripts.length") == 1
    found = "() => [...document.querySelectorAll('*')].flatMap((one) => one.getAttributeNames())"
    assert not [name for name in opened.page.evaluate(found) if name.startswith("on") or name == "style"]
    assert opened.messages == []


def test_the_policy_holds(chromium, file):
    """What a text might bring in, if one were not escaped, would neither run nor be loaded."""
    opened = Opened(chromium, file, "desktop", "light")
    bring_in = """() => {
      const script = document.createElement("script");
      script.textContent = "window.ran = true";
      document.body.append(script);
      document.body.insertAdjacentHTML("beforeend", "<img src='http://127.0.0.1:9/x' onerror='window.ran = true'>");
      document.body.insertAdjacentHTML("beforeend", "<p id='styled' style='position: fixed'>x</p>");
    }"""
    opened.page.evaluate(bring_in)
    opened.page.wait_for_timeout(200)
    assert opened.page.evaluate("window.ran") is None
    assert opened.page.evaluate("getComputedStyle(document.getElementById('styled')).position") == "static"
    assert len(opened.messages) >= 3 and all("Content Security Policy" in message for message in opened.messages)


FAULTS = {
    "a wide element": (WIDER, "one('.lead').style.width = '3000px'"),
    "a text that ends": (
        CUT_OFF,
        "one('.path').style = 'width: 2em; overflow: hidden; white-space: nowrap'",
    ),
    "a label outside": (CUT_OFF, "one('svg.chart text').setAttribute('x', '-90')"),
    "labels on each other": (OVERLAPPING, "all('svg.chart text').forEach((text) => text.setAttribute('x', '90'))"),
    "a pale text": (CONTRAST, "one('.lead').style.color = '#888'"),
    "a pale label": (CONTRAST, "one('svg.chart text').style.fill = '#888'"),
    "a text that shines through": (CONTRAST, "one('main').style.opacity = '0.4'"),
}
HARM = "const one = (what) => document.querySelector(what), all = (what) => document.querySelectorAll(what);"


@pytest.mark.parametrize("fault", FAULTS)
def test_the_checks_see_faults(chromium, file, fault):
    check, harm = FAULTS[fault]
    opened = Opened(chromium, file, "phone", "light")
    assert opened.page.evaluate(check, 4.5) == []
    opened.page.evaluate(f"() => {{ {HARM} {harm}; }}")
    assert opened.page.evaluate(check, 4.5)
    opened.page.context.close()


def test_what_is_folded_is_printed(chromium, file):
    opened = Opened(chromium, file, "desktop", "light")
    pages = opened.page.pdf(format="A4")
    assert (
        pages.startswith(b"%PDF")
        and opened.page.evaluate("document.querySelectorAll('details:not([open])').length") == 0
    )
