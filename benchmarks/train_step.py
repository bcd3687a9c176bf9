"""Time of one training step, batch 8: our layers, the bare matrix products, and the published layers."""

import argparse
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mnfn_cli import NetworkSpec, WeightSpaceFeatures, build_model
from reference import Reference
from timing import interleaved

BATCH = 8


def stepper(model: nn.Module, inputs: object, fused: bool) -> Callable[[], None]:
    """Return one step of Adam on fixed inputs."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=fused)
    targets = torch.rand(BATCH)

    def step() -> None:
        optimizer.zero_grad()
        F.binary_cross_entropy(model(inputs), targets).backward()
        optimizer.step()

    return step


def matrix_products(spec: NetworkSpec) -> Callable[[], None]:
    """Return the products of the two inner weights, forward and backward, and nothing else: the bulk of a step."""
    pairs = spec.widths[1] * spec.widths[2]
    tensors: list[tuple[Tensor, Tensor, Tensor, bool]] = []
    for d, e in pairwise((1, 16, 16, 5)):
        for _ in range(2):
            rows = BATCH * pairs
            tensors.append((torch.randn(rows, 9 * d), torch.randn(9 * e, 9 * d), torch.randn(rows, 9 * e), d > 1))

    def run() -> None:
        for x, weight, gradient, needs_input_gradient in tensors:
            x @ weight.T
            gradient.T @ x
            if needs_input_gradient:
                gradient @ weight

    return run


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reference", type=Path, help="a clone of MathematicalAI-NUS/Monomial-NFN")
    parser.add_argument("--rounds", type=int, default=60)
    arguments = parser.parse_args()
    reference = Reference(arguments.reference) if arguments.reference else None
    print(f"{'':8}{'threads':>8}{'ours ms':>10}{'products ms':>13}{'published ms':>14}{'ours/published':>16}")
    for activation, head in (("relu", 200), ("tanh", 1000)):
        spec = NetworkSpec.cnn([1, 16, 16, 16], kernel=3, stride=2, outputs=10, activation=activation)
        features = WeightSpaceFeatures.randn(spec, BATCH).map(lambda tensor: 0.1 * tensor)
        candidates = {
            "ours": stepper(build_model("generalization/monomial", spec), features, fused=True),
            "products": matrix_products(spec),
        }
        if reference:
            candidates["published"] = stepper(reference.monomial(spec, head), reference.features(features), fused=False)
        for threads in (1, 2):
            torch.set_num_threads(threads)
            ms = {name: 1e3 * s for name, s in interleaved(candidates, arguments.rounds, warmup=5).items()}
            theirs = f"{ms['published']:14.2f}{ms['ours'] / ms['published']:16.2f}" if reference else ""
            print(f"{activation:8}{threads:8}{ms['ours']:10.2f}{ms['products']:13.2f}{theirs}")


if __name__ == "__main__":
    main()
