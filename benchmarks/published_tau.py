"""Train the published layers on one of our zoos, with its split and our schedule, to compare test tau.

Adam, learning rate 0.001, batch 8, original weights, the model of the best validation tau: as ``mnfn train``.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from mnfn_cli import WeightSpaceFeatures, open_zoo
from mnfn_cli.recipe import load_recipe
from mnfn_cli.runtime.seeds import generator
from mnfn_cli.tasks.data import Split, load_split
from mnfn_cli.tasks.generalization import Generalization
from mnfn_cli.tasks.metrics import kendall_tau
from reference import Reference

BATCH = 8


def predict(model: nn.Module, features: WeightSpaceFeatures) -> torch.Tensor:
    """Return predictions, without gradients."""
    with torch.no_grad():
        blocks = [features.select(slice(start, start + 256)) for start in range(0, features.batch, 256)]
        return torch.cat([model(block) for block in blocks])


def train(reference: Reference, name: str, zoo_path: Path, epochs: int, seed: int) -> dict[str, Any]:
    """Train once and return the figures."""
    zoo = open_zoo(zoo_path)
    recipe = load_recipe(f"generalization/{zoo.spec.activation}-monomial")
    targets = Generalization.on_zoos(recipe, [zoo]).targets
    splits: dict[str, Split] = {name: load_split([zoo], name, targets) for name in ("train", "val", "test")}
    torch.manual_seed(seed)
    training = splits["train"]
    if name == "monomial":
        model = reference.monomial(zoo.spec, head=200 if zoo.spec.group == "scale" else 1000)
    else:
        model = reference.baseline(name, zoo.spec, training.features)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    best, best_state = -2.0, model.state_dict()
    started = time.monotonic()
    for epoch in range(epochs):
        order = torch.randperm(len(training.ids), generator=generator(seed, "order", epoch))
        for rows in order.split(BATCH):
            optimizer.zero_grad()
            predicted = model(training.features.select(rows))
            F.binary_cross_entropy(predicted, training.targets[rows]).backward()
            optimizer.step()
        tau = kendall_tau(predict(model, splits["val"].features).double().numpy(), splits["val"].vector())
        if tau > best:
            best, best_state = tau, {name: tensor.clone() for name, tensor in model.state_dict().items()}
    seconds = time.monotonic() - started
    model.load_state_dict(best_state)
    predicted = predict(model, splits["test"].features).double().numpy()
    return {
        "command": f"python benchmarks/published_tau.py {zoo_path.name} --model {name} --reference CLONE",
        "model": name,
        "activation": zoo.spec.activation,
        "zoo": zoo.fingerprint,
        "epochs": epochs,
        "seed": seed,
        "validation_tau": best,
        "test_tau": kendall_tau(predicted, splits["test"].vector()),
        "seconds": round(seconds, 1),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
    }


def main() -> None:
    """Train, print one JSON object a seed, and write them all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("zoo", type=Path)
    parser.add_argument("--reference", type=Path, required=True, help="a clone of MathematicalAI-NUS/Monomial-NFN")
    parser.add_argument("--model", choices=("monomial", "statnn", "np", "hnp"), default="monomial")
    parser.add_argument("-o", "--out", type=Path, help="a JSON file")
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    reference = Reference(arguments.reference)
    results = []
    for seed in range(arguments.seeds):
        results.append(train(reference, arguments.model, arguments.zoo, arguments.epochs, seed))
        print(json.dumps(results[-1], allow_nan=False), flush=True)
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(results, indent=1, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
