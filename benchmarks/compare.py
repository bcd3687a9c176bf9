"""Twins that ``mnfn compare`` and ``mnfn zoo verify --twins`` tell, and the seconds that this takes for 2,000 of them.

A twin differs by a random permutation, and by factors from U[1, 1e4] or random signs. The pairs of other networks are
made of one network and the twin of another.
"""

import argparse
import tempfile
from pathlib import Path

import torch

from mnfn_cli import MonomialElement, NetworkSpec, WeightSpaceFeatures, save_zoo
from mnfn_cli.weightspace.alignment import Alignment, align
from mnfn_cli.zoo.probes import compare_outputs, input_shape, random_inputs
from mnfn_cli.zoo.twins import find_twins
from timing import interleaved


def align_one_by_one(spec: NetworkSpec, a: WeightSpaceFeatures, b: WeightSpaceFeatures) -> None:
    """Align every pair in a call of its own."""
    for row in range(a.batch):
        align(spec, a.select(slice(row, row + 1)), b.select(slice(row, row + 1)))


def describe(name: str, found: Alignment) -> None:
    """Print how many pairs are told to be twins, and how far apart the pairs are in canonical form."""
    least, largest = float(found.residual.min()), float(found.residual.max())
    count = int(found.twins.sum())
    print(f"  {name:34}{count:7d} of {len(found.twins)} told as twins; left {least:.1e} to {largest:.1e}")


def measure(activation: str, networks: int, rounds: int, folder: Path) -> None:
    """Measure and print for networks with one activation."""
    spec = NetworkSpec.cnn([1, 16, 16, 16], kernel=3, stride=2, outputs=10, activation=activation)
    generator = torch.Generator().manual_seed(0)
    a = WeightSpaceFeatures.randn(spec, networks, generator=generator).map(lambda tensor: 0.2 * tensor)
    b = MonomialElement.sample(spec, networks, generator=generator).act(a)
    print(f"{activation}: {networks} pairs of networks with {spec.num_parameters} numbers each, {spec.group} group")
    describe("twins", align(spec, a, b))
    describe("other networks", align(spec, a, b.select(torch.arange(networks).roll(1))))
    shape = input_shape(spec)
    assert shape is not None
    error = float(compare_outputs(spec, a, b, [random_inputs(shape)]).relative.max())
    print(f"  largest relative difference of the outputs of twins {error:.1e}")
    half = networks // 2
    table = {"id": [f"{row:05d}" for row in range(2 * half)], "split": ["train"] * half + ["test"] * half}
    both = WeightSpaceFeatures.cat([a.select(slice(half)), b.select(torch.randperm(half, generator=generator))])
    zoo = save_zoo(folder / activation, spec, both, table)
    twins = find_twins(zoo)
    right = sum(pair.leak for pair in twins)
    print(f"  verify --twins on a zoo of {2 * half}: {right} of {half} pairs found, {len(twins) - right} others")
    jobs = {
        "align, all pairs in one call": lambda: align(spec, a, b),
        "align, one call for each pair": lambda: align_one_by_one(spec, a, b),
        "verify --twins": lambda: find_twins(zoo),
    }
    seconds = interleaved(jobs, rounds)
    for name, taken in seconds.items():
        print(f"  {name:34}{taken:7.2f} s{networks / taken:10.0f} networks/s")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for activation in ("relu", "tanh"):
            measure(activation, arguments.networks, arguments.rounds, Path(folder))


if __name__ == "__main__":
    main()
