"""Time of a training step of every small INR recipe, forward, backward and Adam, taken in turns; ratios to NP.

python benchmarks/inr_step.py -o docs/results/inr/step-times.json
"""

import argparse
import json
from pathlib import Path

import torch

from mnfn_cli import NetworkSpec
from mnfn_cli.recipe import list_recipes
from steps import training_step
from timing import interleaved

BATCH = 32
DIGITS = (NetworkSpec.mlp([2, 16, 16, 1], activation="sin", omega=15.0), (16, 16))
PHOTOS = (NetworkSpec.mlp([2, 32, 32, 3], activation="sin", omega=30.0), (32, 32))


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    names = [entry.name for entry in list_recipes() if "digits" in entry.name or "photos" in entry.name]
    seconds = {}
    for kind in ("classification/digits", "editing/digits", "editing/photos"):
        spec, size = PHOTOS if "photos" in kind else DIGITS
        steps = {name: training_step(name, spec, BATCH, size) for name in names if name.startswith(kind)}
        seconds |= interleaved(steps, arguments.rounds)
    for name, time in seconds.items():
        rival = f"{name.rpartition('monomial-strict')[0] or name.rpartition('-')[0] + '-'}np"
        print(f"{name:45}{1e3 * time:8.1f} ms{time / seconds[rival]:8.2f} x NP")
    if arguments.out:
        document = {"threads": torch.get_num_threads(), "batch": BATCH, "seconds_per_step": seconds}
        arguments.out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
