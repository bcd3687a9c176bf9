"""Time of a training step of every model of the paper's tables beside the published one of equal size, in turns.

Both take a step on random networks with the optimizer that each code takes: Adam, fused in ours. Each has a process of
its own, as its users run it: ours with the memory settings of our commands, the published code, which comes from a
clone that the user points at, with torch's. The note of a row says how it is with our settings for both. The monomial
predictors of generalisation, and their memory, are in ``train_step``.

python benchmarks/published_step.py --reference CLONE
"""

import argparse
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import torch
from torch import nn

from mnfn_cli import NetworkSpec, WeightSpaceFeatures, build_model
from mnfn_cli.models import count_parameters
from mnfn_cli.recipe import load_recipe
from mnfn_cli.runtime.memory import keep_freed_memory
from reference import Reference
from rows import Row, record
from steps import step_of
from timing import Apart, interleaved
from train_step import space

LARGE = "classification/mnist-monomial"
TARGET, LARGE_TARGET = 1.5, 2.0
BATCHES = {"generalization": 8, "classification": 32, "editing": 32}
SIREN = NetworkSpec.mlp([2, 32, 32, 1], activation="sin", omega=30.0)
NAMES = (
    *(f"generalization/{activation}-{name}" for activation in ("relu", "tanh") for name in ("statnn", "np", "hnp")),
    *(f"classification/mnist-{name}" for name in ("monomial", "np", "hnp", "mlp")),
    *(f"editing/mnist-dilate-{name}" for name in ("monomial", "np", "hnp", "mlp")),
)
"""The recipes."""


def space_of(name: str) -> NetworkSpec:
    """Return the weight space that a recipe reads."""
    return space("relu" if "relu" in name else "tanh") if name.startswith("generalization") else SIREN


def published_model(name: str, reference: Path) -> nn.Module:
    """Return the published model of equal size."""
    task, kind = name.split("/")[0], name.rsplit("-", 1)[1]
    published, spec = Reference(reference), space_of(name)
    if task == "generalization":
        return published.baseline(kind, spec, WeightSpaceFeatures.randn(spec, BATCHES[task]))
    return published.classifier(kind, spec) if task == "classification" else published.editor(kind, spec)


def our_model(name: str) -> nn.Module:
    """Return the model of a recipe, ready for a step."""
    recipe, spec = load_recipe(name), space_of(name)
    model = build_model(name.split("/")[0] + "/" + recipe.model.name, spec, **recipe.model.options())
    if hasattr(model, "prepare"):
        model.prepare(WeightSpaceFeatures.randn(spec, BATCHES[recipe.task]))
    return model


def prepare(name: str, reference: Path | None, memory_kept: bool) -> Callable[[], None]:
    """Return a function that takes a step of our model, or of the published one of a clone at ``reference``."""
    torch.set_num_threads(1)
    if memory_kept:
        keep_freed_memory()
    model = our_model(name) if reference is None else published_model(name, reference)
    task = name.split("/")[0]
    return step_of(model, task, space_of(name), BATCHES[task], fused=reference is None)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", type=Path, help="a clone of MathematicalAI-NUS/Monomial-NFN")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", help="measure only recipes with this in their name")
    arguments = parser.parse_args()
    if arguments.reference is None:
        print("published_step: nothing is measured without --reference")
        return
    for name in (name for name in NAMES if arguments.only in name):
        with ExitStack() as processes:
            steps = {
                "ours": processes.enter_context(Apart(prepare, name, None, True)),
                "theirs": processes.enter_context(Apart(prepare, name, arguments.reference, False)),
                "kept": processes.enter_context(Apart(prepare, name, arguments.reference, True)),
            }
            taken = interleaved(steps, arguments.rounds, warmup=3)
        sizes = [count_parameters(model) for model in (our_model(name), published_model(name, arguments.reference))]
        note = (
            f"batch {BATCHES[name.split('/')[0]]}, {1e3 * taken['ours']:.1f} ms; with our memory settings for both "
            f"{taken['kept'] / taken['ours']:.2f}; {sizes[0]:,} parameters, published {sizes[1]:,}"
        )
        target = LARGE_TARGET if name == LARGE else TARGET
        ratio = taken["theirs"] / taken["ours"]
        record(Row(f"training step, {name}", "the published code", ratio, target, "higher", note))


if __name__ == "__main__":
    main()
