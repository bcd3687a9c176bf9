"""Help pages: groups, whole sentences, examples as they are typed, whatever the terminal."""

import subprocess
import sys

import pytest

PROGRAM = ("-m", "mnfn_cli")
SENTENCE = "Build, inspect, check, draw and export zoos: folders of many networks and a table of their properties."
EXAMPLE = "  mnfn edit runs/dilate zoos/digits-inr --split test -o edited --picture before-after.png\n"


def words(text):
    """Return text as one line, without the lines of boxes."""
    return " ".join("".join(" " if c in "│╭╮╰╯─|+-" else c for c in text).split())


def python(*arguments, code=0):
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done


def test_groups_in_plain_text(mnfn, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    text = mnfn("--help")
    titles = [line for line in text.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert titles == ["Zoos:", "Learn:", "Apply:", "Look:", "Options:", "Examples:"]
    assert SENTENCE in words(text) and "..." not in text.partition("\n")[2] and text.isascii()
    assert text.endswith(EXAMPLE) and "\x1b" not in text
    assert max(len(line) for line in text.partition("Examples:")[0].splitlines()) <= 80


@pytest.mark.parametrize("columns", [80, 40])
def test_panels_on_a_terminal(on_terminal, columns):
    code, shown = on_terminal(*PROGRAM, "--help", columns=columns, NO_COLOR="1")
    assert code == 0 and "\x1b" not in shown and "╭─ Zoos ─" in shown and "╭─ Look ─" in shown
    before, _, typed = shown.partition("Examples:")
    assert SENTENCE in words(before) and "…" not in before and "predict-generalization" in before
    assert max(map(len, before.splitlines())) <= columns and typed.endswith(EXAMPLE)


def test_colour_on_a_terminal_only(on_terminal):
    assert "\x1b[1;36m" in on_terminal(*PROGRAM, "zoo", "--help")[1]
    assert "\x1b" not in python(*PROGRAM, "zoo", "--help").stdout
    dumb = on_terminal(*PROGRAM, "zoo", "--help", TERM="dumb", COLUMNS="80")[1]
    assert "\x1b" not in dumb and "╭" not in dumb


def test_ascii_only(on_terminal):
    code, shown = on_terminal(*PROGRAM, "zoo", "--help", NO_COLOR="1", PYTHONIOENCODING="ascii")
    assert code == 0 and shown.isascii() and "+- Commands -" in shown


@pytest.mark.parametrize("columns", [40, 12])
@pytest.mark.parametrize(
    "command", [["train"], ["zoo", "build", "siren"], ["zoo", "import"], ["evaluate"], ["recipe", "show"]]
)
def test_every_option_is_whole_on_a_narrow_terminal(on_terminal, command, columns):
    _, shown = on_terminal(*PROGRAM, *command, "--help", columns=columns, NO_COLOR="1")
    assert "…" not in shown and "Examples:" in shown
    if columns == 40:
        assert "-h, --help" in shown and "-q, --quiet" in shown and "Show this message and exit." in words(shown)


@pytest.mark.parametrize("group", [[], ["zoo"], ["zoo", "build"], ["recipe"]])
def test_a_bare_group_prints_its_help_and_ends_with_2(group):
    bare = python(*PROGRAM, *group, code=2)
    assert bare.stdout == python(*PROGRAM, *group, "--help").stdout and bare.stderr == ""


def test_the_module_is_the_same_program():
    assert python(*PROGRAM, "--version").stdout.startswith("mnfn ")
    assert python(*PROGRAM, "--help").stdout.startswith("Usage: mnfn [OPTIONS] COMMAND")
    assert "see mnfn zoo --help" in python(*PROGRAM, "zoo", "inof", code=2).stderr


def test_a_short_name_has_the_whole_help(mnfn):
    page = mnfn("predict-generalization", "--help")
    assert mnfn("predict", "--help") == page.replace("mnfn predict-generalization", "mnfn predict")
