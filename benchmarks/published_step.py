"""Time of a training step of every model of the paper's tables beside the published one of equal size, in turns.

Both take a step on random networks with the optimizer that each code takes: Adam, fused in ours. Freed memory is kept
for both, which the published code does not do by itself; it comes from a clone that the user points at. The monomial
predictors of generalisation, and their memory, are in ``train_step``.

python benchmarks/published_step.py --reference CLONE
"""

import argparse
from collections.abc import Iterator
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
from timing import interleaved
from train_step import space

LARGE = "classification/mnist-monomial"
TARGET, LARGE_TARGET = 1.5, 2.0
BATCHES = {"generalization": 8, "classification": 32, "editing": 32}
SIREN = NetworkSpec.mlp([2, 32, 32, 1], activation="sin", omega=30.0)


def pairs(reference: Reference) -> Iterator[tuple[str, NetworkSpec, nn.Module]]:
    """Yield the name of each recipe, the weight space that it reads, and the published model."""
    for activation in ("relu", "tanh"):
        spec = space(activation)
        some = WeightSpaceFeatures.randn(spec, BATCHES["generalization"])
        for name in ("statnn", "np", "hnp"):
            yield f"generalization/{activation}-{name}", spec, reference.baseline(name, spec, some)
    for name in ("monomial", "np", "hnp", "mlp"):
        yield f"classification/mnist-{name}", SIREN, reference.classifier(name, SIREN)
    for name in ("monomial", "np", "hnp", "mlp"):
        yield f"editing/mnist-dilate-{name}", SIREN, reference.editor(name, SIREN)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", type=Path, help="a clone of MathematicalAI-NUS/Monomial-NFN")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    if arguments.reference is None:
        print("published_step: nothing is measured without --reference")
        return
    torch.set_num_threads(1)
    keep_freed_memory()
    for name, spec, published in pairs(Reference(arguments.reference)):
        recipe = load_recipe(name)
        ours = build_model(f"{recipe.task}/{recipe.model.name}", spec, **recipe.model.options())
        batch = BATCHES[recipe.task]
        if hasattr(ours, "prepare"):
            ours.prepare(WeightSpaceFeatures.randn(spec, batch))
        models = {"ours": ours, "theirs": published}
        steps = {kind: step_of(models[kind], recipe.task, spec, batch, fused=kind == "ours") for kind in models}
        taken = interleaved(steps, arguments.rounds)
        sizes = f"{count_parameters(ours):,} parameters, published {count_parameters(published):,}"
        note = f"batch {batch}, {1e3 * taken['ours']:.1f} ms; {sizes}"
        target = LARGE_TARGET if name == LARGE else TARGET
        ratio = taken["theirs"] / taken["ours"]
        record(Row(f"training step, {name}", "the published code", ratio, target, "higher", note))


if __name__ == "__main__":
    main()
