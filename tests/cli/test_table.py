"""Tables: plain columns where nobody looks, boxes on a terminal, one line a cell where it is too narrow."""

import io
import subprocess
import sys

import pytest

from mnfn_cli.cli.table import Table

ROWS = [
    {"networks": "original", "tau": 0.5, "largest_change": 2e-7, "count": 1234},
    {"networks": "U[1, 10]", "tau": float("nan"), "largest_change": None},
]
SCRIPT = f"""
import sys
from mnfn_cli.cli.table import Table
nan = float("nan")
print(Table({ROWS!r}, title="two rows", formats={{"count": ","}}).render(sys.stdout))
"""


def plain(table):
    return table.render(io.StringIO())


def test_plain_columns_are_aligned_and_stable():
    assert plain(Table(ROWS, title="two rows", formats={"count": ","})) == (
        "two rows\n"
        "networks        tau  largest change  count\n"
        "original     0.5000         2.0e-07  1,234\n"
        "U[1, 10]  undefined               -      -"
    )


def test_columns_choose_order_and_headings():
    assert plain(Table(ROWS, {"tau": "Kendall's tau", "networks": "test networks"})).splitlines()[:2] == [
        "Kendall's tau  test networks",
        "       0.5000  original",
    ]


def test_nothing_is_cut_off_or_taken_for_markup():
    long = "a" * 500 + " [bold]b[/bold] :smile: \x1b[31m"
    shown = plain(Table([{"text": long, "end": "end"}])).splitlines()[1]
    assert shown == "a" * 500 + r" [bold]b[/bold] :smile: \x1b[31m" + "  end"


def test_what_an_encoding_lacks_is_escaped_within_its_column():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    shown = Table([{"id": "σ", "n": 1}, {"id": "b", "n": 2}]).render(stream)
    assert shown == "id      n\n\\u03c3  1\nb       2"


def test_no_rows():
    assert plain(Table([], {"a": "a", "b": "b"})) == "a  b"
    assert plain(Table([])) == ""


def test_piped_as_in_memory():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout == plain(Table(ROWS, title="two rows", formats={"count": ","})) + "\n"


def test_a_box_in_colour_on_a_terminal(on_terminal):
    code, shown = on_terminal("-c", SCRIPT)
    assert code == 0 and "╭" in shown and "\x1b[1m" in shown and "undefined" in shown


def test_a_box_without_escapes_under_no_color(on_terminal):
    _, shown = on_terminal("-c", SCRIPT, NO_COLOR="1")
    assert "│ U[1, 10] │ undefined │" in shown and "\x1b" not in shown


@pytest.mark.parametrize("environment", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}])
def test_a_box_of_ascii_where_the_encoding_has_no_other(on_terminal, environment):
    code, shown = on_terminal("-c", SCRIPT, NO_COLOR="1", PYTHONCOERCECLOCALE="0", **environment)
    assert code == 0 and shown.isascii() and "| U[1, 10] | undefined |" in shown


def test_plain_text_on_a_dumb_terminal(on_terminal):
    assert on_terminal("-c", SCRIPT, TERM="dumb") == (
        0,
        plain(Table(ROWS, title="two rows", formats={"count": ","})) + "\n",
    )


def test_a_narrow_terminal_wraps_words(on_terminal):
    script = "import sys; from mnfn_cli.cli.table import Table; "
    script += "print(Table([{'recipe': 'relu-monomial', 'summary': 'one two three four five six'}]).render(sys.stdout))"
    _, shown = on_terminal("-c", script, columns=34, NO_COLOR="1")
    assert "│ relu-monomial │ one two three  │" in shown and "│               │ four five six  │" in shown
    assert max(map(len, shown.splitlines())) <= 34


@pytest.mark.parametrize("columns", [40, 10])
def test_a_narrower_one_gets_one_line_a_cell(on_terminal, columns):
    _, shown = on_terminal("-c", SCRIPT, COLUMNS=str(columns))
    assert "tau             undefined\nlargest change  -\n" in shown and "1,234" in shown
