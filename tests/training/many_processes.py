"""Start several processes as a launcher would: environment variables, one command for all of them."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

SECONDS = 120
"""After this time a test is over, whatever hangs."""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class Job:
    """Processes that share a job, each with its own stdout and stderr.

    Args:
        count: the number of processes.
        arguments: of Python, the same for all.
        environment: variables for all of them.
        slurm: set the variables of Slurm instead of torchrun's.
    """

    def __init__(self, count, arguments, environment=None, *, slurm=False):
        names = ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID") if slurm else ("RANK", "WORLD_SIZE", "LOCAL_RANK")
        common = {**os.environ, "OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
        common |= environment or {}
        self.ranks = [
            subprocess.Popen(
                [sys.executable, *map(str, arguments)],
                env=common | dict(zip(names, map(str, (rank, count, rank)), strict=True)),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for rank in range(count)
        ]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.ranks:
            if process.poll() is None:
                process.kill()
                process.wait()

    def wait(self, seconds=SECONDS):
        """Wait for all processes to end; return their exit codes, and what all wrote to stdout and to stderr."""
        stop = time.monotonic() + seconds
        said = [process.communicate(timeout=max(stop - time.monotonic(), 0.1)) for process in self.ranks]
        return [process.returncode for process in self.ranks], *("".join(parts) for parts in zip(*said, strict=True))


def errors_in(stderr):
    """Return the lines of stderr that say what went wrong."""
    return [line for line in stderr.splitlines() if "error" in line or "Traceback" in line]


def train_all(plan):
    """Train the recipes of a plan one after another, as one of several processes."""
    from mnfn_cli.recipe import load_recipe
    from mnfn_cli.runtime.context import Context, resolve_device
    from mnfn_cli.runtime.meeting import connect, join, part
    from mnfn_cli.runtime.place import place
    from mnfn_cli.runtime.processes import sharing
    from mnfn_cli.tasks.training import train_run

    processes = join(place(), print)
    with sharing(processes):
        connect(processes, resolve_device("cpu"))
        for out, recipe, overrides in plan:
            train_run(load_recipe(recipe, overrides), Path(out), context=Context(processes=processes))
        part(processes)
    names = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
    left = [name for name in names if "gloo" in name]
    assert not left, f"threads that may hold a tensor when the interpreter ends, and abort it: {left}"


if __name__ == "__main__":
    train_all(json.loads(Path(sys.argv[1]).read_text()))
