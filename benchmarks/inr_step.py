"""Time of a training step of every small INR recipe, forward, backward and Adam, taken in turns; ratios to NP.

python benchmarks/inr_step.py -o docs/results/inr/step-times.json
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F

from mnfn_cli import NetworkSpec, WeightSpaceFeatures, build_model
from mnfn_cli.recipe import list_recipes, load_recipe
from mnfn_cli.weightspace.rendering import render
from timing import interleaved

BATCH = 32
DIGITS = (NetworkSpec.mlp([2, 16, 16, 1], activation="sin", omega=15.0), (16, 16))
PHOTOS = (NetworkSpec.mlp([2, 32, 32, 3], activation="sin", omega=30.0), (32, 32))


def make_step(name: str) -> Callable[[], None]:
    """Return one training step of a recipe on a batch of random weights."""
    spec, size = PHOTOS if "photos" in name else DIGITS
    recipe = load_recipe(name)
    model = build_model(f"{recipe.task}/{recipe.model.name}", spec, **recipe.model.options())
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, fused=True)
    features = WeightSpaceFeatures.randn(spec, BATCH).map(lambda tensor: 0.2 * tensor)
    labels = torch.arange(BATCH) % 10
    pictures = torch.rand(BATCH, spec.widths[-1], *size)

    def step() -> None:
        optimizer.zero_grad()
        output = model(features)
        if recipe.task == "classification":
            loss = F.cross_entropy(output, labels)
        else:
            loss = F.mse_loss(render(spec, features.zip_map(torch.add, output), size), pictures)
        loss.backward()
        optimizer.step()

    return step


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    names = [entry.name for entry in list_recipes() if "digits" in entry.name or "photos" in entry.name]
    seconds = {}
    for kind in ("classification/digits", "editing/digits", "editing/photos"):
        seconds |= interleaved({name: make_step(name) for name in names if name.startswith(kind)}, arguments.rounds)
    for name, time in seconds.items():
        rival = f"{name.rpartition('monomial-strict')[0] or name.rpartition('-')[0] + '-'}np"
        print(f"{name:45}{1e3 * time:8.1f} ms{time / seconds[rival]:8.2f} x NP")
    if arguments.out:
        document = {"threads": torch.get_num_threads(), "batch": BATCH, "seconds_per_step": seconds}
        arguments.out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
