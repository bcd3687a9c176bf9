"""Measure the anonymous memory of a command: what it holds beside pages of files, which the kernel can drop at will.

``python benchmarks/anonymous.py zoo info ZOO`` runs ``mnfn zoo info ZOO`` and prints the seconds and the largest memory
above that after all imports in a line of JSON.
"""

import contextlib
import importlib
import io
import json
import pkgutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import mnfn_cli


@dataclass(frozen=True)
class Cost:
    """What some work took: seconds of wall time and of a processor, and bytes of anonymous memory."""

    seconds: float
    processor: float
    bytes: int


def anonymous_memory() -> int:
    """Return the anonymous memory of this process in bytes (RssAnon)."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("RssAnon")))


def measure(work: Callable[[], object]) -> Cost:
    """Do some work in this process; the memory is the largest above that before, asked every 10 ms."""
    before = largest = anonymous_memory()
    done = threading.Event()

    def watch() -> None:
        nonlocal largest
        while not done.wait(0.01):
            largest = max(largest, anonymous_memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    started, processor = time.perf_counter(), time.process_time()
    try:
        work()
    finally:
        seconds, processor = time.perf_counter() - started, time.process_time() - processor
        done.set()
        watcher.join()
    return Cost(seconds, processor, max(largest, anonymous_memory()) - before)


def measure_apart(script: str | Path, arguments: Sequence[object]) -> Cost:
    """Run a script that prints a cost in JSON as its last line in a process of its own, and return this cost."""
    command = [sys.executable, str(script), *map(str, arguments)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()[-2000:]}")
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def measure_command(*arguments: object) -> Cost:
    """Run a command of mnfn in a process of its own, and return its cost without that of the imports."""
    return measure_apart(__file__, arguments)


def _import_everything() -> None:
    """Import what any command imports, and let torch and polars make their threads."""
    for module in pkgutil.walk_packages(mnfn_cli.__path__, "mnfn_cli."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    import polars as pl
    import torch

    pl.DataFrame({"a": ["x"] * 10}).write_csv()
    torch.ones(512, 512) @ torch.ones(512, 512)


def _run() -> None:
    from mnfn_cli.cli.app import main

    sys.argv[0] = "mnfn"
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            main()
        except SystemExit as ended:
            if ended.code:
                raise


if __name__ == "__main__":
    _import_everything()
    print(json.dumps(asdict(measure(_run)), allow_nan=False))
