"""Commands inside this process: no start-up to wait for."""

import sys

import pytest

from mnfn_cli.cli.app import main


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
        return captured.out if code == 0 else captured.err

    return run


@pytest.fixture
def fail(mnfn):
    """Run a command that must fail with ``code`` and so many one-line errors; return them."""

    def run(*arguments, code, lines=1):
        errors = [line for line in mnfn(*arguments, code=code).splitlines() if line.startswith("mnfn: error: ")]
        assert len(errors) == lines, errors
        return "\n".join(errors)

    return run
