"""Time of a training step of every recipe by which the paper's tables are made, on networks of the published sizes.

On a CPU it is the time that one thread of the processor works, which other work on the machine changes little. On a GPU
it is wall time. Candidates of one task take turns.

python benchmarks/paper_step.py -o docs/results/reproduce/step-times-cpu.json
python benchmarks/paper_step.py --device cuda -o docs/results/reproduce/step-times-cuda.json
"""

import argparse
import json
import re
import time
from pathlib import Path

import torch

from mnfn_cli.recipe import load_recipe
from mnfn_cli.tasks.counting import usual_space
from steps import training_step
from timing import interleaved

SIZES = {1: (28, 28), 3: (32, 32)}
"""The size of the pictures by their channels."""
RECIPES = {
    "generalization": (("relu", "tanh"), ("monomial", "statnn", "np", "hnp", "gnn")),
    "classification": (("mnist", "fashion", "cifar10"), ("monomial", "np", "hnp", "mlp")),
    "editing": (("mnist-dilate", "cifar10-contrast"), ("monomial", "np", "hnp", "mlp")),
}
"""By task, the first words of the recipes of the paper's tables, and the models."""


def device_name(device: str) -> str:
    """Return the name of the processor or of the GPU."""
    if device != "cpu":
        return torch.cuda.get_device_name(device)
    found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    return found[1] if found else "a processor of unknown name"


def measure(device: str, rounds: int) -> dict[str, dict[str, float]]:
    """Return the batch size and the seconds of a step of each recipe."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    measured = {}
    for task, (subjects, models) in RECIPES.items():
        steps, batches = {}, {}
        for name in (f"{task}/{subject}-{model}" for subject in subjects for model in models):
            recipe = load_recipe(name)
            spec, batches[name] = usual_space(name, recipe), recipe.training.batch_size
            steps[name] = training_step(name, spec, batches[name], SIZES.get(spec.widths[-1], (28, 28)), device)
        for name, seconds in interleaved(steps, rounds, clock=clock).items():
            measured[name] = {"batch": batches[name], "seconds": round(seconds, 6)}
            print(f"{name:45}{batches[name]:4}{1e3 * seconds:10.2f} ms", flush=True)
    return measured


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    document = {
        "device": device_name(arguments.device),
        "kind": torch.device(arguments.device).type,
        "torch": torch.__version__,
        "steps": measure(arguments.device, arguments.rounds),
    }
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
