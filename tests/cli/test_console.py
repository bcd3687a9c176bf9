"""The one sink: streams, JSON, colour on a terminal only."""

import json

import pytest

from mnfn_cli.cli.console import Console, print_error
from mnfn_cli.cli.table import Table
from mnfn_cli.errors import DataError

ROWS = [{"network": "1", "predicted_accuracy": 0.123456789}, {"network": "2", "predicted_accuracy": float("nan")}]


def test_a_table_as_json_is_a_list_of_objects(capsys):
    Console(json=True).table(ROWS, columns={"network": "network"}, title="not in JSON")
    assert json.loads(capsys.readouterr().out) == [
        {"network": "1", "predicted_accuracy": 0.123456789},
        {"network": "2", "predicted_accuracy": None, "not_finite": ["predicted_accuracy"]},
    ]


def test_results_go_to_stdout_and_notes_to_stderr(capsys):
    console = Console()
    console.note("a\nnote")
    console.result({}, "text", Table([{"a": 1}]), Table([{"b": 2}]))
    done = capsys.readouterr()
    assert done.out == "text\n\na\n1\n\nb\n2\n" and done.err == "mnfn: a\\nnote\n"


def test_one_table_stands_close_to_its_text(capsys):
    Console().result({}, "text", Table([{"a": 1}]), "more")
    assert capsys.readouterr().out == "text\na\n1\nmore\n"


def test_quiet_has_no_notes_and_no_progress(capsys):
    console = Console(quiet=True)
    console.note("note")
    progress = console.progress()
    progress.start("work", 1)
    progress.note("note")
    progress.advance()
    assert capsys.readouterr() == ("", "")


def test_an_error_is_one_line_a_fault(capsys):
    print_error(DataError.together([DataError("a", "is bad"), DataError("b", "too")]))
    assert capsys.readouterr().err == "mnfn: error: a: is bad\nmnfn: error: b: too\n"


SCRIPT = """
from mnfn_cli.cli.console import Console, print_error
from mnfn_cli.errors import DataError
print_error(DataError("a/σ", "is bad" + " and long" * 20))
Console().note("took 3 of 4")
progress = Console().progress()
progress.start("work", 2)
progress.advance(loss=0.5)
progress.note("half")
progress.advance()
"""
LINE = "a/σ: is bad" + " and long" * 20


def test_errors_and_notes_in_colour_on_a_terminal(on_terminal):
    code, shown = on_terminal("-c", SCRIPT, columns=40)
    assert code == 0 and f"\x1b[1;31mmnfn: error:\x1b[0m {LINE}\n" in shown
    assert "\x1b[36mmnfn:\x1b[0m took 3 of 4\n" in shown and "\x1b[36mmnfn:\x1b[0m half\n" in shown
    assert "work:" in shown and "1/2" in shown


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
@pytest.mark.fault("C13")
def test_no_colour_where_none_is_wanted(on_terminal, environment):
    code, shown = on_terminal("-c", SCRIPT, **environment)
    assert code == 0 and f"mnfn: error: {LINE}\n" in shown and "mnfn: took 3 of 4\n" in shown
    assert "\x1b[3" not in shown and "\x1b[1" not in shown


@pytest.mark.fault("C14")
def test_a_terminal_that_shows_only_ascii(on_terminal):
    code, shown = on_terminal("-c", SCRIPT, PYTHONIOENCODING="ascii:backslashreplace")
    assert code == 0 and "a/\\u03c3: is bad" in shown and shown.isascii()


@pytest.mark.fault("C11")
def test_no_bar_on_a_dumb_terminal(on_terminal):
    assert "1/2" not in on_terminal("-c", SCRIPT, TERM="dumb")[1]
