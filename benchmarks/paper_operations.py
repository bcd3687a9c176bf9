"""Estimate of the time of a training step on a GPU that is not here, from the operations of the step.

The step of each recipe of ``paper_step`` runs on the meta device, which computes shapes and no numbers. Every operation
that is no view is taken for one kernel. It is estimated to take as long as the longest of its start, of reading and
writing its tensors once, and of its floating-point operations, at the speeds in the card's data sheet. Kernels that
reach neither speed make a step slower than that, fused ones make it faster: the estimate is an order of magnitude.

python benchmarks/paper_operations.py -o docs/results/reproduce/step-estimates-a100.json
"""

import argparse
import json
from pathlib import Path

import torch

from mnfn_cli.recipe import load_recipe
from mnfn_cli.tasks.counting import usual_space
from operations import operations_of
from paper_step import RECIPES, SIZES
from steps import training_step

DEVICE = "NVIDIA A100, 40 GB"
CARD = {
    "seconds_to_start": 1e-5,
    "bytes_per_second": 1.555e12,
    "float32_operations_per_second": 1.95e13,
}
"""Bandwidth and speed from the card's data sheet; some ten microseconds are usual for torch to start a kernel."""


def count() -> dict[str, dict[str, float]]:
    """Return the batch size, the operations and the estimated seconds of a step of each recipe."""
    counted = {}
    for task, (subjects, models) in RECIPES.items():
        for name in (f"{task}/{subject}-{model}" for subject in subjects for model in models):
            recipe = load_recipe(name)
            spec, batch = usual_space(name, recipe), recipe.training.batch_size
            step = training_step(name, spec, batch, SIZES.get(spec.widths[-1], (28, 28)), "meta")
            found = operations_of(step)
            seconds = found.seconds(
                CARD["seconds_to_start"], CARD["bytes_per_second"], CARD["float32_operations_per_second"]
            )
            counted[name] = {
                "batch": batch,
                "seconds": round(seconds, 6),
                "operations": len(found.bytes),
                "gigabytes": round(sum(found.bytes) / 1e9, 4),
                "gigaflops": round(sum(found.flops) / 1e9, 4),
            }
            print(f"{name:45}{batch:4}{len(found.bytes):7} operations{1e3 * seconds:10.2f} ms", flush=True)
    return counted


def main() -> None:
    """Count, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path)
    arguments = parser.parse_args()
    document = {"device": DEVICE, **CARD, "kind": "estimate", "torch": torch.__version__, "steps": count()}
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
