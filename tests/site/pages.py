"""The code blocks of the documentation, and how they run: each page's in order, in one folder.

A page says what to do with its blocks in comments, which no reader sees:

* ``<!-- minutes -->`` at its top: they take minutes, so they run in ``make docs`` and not in ``make test``;
* ``<!-- goes on from PAGE -->`` at its top: they run in the folder that the blocks of another page left;
* ``<!-- not run: REASON -->`` above a block, or ``<!-- none run: REASON -->`` at the top of a page for all of them:
  they are parsed by the program's own parser instead;
* ``<!-- NAME: a test runs these lines as they are -->`` above a block, or ``<!-- blocks run in FILE -->`` at the top of
  a page: a test of its own runs them and looks at the outcome.
"""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
RUNNABLE = ("sh", "python")
SHOWN = ("yaml", "json", "text", "diff", "py", "pycon")
"""Languages of blocks that are looked at, not run."""

_BLOCK = re.compile(
    r"(?:<!-- (?P<mark>[^>]*?) -->\n)?(?:(?<=\n)|^)(?:```(?P<language>\w*)[^\n]*\n(?P<fenced>.*?)\n?```(?=\n|$)"
    r"|(?P<indented>(?:    [^\n]*\n(?:\n(?=    ))?)+))",
    re.DOTALL,
)
_COMMAND = re.compile(r"^(?:[A-Z_]+=\S* )*(mnfn|torchrun|srun|python|pip|make|until|for|source) ", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A block of code on a page.

    Attributes:
        page: the page, relative to the project.
        line: the number of its first line.
        language: the word after the fence; ``indented`` for a block without one.
        text: the code.
        reason: why it is not run; empty for a block that is.
        name: the name of the test that runs it by itself; empty for most.
    """

    page: str
    line: int
    language: str
    text: str
    reason: str = ""
    name: str = ""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def runs(self) -> bool:
        """Whether the page's blocks include this one when they run."""
        return self.language in RUNNABLE and not self.reason and not self.name

    @property
    def commands(self) -> bool:
        """Whether the block is code that can be run, however it is written."""
        return self.language in RUNNABLE or bool(_COMMAND.search(self.text) and self.language == "indented")


def pages() -> list[str]:
    """Return all pages, relative to the project."""
    return ["README.md", *sorted(path.relative_to(ROOT).as_posix() for path in DOCS.rglob("*.md"))]


def said(page: str, word: str) -> str | None:
    """Return what a page says of itself in the comment ``<!-- word ... -->``; None if it says nothing."""
    found = re.search(rf"^<!-- {word}:?(.*?) -->$", (ROOT / page).read_text(), re.MULTILINE)
    return None if found is None else found[1].strip()


@cache
def blocks(page: str) -> tuple[Block, ...]:
    """Return the blocks of a page in order."""
    text = (ROOT / page).read_text()
    whole, elsewhere = said(page, "none run"), said(page, "blocks run in")
    found = []
    for match in _BLOCK.finditer(text):
        mark = match["mark"] or ""
        language = "indented" if match["indented"] else match["language"]
        code = (
            match["fenced"] if match["indented"] is None else re.sub("^    ", "", match["indented"], flags=re.MULTILINE)
        )
        reason = mark.removeprefix("not run: ") if mark.startswith("not run: ") else whole or ""
        name = mark.partition(": a test runs")[0] if ": a test runs" in mark else elsewhere or ""
        line = text.count("\n", 0, match.start("language" if match["indented"] is None else "indented")) + 1
        found.append(Block(page, line, language, code, reason, name))
    return tuple(found)


def run(block: Block, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a block in a folder, and return what it printed; a command that fails ends it."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    words = ["bash", "-e", "-c", block.text] if block.language == "sh" else [sys.executable, "-c", block.text]
    done = subprocess.run(
        words, cwd=folder, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{block}:\n{block.text}\n{done.stderr}"
    return done
