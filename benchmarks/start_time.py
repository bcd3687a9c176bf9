"""Time of commands that need no torch, against a bare Typer program with as many commands, side by side."""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from many import SPEC, write_many
from rows import Row, record
from timing import interleaved

COMMANDS = 7
BARE = """
import typer
app = typer.Typer()
{commands}
app()
"""
COMMAND = """
@app.command()
def command{number}(name: str, count: int = 1) -> None:
    "Do one thing."
"""
NETWORKS = 100


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bare, zoo = Path(folder) / "bare.py", Path(folder) / "zoo"
        bare.write_text(BARE.format(commands="".join(COMMAND.format(number=n) for n in range(COMMANDS))))
        write_many(zoo, SPEC, NETWORKS)
        mnfn = str(Path(sys.executable).with_name("mnfn"))
        completing = {"_MNFN_COMPLETE": "complete_bash", "COMP_WORDS": "mnfn zoo ", "COMP_CWORD": "2"}

        def run(*command: str, **variables: str) -> None:
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, **variables})

        jobs = {
            "bare": lambda: run(sys.executable, str(bare), "--help"),
            "mnfn --help": lambda: run(mnfn, "--help"),
            "mnfn --version": lambda: run(mnfn, "--version"),
            "mnfn recipe list": lambda: run(mnfn, "recipe", "list"),
            "completion of a word": lambda: run(mnfn, **completing),
            f"mnfn zoo info, {NETWORKS} networks": lambda: run(mnfn, "zoo", "info", str(zoo)),
            f"mnfn zoo verify, {NETWORKS} networks": lambda: run(mnfn, "zoo", "verify", str(zoo)),
        }
        seconds = interleaved(jobs, arguments.rounds, warmup=2)
    for name, taken in seconds.items():
        if name != "bare":
            note = f"{taken:.2f} s, bare {seconds['bare']:.2f} s"
            record(Row(name, "a bare Typer program", taken / seconds["bare"], 3, "lower", note))


if __name__ == "__main__":
    main()
