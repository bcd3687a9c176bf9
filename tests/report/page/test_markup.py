"""Escaping, in one place; charts as SVG that the page's policy allows; and bytes that do not change."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reported import ATTACKS

from mnfn_cli.report.page.charts import Curve, bars, curves, dots, histogram, scatter
from mnfn_cli.report.page.markup import Markup, element, text
from mnfn_cli.report.page.tables import COLUMNS, ROWS, Whole, data_table, short
from mnfn_cli.tasks.figure import Scatter


def tags_of(page):
    """The elements of a page, each with its attributes."""
    found = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: found.append((tag, dict(attributes)))
    parser.feed(page)
    return found


@given(st.text())
def test_no_text_leaves_its_element(value):
    escaped = text(value)
    assert not re.search("[<>\"']", escaped)
    assert not re.search("&(?!(amp|lt|gt|quot|#x27);)", escaped)
    assert all(c.isprintable() or c == "\n" for c in escaped)
    escaped.encode()


def test_content_of_every_kind():
    made = element("p", "a<", element("b", 1), [None, ["&"]], id="x", class_="y", hidden=True, title=None, lang=False)
    assert made == '<p id="x" class="y" hidden>a&lt;<b>1</b>&amp;</p>' and isinstance(made, Markup)
    assert element("img", alt='"') == '<img alt="&quot;">'


@pytest.mark.parametrize("attack", ATTACKS)
def test_charts_escape_labels(attack):
    groups = {attack: np.array([0.1, 0.5, 0.7]), "other": np.array([0.2])}
    figure = Scatter([0.0, 1.0], [0.2, 0.8], (attack, attack), attack)
    drawn = [
        histogram("a", groups, attack),
        bars("b", {attack: {attack: 1, "x": 2}, "other": {attack: 3}}, attack),
        curves("c", [Curve(attack, [0, 1], [1, 2]), Curve("other", [0, 1], [2, float("nan")])], (attack, attack)),
        dots("d", {attack: [0.1, 0.2], "other": [float("nan")]}, attack),
        scatter("e", figure, ([0.1, 0.7], [0.3, 0.9])),
    ]
    for chart in drawn:
        tags = tags_of(chart)
        assert {tag for tag, _ in tags} <= {"svg", "g", "path", "use", "text", "defs", "clippath", "rect"}
        for _, attributes in tags:
            assert not [name for name in attributes if name.startswith("on") or name == "style"]
            assert attributes.get("href", "#").startswith("#")
        assert 'role="img"' in chart and "aria-label=" in chart and chart.count("<svg") == 1


def test_labels_in_any_language_are_drawn_without_a_warning():
    assert "数字" in bars("a", {"train": {"数字": 1, "عدد": 2}}, "類")


def test_a_chart_is_drawn_alike_again_and_shares_no_id():
    one, again, other = (
        curves(name, [Curve("a", [0, 1, 2], [1, 2, 1]), Curve("b", [0, 1, 2], [2, 1, 2])], ("x", "y"))
        for name in ("one", "one", "other")
    )
    assert one == again
    ids, others = (set(re.findall(r' id="([^"]+)"', chart)) for chart in (one, other))
    assert ids and not ids & others
    for chart, own in ((one, ids), (other, others)):
        assert set(re.findall(r"#([\w-]+)", chart)) <= own


def test_charts_take_their_colours_from_the_page():
    drawn = histogram("a", {"train": np.random.default_rng(0).random(50)}, "accuracy")
    assert "fill-c0" in drawn and not re.search(r'(fill|stroke)="#', drawn)


def test_a_long_table_is_cut_and_says_so():
    rows = [{f"c{number}": row for number in range(30)} for row in range(ROWS + 5)]
    table = data_table(rows, {key: key for key in rows[0]}, "Rows", whole=Whole("all.csv", len(rows), 30))
    assert table.count("<tr>") == ROWS + 1 and table.count("<th") - table.count("<thead") == COLUMNS
    assert f"Shown: the first {ROWS} of {ROWS + 5} rows and {COLUMNS} of 30 columns; the whole is in all.csv." in table
    assert "Shown" not in data_table(rows[:ROWS], {"c1": "c1"}, "Rows", whole=Whole("all.csv", ROWS, 1))


def test_columns_of_numbers_line_up():
    rows = [{"a": 0.5, "b": 1e-7, "c": 12, "d": True, "e": None}, {"a": 12.25, "b": 2e-6, "c": None, "d": False}]
    table = data_table(rows, {key: key for key in "abcde"}, "Rows")
    assert ">0.500<" in table and ">12.250<" in table and ">1.0e-07<" in table and ">2.0e-06<" in table
    assert ">yes<" in table and ">no<" in table and table.count(">–<") == 3
    assert 'data-v="12.25"' in table and 'data-v="True"' not in table
    assert data_table([{"a": float("nan")}], {"a": "a"}, "Rows").count("undefined") == 1


def test_short():
    assert short("x" * 80) == "x" * 80 and len(short("x" * 81)) == 80
    assert short("a\nb") == "a\\nb"
