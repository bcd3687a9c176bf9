"""How time and memory grow: with the number of networks, with their width and depth, and with a functional's channels.

Everything runs on one thread, in processes of its own: commands on zoos of 1,000 to 1,000,000 random CNNs of 238
numbers, and training steps of the monomial functional on random networks. Memory is the largest above that before.

    python benchmarks/growth.py -o docs/results/performance/growth.json
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path

import torch
import torch.nn.functional as F

from anonymous import Cost, measure, measure_apart, measure_command
from many import write_many
from memory import FEW
from mnfn_cli import NetworkSpec, WeightSpaceFeatures, build_model
from mnfn_cli.recipe import load_recipe
from mnfn_cli.tasks.training import train_run
from paper_step import device_name

NETWORKS = (1_000, 10_000, 100_000, 1_000_000)
WIDTHS = (16, 32, 64, 128, 256, 512)
DEPTHS = (2, 4, 8, 16, 32)
CHANNELS = (4, 8, 16, 32, 64)
STEPS = 3

Point = dict[str, float]


def steps(spec: NetworkSpec, batch: int, channels: int) -> Cost:
    """Return the cost of some training steps of the monomial functional, after the first."""
    torch.set_num_threads(1)
    model = build_model("generalization/monomial", spec, channels=(channels, channels, channels))
    features = WeightSpaceFeatures.randn(spec, batch).map(lambda tensor: 0.2 * tensor)
    optimizer = torch.optim.Adam(model.parameters(), fused=True)

    def step() -> None:
        optimizer.zero_grad()
        F.mse_loss(model(features), torch.zeros(batch)).backward()
        optimizer.step()

    def several() -> None:
        for _ in range(STEPS):
            step()

    warm = measure(step)
    found = measure(several)
    return Cost(found.seconds / STEPS, found.processor / STEPS, warm.bytes + found.bytes)


def steps_apart(widths: Iterable[int], batch: int, channels: int) -> Cost:
    """Return the cost of a training step in a process of its own."""
    return measure_apart(__file__, ["--steps", ",".join(map(str, widths)), batch, channels])


def grown(name: str, sizes: Iterable[int], cost: Callable[[int], Cost]) -> list[Point]:
    """Return the cost at every size."""
    points = []
    for size in sizes:
        found = cost(size)
        points.append({"size": size, **asdict(found)})
        print(f"{name:24}{size:9,}{found.processor:10.3f} s{found.bytes / 1e6:10.0f} MB", flush=True)
    return points


def commands(folder: Path, sizes: Iterable[int]) -> dict[str, list[Point]]:
    """Return the costs of commands on zoos of several sizes."""
    spec = NetworkSpec.cnn([1, 4, 4], kernel=3, stride=2, outputs=10, input_size=(8, 8))
    write_many(folder / "few", spec, FEW)
    chosen = ["training.epochs=null", "training.steps=1", "training.batch_size=8", f"data.zoo=['{folder / 'few'}']"]
    train_run(load_recipe("generalization/relu-monomial", chosen), folder / "run")
    for size in sizes:
        write_many(folder / f"zoo-{size}", spec, size)
    words: dict[str, Callable[[Path], list[object]]] = {
        "mnfn zoo info": lambda zoo: ["zoo", "info", zoo],
        "mnfn augment": lambda zoo: ["augment", zoo, "-o", folder / "new", "--force", "-q"],
        "mnfn predict": lambda zoo: ["predict", folder / "run", zoo, "-o", folder / "out.csv", "--force", "-q"],
    }
    return {
        name: grown(name, sizes, lambda size, make=make: measure_command(*make(folder / f"zoo-{size}")))
        for name, make in words.items()
    }


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("--networks", type=int, nargs="+", default=NETWORKS)
    parser.add_argument("--folder", type=Path, help="where to write; the folder for temporary files by default")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # of the processes that are measured
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        by_networks = commands(Path(folder), arguments.networks)
    document = {
        "device": device_name("cpu"),
        "torch": torch.__version__,
        "networks": by_networks,
        "width": grown("width", WIDTHS, lambda width: steps_apart((1, width, width), 1, 16)),
        "depth": grown("depth", DEPTHS, lambda depth: steps_apart((1, *[16] * depth), 8, 16)),
        "channels": grown("channels", CHANNELS, lambda channels: steps_apart((1, 16, 16, 16), 8, channels)),
    }
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--steps"]:
        given, batch, channels = sys.argv[2:]
        spec = NetworkSpec.cnn([int(width) for width in given.split(",")], kernel=3, outputs=10, activation="relu")
        print(json.dumps(asdict(steps(spec, int(batch), int(channels))), allow_nan=False))
    else:
        main()
