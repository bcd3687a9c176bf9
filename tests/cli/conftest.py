"""Commands inside this process: no start-up to wait for. And commands on a pseudo terminal."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios

import pytest

from mnfn_cli.cli.app import main

OF_THE_TERMINAL = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LC_ALL", "LANG", "PYTHONIOENCODING")


@pytest.fixture
def on_terminal():
    """Run ``python -c SCRIPT`` or ``python ARGUMENTS`` on a pseudo terminal; return the exit code and what it shows."""

    def run(*arguments, columns=80, **environment):
        kept = {name: value for name, value in os.environ.items() if name not in OF_THE_TERMINAL}
        terminal, end = pty.openpty()
        fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        settings = kept | {"TERM": "xterm-256color", "PYTHONUTF8": "1"} | environment
        process = subprocess.Popen(
            [sys.executable, *map(str, arguments)], stdin=end, stdout=end, stderr=end, env=settings
        )
        os.close(end)
        shown = b""
        while True:
            try:
                piece = os.read(terminal, 65536)
            except OSError:  # the other end is closed
                break
            shown += piece
            if not piece:
                break
        os.close(terminal)
        return process.wait(timeout=60), shown.decode().replace("\r\n", "\n")

    return run


@pytest.fixture
def mnfn(monkeypatch, capsys, tmp_path):
    """Run a command in this process, inside ``tmp_path``."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, code=0):
        monkeypatch.setattr(sys, "argv", ["mnfn", *map(str, arguments)])
        with pytest.raises(SystemExit) as done:
            main()
        captured = capsys.readouterr()
        assert done.value.code == code, captured.err
        assert "Traceback" not in captured.err
        if code == 0:
            return captured.out
        assert captured.out == ""
        return captured.err

    return run


@pytest.fixture
def fail(mnfn):
    """Run a command that must fail with ``code`` and so many one-line errors; return them. It prints nothing else."""

    def run(*arguments, code, lines=1):
        told = mnfn(*arguments, code=code)
        errors = [line for line in told.splitlines() if line.startswith("mnfn: error: ")]
        assert len(errors) == lines, told
        return "\n".join(errors)

    return run
