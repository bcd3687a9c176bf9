"""What every model for predicting generalisation costs: time of a training step and of a prediction, peak memory.

Times are taken in turns in one process, at batches of 8 (a step) and 256 (a prediction). Peak memory is that of a
process of its own for each model while it takes steps, beyond what the process held before: the model, its gradients,
Adam's moments, and the activations of a batch.

python benchmarks/cost.py ZOO -o docs/results/generalization/cost.json
"""

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F

from mnfn_cli import build_model, open_zoo
from mnfn_cli.recipe import list_recipes, load_recipe
from timing import interleaved

STEP_BATCH = 8
PREDICTION_BATCH = 256
MEMORY_STEPS = 20


class Candidate:
    """A recipe's model on networks of a zoo."""

    def __init__(self, name: str, zoo_path: Path) -> None:
        zoo = open_zoo(zoo_path)
        self.features = zoo.read(range(PREDICTION_BATCH))
        self.batch = self.features.select(slice(0, STEP_BATCH))
        self.targets = torch.linspace(0, 1, STEP_BATCH)
        load_what_torch_loads_late()
        self.before = resident("VmRSS")
        recipe = load_recipe(name)
        self.model = build_model(f"{recipe.task}/{recipe.model.name}", zoo.spec, **recipe.model.options())
        self.model.prepare(self.features)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-4, fused=True)

    @property
    def parameters(self) -> int:
        """How many numbers are learned."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    def step(self) -> None:
        """Forward, backward and Adam."""
        self.optimizer.zero_grad()
        F.binary_cross_entropy(self.model(self.batch), self.targets).backward()
        self.optimizer.step()

    def predict(self) -> None:
        """Predict."""
        with torch.no_grad():
            self.model(self.features)

    def peak_memory(self) -> int:
        """Return the bytes that steps took at most, beyond those held before the model was built."""
        for _ in range(MEMORY_STEPS):
            self.step()
        return resident("VmHWM") - self.before


def resident(which: str) -> int:
    """Return the bytes of memory that this process holds now (``VmRSS``) or held at most (``VmHWM``); Linux.

    ``resource.getrusage`` would not do: its maximum is handed down to a new process from the one that started it.
    """
    found = re.search(rf"{which}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return 1024 * int(found[1])


def load_what_torch_loads_late() -> None:
    """Take a step of a tiny model: the code that its first step loads is no model's memory."""
    model = torch.nn.Linear(1, 1)
    model(torch.ones(1, 1)).sum().backward()
    torch.optim.Adam(model.parameters(), fused=True).step()


def measure_memory(name: str, zoo: Path) -> int:
    """Return a model's peak memory in bytes, measured in a process of its own."""
    command = [sys.executable, __file__, str(zoo), "--memory-of", name]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("zoo", type=Path)
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory_of:
        print(Candidate(arguments.memory_of, arguments.zoo).peak_memory())
        return
    activation = open_zoo(arguments.zoo).spec.activation
    names = [entry.name for entry in list_recipes() if entry.name.startswith(f"generalization/{activation}-")]
    candidates = {name: Candidate(name, arguments.zoo) for name in names}
    steps: dict[str, Callable[[], None]] = {name: candidate.step for name, candidate in candidates.items()}
    predictions: dict[str, Callable[[], None]] = {name: candidate.predict for name, candidate in candidates.items()}
    step_seconds = interleaved(steps, arguments.rounds, warmup=3)
    prediction_seconds = interleaved(predictions, arguments.rounds, warmup=1)
    rows = [
        {
            "recipe": name,
            "parameters": candidate.parameters,
            "seconds_per_step": step_seconds[name],
            "seconds_per_prediction": prediction_seconds[name] / PREDICTION_BATCH,
            "peak_bytes": measure_memory(name, arguments.zoo),
        }
        for name, candidate in candidates.items()
    ]
    ours = next(row for row in rows if row["recipe"] == f"generalization/{activation}-monomial")
    print(f"{'':40}{'parameters':>12}{'step':>10}{'':>8}{'prediction':>14}{'':>8}{'memory':>10}")
    for row in rows:
        step, prediction = (row[key] / ours[key] for key in ("seconds_per_step", "seconds_per_prediction"))
        print(
            f"{row['recipe']:40}{row['parameters']:12,}{1e3 * row['seconds_per_step']:7.1f} ms{step:7.2f}x"
            f"{1e6 * row['seconds_per_prediction']:11.0f} us{prediction:7.2f}x{row['peak_bytes'] / 2**20:7.0f} MiB"
        )
    if arguments.out:
        document = {
            "command": f"python benchmarks/cost.py {arguments.zoo.name}",
            "threads": torch.get_num_threads(),
            "step_batch": STEP_BATCH,
            "prediction_batch": PREDICTION_BATCH,
            "rows": rows,
        }
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
