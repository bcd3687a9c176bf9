"""Run mnfn's commands in a folder, each once: scripts that take hours continue where they stopped."""

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

MNFN = Path(sys.executable).with_name("mnfn")


def run_once(folder: Path, output: str, arguments: Sequence[str]) -> None:
    """Print a command and run it on one thread; not if its output is there, except a sweep, which continues."""
    if (folder / output).exists() and arguments[0] != "sweep":
        return
    command = [*arguments, "-o", output]
    print(f"$ {shlex.join(['mnfn', *command])}", flush=True)
    subprocess.run([MNFN, *command, "-q"], cwd=folder, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
