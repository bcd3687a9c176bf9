"""Every block of code in the documentation runs, or says why not and is at least what the program understands."""

import ast
import re
import shlex
import shutil
from functools import cache

import pytest
import typer
from pages import DOCS, ROOT, RUNNABLE, SHOWN, blocks, pages, run, said

from mnfn_cli.cli.app import app

ALL = [block for page in pages() for block in blocks(page)]
RUN = sorted({block.page for block in ALL if block.runs})
UNRUN = [block for block in ALL if block.commands and not block.runs and not block.name]
ROOT_COMMAND = typer.main.get_command(app)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """A function that runs the blocks of a page, once, and returns their folder and all that they printed."""

    @cache
    def run_page(page):
        before = said(page, "goes on from")
        folder = run_page(before)[0] if before is not None else tmp_path_factory.mktemp("page")
        if before is None:
            shutil.copytree(DOCS / "examples", folder / "docs" / "examples")
        return folder, "".join(run(block, folder).stdout for block in blocks(page) if block.runs)

    return run_page


def _costly(page):
    before = said(page, "goes on from")
    return said(page, "minutes") is not None or (before is not None and _costly(before))


@pytest.mark.parametrize(
    "page", [pytest.param(page, marks=[pytest.mark.docs] if _costly(page) else [pytest.mark.slow]) for page in RUN]
)
def test_blocks_run(page, outcome):
    """The blocks of a page run in order in one folder, and none of their commands fails."""
    folder, _ = outcome(page)
    assert folder.is_dir()


def test_every_block_says_what_it_is():
    strange = [str(block) for block in ALL if block.language not in (*RUNNABLE, *SHOWN, "indented")]
    assert not strange
    unmarked = [str(block) for block in UNRUN if not block.reason]
    assert not unmarked, "commands stand in fenced blocks that run, or below <!-- not run: REASON -->"


def test_pages_go_on_from_pages_that_run():
    for page in RUN:
        assert (said(page, "goes on from") or page) in RUN


@pytest.mark.parametrize("block", UNRUN, ids=str)
def test_what_is_not_run_is_understood(block):
    """Commands are parsed by the program's parser, Python by Python's; scripts and targets that are named exist."""
    print(f"not run: {block.reason}\n{block.text}")
    if block.language == "python":
        ast.parse(block.text)
        return
    found = [words for line in lines(block.text) for words in commands(line)]
    assert found, "no command in it that is known"
    for words in found:
        check(words)


def lines(text):
    """Return the lines of a script, those that end in a backslash joined to the next, without comments."""
    joined = re.sub(r"\\\n\s*", " ", text)
    return [line for line in joined.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def commands(line):
    """Yield the commands of mnfn, python and make in a line as lists of words, without what launches them."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";|&<>")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if word in (";", "|", "&&", "||", ">", ">>"):
            starts = [place for place, known in enumerate(words) if known in ("mnfn", "mnfn_cli", "python", "make")]
            if starts:
                yield words[starts[0] :]
            words = []
        else:
            words.append(word)


def check(words):
    program, *arguments = words
    if program == "make":
        targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert {word for word in arguments if "=" not in word} <= {*targets}
    elif program == "python":
        assert arguments[0] == "-m" or (ROOT / arguments[0]).exists(), arguments[0]
    else:
        parse(ROOT_COMMAND, program, arguments)


def parse(command, name, arguments, parent=None):
    """Parse the words of a command as the program does, without running it."""
    while hasattr(command, "commands"):
        assert arguments and arguments[0] in command.commands, f"{name} has no command {arguments[:1]}"
        name, command, arguments = arguments[0], command.commands[arguments[0]], arguments[1:]
    command.make_context(name, list(arguments), parent)


def test_the_parser_refuses_what_the_program_refuses():
    parse(ROOT_COMMAND, "mnfn", shlex.split("train --recipe a --zoo b -o c x=1"))
    # typer's error for an unknown option is public under no name of its own, but as the base of BadParameter.
    wrong = {
        "zoo bild cnn": (AssertionError, "zoo has no command ['bild']"),
        "train --recipee a": (typer.BadParameter.__base__, "No such option: --recipee"),
        "evaluate run": (typer.BadParameter, "Missing parameter: out"),
        "zoo build cnn -o a --count many": (typer.BadParameter, "a valid integer"),
    }
    for line, (error, problem) in wrong.items():
        with pytest.raises(error, match=re.escape(problem)):
            parse(ROOT_COMMAND, "mnfn", shlex.split(line))


def test_blocks_with_tests_of_their_own_have_them():
    tests = {path: path.read_text() for path in (ROOT / "tests").rglob("test_*.py")}
    named = {block.name for block in ALL if block.name}
    assert named
    for name in named:
        assert (ROOT / name).is_file() or any(f'"{name}"' in text for text in tests.values()), name


def test_files_that_blocks_name_are_shipped():
    named = {name for block in ALL for name in re.findall(r"docs/examples/[\w./-]+\w", block.text)}
    assert named and all((DOCS.parent / name).exists() for name in named)
