"""Time and peak memory of a training step: our layers, the bare matrix products, and the published layers.

Times are taken in turns in one process, which keeps freed memory as commands do (``runtime.memory``). Peak memory is
that of a process of its own while it takes steps, beyond what the process held before: the model, its gradients, Adam's
moments, and the activations of a batch.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from cost import load_what_torch_loads_late, resident
from mnfn_cli import NetworkSpec, WeightSpaceFeatures, build_model
from mnfn_cli.nn.blocks import arrange
from mnfn_cli.nn.monomial import MonomialLinear
from mnfn_cli.runtime.memory import HUGE_PAGES, keep_freed_memory
from reference import Reference
from rows import Row, record
from timing import interleaved

HEADS = {"relu": 200, "tanh": 1000}
"""The width of the published head by the activation of the networks."""
TARGETS = {8: 2.0, 256: 1.15}
"""What the step of the ReLU model should take, in units of its matrix products, by batch size."""
MEMORY_TARGET = 0.6
MEMORY_STEPS = 3


def space(activation: str) -> NetworkSpec:
    """Return the weight space of the Small CNN Zoo."""
    return NetworkSpec.cnn([1, 16, 16, 16], kernel=3, stride=2, outputs=10, activation=activation)


def stepper(name: str, activation: str, batch: int, reference: Reference | None) -> Callable[[], None]:
    """Return one step of Adam on fixed inputs by ``ours`` or by the ``published`` model."""
    spec = space(activation)
    features = WeightSpaceFeatures.randn(spec, batch).map(lambda tensor: 0.1 * tensor)
    if name == "ours":
        model = build_model("generalization/monomial", spec)
    else:
        assert reference
        model = reference.monomial(spec, HEADS[activation])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=name == "ours")
    targets = torch.rand(batch)

    def step() -> None:
        optimizer.zero_grad()
        F.binary_cross_entropy(model(features), targets).backward()
        optimizer.step()

    return step


def matrix_products(activation: str, batch: int) -> Callable[[], None]:
    """Return the products of a step of our model, forward and backward, and nothing else.

    They are those of every monomial layer in every block, and of the head: ``x W^T``, the gradient of ``W``, and that
    of ``x`` where it is needed. Each is one product of the whole batch, of contiguous matrices; in a gradient of ``W``
    the narrower factor comes first, which is faster.
    """
    spec = space(activation)
    model = build_model("generalization/monomial", spec)
    layers = [module for module in model.modules() if isinstance(module, MonomialLinear)]
    rows = [x.flatten(0, 1).shape[0] for x in arrange(layers[0].blocks, WeightSpaceFeatures.zeros(spec, batch))]
    maps = [
        (n, weight, i > 0) for i, layer in enumerate(layers) for n, weight in zip(rows, layer.matrices, strict=True)
    ]
    maps += [(batch, module.weight, True) for module in model.modules() if isinstance(module, nn.Linear)]
    tensors = [
        (torch.randn(n, weight.shape[1]), weight.detach(), torch.randn(n, weight.shape[0]), inner)
        for n, weight, inner in maps
    ]

    def run() -> None:
        for x, weight, gradient, needs_input_gradient in tensors:
            x @ weight.T
            _ = x.T @ gradient if x.shape[1] < gradient.shape[1] else gradient.T @ x
            if needs_input_gradient:
                gradient @ weight

    return run


def peak_memory(name: str, batch: int, reference: Reference | None) -> int:
    """Return the bytes that steps of the ReLU model take at most, beyond those held before it is built.

    Ours has the memory settings of our commands.
    """
    if name == "ours":
        keep_freed_memory()
    load_what_torch_loads_late()
    before = resident("VmRSS")
    step = stepper(name, "relu", batch, reference)
    for _ in range(MEMORY_STEPS):
        step()
    return resident("VmHWM") - before


def memory_row(batch: int, path: Path) -> Row:
    """Return our peak memory against that of the published code, each measured in a process of its own."""
    command = [sys.executable, __file__, "--reference", str(path), "--memory-of"]
    environment = {name: value for name, value in os.environ.items() if name != HUGE_PAGES}
    ours, theirs = (
        int(subprocess.run([*command, name], check=True, capture_output=True, text=True, env=environment).stdout)
        for name in ("ours", "published")
    )
    note = f"{ours / 2**20:.0f} MiB, published {theirs / 2**20:.0f} MiB"
    work = f"peak memory of a step, ReLU monomial, batch {batch}"
    return Row(work, "the published code", ours / theirs, MEMORY_TARGET, "lower", note)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reference", type=Path, help="a clone of MathematicalAI-NUS/Monomial-NFN")
    parser.add_argument("--rounds", type=int, default=60, help="with batches of 8; fewer with larger ones")
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    reference = Reference(arguments.reference) if arguments.reference else None
    largest = max(TARGETS)
    if arguments.memory_of:
        print(peak_memory(arguments.memory_of, largest, reference))
        return
    torch.set_num_threads(1)
    keep_freed_memory()
    for activation in HEADS:
        for batch, target in TARGETS.items():
            names = ["ours", *(["published"] if reference else [])]
            candidates = {name: stepper(name, activation, batch, reference) for name in names}
            candidates["products"] = matrix_products(activation, batch)
            rounds = max(5, arguments.rounds * min(TARGETS) // batch)
            ms = {name: 1e3 * s for name, s in interleaved(candidates, rounds, warmup=3).items()}
            note = "1 thread, " + ", ".join(f"{name} {taken:.1f} ms" for name, taken in ms.items())
            work = f"training step, {activation} monomial, batch {batch}"
            record(Row(work, "bare matrix products of the step", ms["ours"] / ms["products"], target, "lower", note))
    if arguments.reference:
        record(memory_row(largest, arguments.reference))


if __name__ == "__main__":
    main()
