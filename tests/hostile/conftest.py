"""One check of all commands that meet a fault: what they say, how they end, and what they leave as it was."""

import subprocess
import sys

import pytest
from small_world import make_world, run, stand_in_copy, tree


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("hostile") / "world")


@pytest.fixture
def world(prepared, tmp_path, monkeypatch):
    """A copy of the world to stand in and to damage."""
    return stand_in_copy(prepared, tmp_path, monkeypatch)


@pytest.fixture
def mnfn(world, monkeypatch, capfd):
    """Run a command, in this process or in one of its own; return exit code, stdout and stderr."""

    def command(text, *, real=False):
        words = text if isinstance(text, list) else text.split()
        if not real:
            capfd.readouterr()
            code = run(monkeypatch, *words)
            return code, *capfd.readouterr()
        done = subprocess.run(
            [sys.executable, "-m", "mnfn_cli", *words], capture_output=True, timeout=120, check=False, stdin=-3
        )
        return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")

    return command


@pytest.fixture
def refused(mnfn):
    """Run a command that must fail, and leave everything as it was, whatever it was; return what it said.

    Each fault is one line of at most 300 characters, without a traceback, and ``said`` are words of the first line.
    """

    def check(text, code, *said, faults=1, real=False):
        before = tree(".")
        ended, out, err = mnfn(text, real=real)
        errors = [line for line in err.splitlines() if line.startswith("mnfn: error: ")]
        assert ended == code, (ended, err[-2000:])
        assert len(errors) == faults, err
        assert max(map(len, err.splitlines())) <= 300 and "Traceback" not in err and "Warning" not in err, err
        assert not out.strip(), out
        for words in said:
            assert words in errors[0], errors[0]
        assert tree(".") == before
        return errors

    return check
