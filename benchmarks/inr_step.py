"""Time of a training step of INR recipes, forward, backward and Adam, taken in turns.

Every small recipe stands beside that with NP layers, and the classifier of 22 million parameters beside the matrix
products of its own step.


python benchmarks/inr_step.py -o docs/results/inr/step-times.json
"""

import argparse
import json
from pathlib import Path

import torch

from mnfn_cli import NetworkSpec
from mnfn_cli.recipe import list_recipes
from mnfn_cli.runtime.memory import keep_freed_memory
from rows import Row, record
from steps import products_of, training_step
from timing import interleaved

BATCH = 32
STRICT, NP = "editing/digits-dilate-monomial-strict", "editing/digits-dilate-np"
STRICT_TARGET, LARGE_TARGET = 1.15, 2.2
LARGE = "classification/mnist-monomial"
LARGE_ROUNDS = 3
DIGITS = (NetworkSpec.mlp([2, 16, 16, 1], activation="sin", omega=15.0), (16, 16))
MNIST = NetworkSpec.mlp([2, 32, 32, 1], activation="sin", omega=30.0)
PHOTOS = (NetworkSpec.mlp([2, 32, 32, 3], activation="sin", omega=30.0), (32, 32))


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    names = [entry.name for entry in list_recipes() if "digits" in entry.name or "photos" in entry.name]
    seconds = {}
    for kind in ("classification/digits", "editing/digits", "editing/photos"):
        spec, size = PHOTOS if "photos" in kind else DIGITS
        steps = {name: training_step(name, spec, BATCH, size) for name in names if name.startswith(kind)}
        products = {f"products of {name}": products_of(steps[name]) for name in (STRICT, NP) if name in steps}
        seconds |= interleaved(steps | products, arguments.rounds)
    bare = {name: seconds.pop(f"products of {name}") for name in (STRICT, NP)}
    for name, time in seconds.items():
        rival = f"{name.rpartition('monomial-strict')[0] or name.rpartition('-')[0] + '-'}np"
        print(f"{name:45}{1e3 * time:8.1f} ms{time / seconds[rival]:8.2f} x NP")
    step = training_step(LARGE, MNIST, BATCH)
    large = interleaved({"step": step, "products": products_of(step)}, LARGE_ROUNDS)
    note = f"batch {BATCH}, {1e3 * large['step']:.0f} ms"
    ratio = large["step"] / large["products"]
    record(Row(f"training step, {LARGE}", "matrix products of the step", ratio, LARGE_TARGET, "lower", note))
    shares = f"its matrix products alone {bare[STRICT] / seconds[NP]:.2f}, those of NP {bare[NP] / seconds[NP]:.2f}"
    note = f"batch {BATCH}, {1e3 * seconds[STRICT]:.1f} ms; {shares}"
    ratio = seconds[STRICT] / seconds[NP]
    record(Row("training step, strict editor", "NP editor of equal size", ratio, STRICT_TARGET, "lower", note))
    if arguments.out:
        document = {"threads": torch.get_num_threads(), "batch": BATCH, "seconds_per_step": seconds}
        arguments.out.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
