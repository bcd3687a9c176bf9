"""Time of ``mnfn --help`` against a bare Typer program with as many commands, side by side."""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

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


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder) / "bare.py"
        bare.write_text(BARE.format(commands="".join(COMMAND.format(number=n) for n in range(COMMANDS))))
        mnfn = Path(sys.executable).with_name("mnfn")

        def run(*command: str) -> None:
            subprocess.run([*command, "--help"], check=True, stdout=subprocess.DEVNULL)

        seconds = interleaved(
            {"bare": lambda: run(sys.executable, str(bare)), "mnfn": lambda: run(str(mnfn))}, arguments.rounds, warmup=2
        )
    print(f"bare Typer program  {1e3 * seconds['bare']:6.0f} ms")
    print(f"mnfn --help         {1e3 * seconds['mnfn']:6.0f} ms")
    print(f"ratio               {seconds['mnfn'] / seconds['bare']:6.2f}")


if __name__ == "__main__":
    main()
