"""How near training steps come to what one core can compute and move: the roofline of this machine.

The core's speed is that of a product of two large matrices, its bandwidth that of a copy of a large tensor. A step's
arithmetic and its bytes are counted on the meta device, with every tensor of every operation read or written once. What
stays in the cache from one operation to the next is not moved, so a step can be faster than its bytes allow.

python benchmarks/roofline.py -o docs/results/performance/roofline.json
"""

import argparse
import json
from pathlib import Path

import torch

from mnfn_cli.recipe import load_recipe
from mnfn_cli.tasks.counting import usual_space
from operations import operations_of
from paper_step import SIZES, device_name
from steps import training_step
from timing import interleaved

STEPS = (
    ("generalization/relu-monomial", 8),
    ("generalization/relu-monomial", 256),
    ("generalization/tanh-monomial", 8),
    ("generalization/relu-statnn", 8),
    ("generalization/relu-np", 8),
    ("generalization/relu-gnn", 8),
    ("classification/mnist-monomial", 32),
    ("editing/mnist-dilate-monomial", 32),
)
"""Recipes and batch sizes."""
SIDE = 1024
NUMBERS = 1 << 26


def machine(rounds: int) -> tuple[float, float]:
    """Return the floating-point operations and the bytes that one core does a second."""
    a, b = torch.randn(2, SIDE, SIDE)
    source = torch.randn(NUMBERS)
    target = torch.empty_like(source)
    seconds = interleaved({"product": lambda: a @ b, "copy": lambda: target.copy_(source)}, rounds)
    return 2 * SIDE**3 / seconds["product"], 2 * 4 * NUMBERS / seconds["copy"]


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    flops_per_second, bytes_per_second = machine(arguments.rounds)
    print(f"one core: {flops_per_second / 1e9:.1f} GFLOP/s, {bytes_per_second / 1e9:.1f} GB/s")
    steps, counted = {}, {}
    for name, batch in STEPS:
        spec = usual_space(name, load_recipe(name))
        size = SIZES.get(spec.widths[-1], (28, 28))
        steps[f"{name}, batch {batch}"] = training_step(name, spec, batch, size)
        counted[f"{name}, batch {batch}"] = operations_of(training_step(name, spec, batch, size, "meta"))
    rows = []
    for name, seconds in interleaved(steps, arguments.rounds).items():
        flops, moved = sum(counted[name].flops), sum(counted[name].bytes)
        bound = max(flops / flops_per_second, moved / bytes_per_second)
        rows.append({"step": name, "seconds": seconds, "flops": flops, "bytes": moved, "of_roof": bound / seconds})
        print(f"{name:45}{1e3 * seconds:10.1f} ms{flops / seconds / 1e9:8.1f} GFLOP/s{flops / moved:8.1f} FLOP/byte")
    document = {
        "device": device_name("cpu"),
        "torch": torch.__version__,
        "flops_per_second": flops_per_second,
        "bytes_per_second": bytes_per_second,
        "steps": rows,
    }
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
