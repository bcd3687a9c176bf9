"""How many times as fast two processes of one thread are as one: training, building, augmenting and predicting.

Each time is that of the work between two meetings of all processes; what a process needs to start is not in it. In
turns with them, two processes that know nothing of each other do the whole work each, at the same time: what the
machine's cores, caches and memory give to two at once.
"""

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from many import SPEC, write_many
from mnfn_cli.recipe import load_recipe
from mnfn_cli.runtime.context import Context
from mnfn_cli.runtime.meeting import connect, join, part
from mnfn_cli.runtime.memory import keep_freed_memory
from mnfn_cli.runtime.place import place
from mnfn_cli.runtime.processes import Processes, sharing
from mnfn_cli.tasks.application import apply_run
from mnfn_cli.tasks.training import train_run
from mnfn_cli.zoo.augment import augment_zoo
from mnfn_cli.zoo.build.architectures import cnn_spec
from mnfn_cli.zoo.build.classifiers import ClassifierZooPlan, build_classifier_zoo
from mnfn_cli.zoo.images import load_images
from mnfn_cli.zoo.store import open_zoo
from rows import Row, record

TARGET = 1.7
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}
"""What is measured; on a machine with other work the time of the busiest process's processor says more."""
WORKS = ("train", "build", "augment", "predict")


def prepare(work: str, folder: Path, out: Path, batch: int, context: Context) -> Callable[[], object]:
    """Return one of the works, with what it imports and reads at its start already there."""
    torch.optim.Adam([torch.zeros(1)])  # its first use imports much
    if work == "train":
        steps = ["training.epochs=null", f"training.steps={19200 // batch}", f"training.batch_size={batch}"]
        recipe = load_recipe("generalization/relu-monomial", [*steps, f"data.zoo=['{folder / 'zoo'}']"])
        return lambda: train_run(recipe, out, context=context)
    if work == "build":
        images = load_images("digits")
        plan = ClassifierZooPlan(cnn_spec(images, "relu"), count=960, epochs=1, seed=0)
        return lambda: build_classifier_zoo(plan, images, out, context=context)
    if work == "augment":
        return lambda: augment_zoo(open_zoo(folder / "zoo"), out, copies=10, context=context)
    return lambda: apply_run(folder / "run", folder / "zoo", context=context)


def work_together(work: str, folder: Path, batch: int, clock: Callable[[], float]) -> None:
    """Do a work as one of the processes, and print its seconds on rank 0."""
    keep_freed_memory()  # as the commands do
    here = place()
    processes = join(here, print) if here.world_size > 1 else Processes()
    with sharing(processes):
        if here.world_size > 1:
            connect(processes, torch.device("cpu"))
        run = prepare(work, folder, folder / "out", batch, Context(processes=processes))
        processes.meet()
        started = clock()
        run()
        taken = max(processes.gather(clock() - started))
        if processes.first:
            print(json.dumps(taken, allow_nan=False))
        part(processes)


def seconds(work: str, folder: Path, count: int, batch: int, clock: str) -> float:
    """Return the seconds of a work by some processes."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    common = os.environ | {"OMP_NUM_THREADS": "1", "WORLD_SIZE": str(count), "MASTER_PORT": str(port)}
    given = {"worker": work, "folder": folder, "batch": batch, "clock": clock}
    command = [sys.executable, __file__, *(f"--{name}={value}" for name, value in given.items())]
    ranks = [
        subprocess.Popen(command, env=common | {"RANK": str(rank)}, stdout=subprocess.PIPE, text=True)
        for rank in range(count)
    ]
    said = [rank.communicate()[0] for rank in ranks]
    subprocess.run(["rm", "-rf", str(folder / "out")], check=True)
    return float(json.loads(said[0]))


def seconds_apart(work: str, folders: Sequence[Path], batch: int, clock: str) -> float:
    """Return the seconds of processes that each do the whole work by themselves, at the same time."""
    with ThreadPoolExecutor(len(folders)) as threads:
        return max(threads.map(lambda folder: seconds(work, folder, 1, batch, clock), folders))


def measure(work: str, folders: Sequence[Path], batch: int, rounds: int, clock: str) -> None:
    """Measure one work, and record its row."""
    taken: dict[str, list[float]] = {"one": [], "two": [], "apart": []}
    for _ in range(rounds):
        taken["one"].append(seconds(work, folders[0], 1, batch, clock))
        taken["two"].append(seconds(work, folders[0], 2, batch, clock))
        taken["apart"].append(seconds_apart(work, folders, batch, clock))
    one, two, apart = map(statistics.median, taken.values())
    note = f"two that share nothing get {2 * one / apart:.2f} times as much done as one"
    note += "" if clock == "wall" else "; processor time of the busiest process"
    name = f"{work}, batch {batch}," if work == "train" else work
    record(Row(f"{name} by two processes of one thread", "one process", one / two, TARGET, "higher", note))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("works", nargs="*", default=WORKS)
    parser.add_argument("--networks", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, nargs="+", default=[32, 256])
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        work_together(arguments.worker, arguments.folder, arguments.batch[0], CLOCKS[arguments.clock])
        return
    with tempfile.TemporaryDirectory() as name:
        folders = [Path(name) / "one", Path(name) / "other"]
        write_many(folders[0] / "zoo", SPEC, arguments.networks)
        overrides = ["training.epochs=null", "training.steps=1", f"data.zoo=['{folders[0] / 'zoo'}']"]
        train_run(load_recipe("generalization/relu-monomial", overrides), folders[0] / "run")
        shutil.copytree(*folders)
        for work in arguments.works:
            for batch in arguments.batch if work == "train" else arguments.batch[:1]:
                measure(work, folders, batch, arguments.rounds, arguments.clock)


if __name__ == "__main__":
    main()
