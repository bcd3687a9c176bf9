"""Networks a second: ``mnfn augment``, with its proof and without, against loops that act on one network after another.

The loop here takes a network's arrays out of the zoo, makes a state dict of them under the names of a module's,
permutes and scales tensor by tensor, and stacks the arrays. With ``--reference`` the published loop runs too, which
also looks up each network's label.
"""

import argparse
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mnfn_cli import MonomialElement, NetworkSpec, WeightSpaceFeatures, save_zoo
from mnfn_cli.runtime.memory import keep_freed_memory
from mnfn_cli.zoo.augment import BLOCK, augment_zoo
from reference import Reference
from rows import Row, record
from timing import interleaved

PUBLISHED_COPIES = 10


def act_one_by_one(arrays: list[np.ndarray], module: nn.Module) -> list[np.ndarray]:
    """Act on every network alone, by ``U[1, 10]`` and a random permutation; W(1), b(1), ... in and out."""
    results: list[list[np.ndarray]] = [[] for _ in arrays]
    for row in range(len(arrays[0])):
        tensors = [torch.from_numpy(array[row]) for array in arrays]
        network = dict(zip(module.state_dict(), tensors, strict=True))
        names = list(network)
        permutation: Tensor | None = None
        scale: Tensor | None = None
        for position in range(0, len(names), 2):
            weight, bias = network[names[position]], network[names[position + 1]]
            if permutation is not None and scale is not None:
                weight = weight[:, permutation]
                weight = (weight.transpose(1, -1) / scale).transpose(1, -1)
            if position + 2 < len(names):
                permutation = torch.randperm(len(weight))
                scale = 1 + 9 * torch.rand(len(weight))
                weight = (weight[permutation].transpose(0, -1) * scale).transpose(0, -1)
                bias = bias[permutation] * scale
            network[names[position]], network[names[position + 1]] = weight, bias
        for column, tensor in zip(results, network.values(), strict=True):
            column.append(tensor.numpy())
    return [np.stack(column) for column in results]


MEMORY = Path("/dev/shm")
"""A file system that keeps its files in memory, where a system has one: what is left without a disk."""


def act_in_blocks(spec: NetworkSpec, features: WeightSpaceFeatures) -> None:
    """Act as ``augment_zoo`` does between reading a block and handing it to the writer."""
    for start in range(0, features.batch, BLOCK):
        block = features.select(slice(start, start + BLOCK))
        MonomialElement.sample(spec, block.batch, (1.0, 10.0)).act(block)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--reference", type=Path, help="a clone of MathematicalAI-NUS/Monomial-NFN")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()  # as the command does
    spec = NetworkSpec.cnn([1, 16, 16, 16], kernel=3, stride=2, outputs=10, input_size=(16, 16))
    features = WeightSpaceFeatures.randn(spec, arguments.networks).map(lambda tensor: 0.2 * tensor)
    some = features.select(slice(arguments.networks // 20))
    few = [tensor[:, 0].numpy() for tensor in some.tensors()]
    convolutions = [nn.Conv2d(1, 16, 3), nn.Conv2d(16, 16, 3), nn.Conv2d(16, 16, 3)]
    module = nn.Sequential(*convolutions, nn.Linear(16, 10))
    with tempfile.TemporaryDirectory() as folder:
        table = {"id": [str(i) for i in range(features.batch)], "split": ["train"] * features.batch}
        zoo = save_zoo(Path(folder) / "zoo", spec, features, table)
        augment = partial(augment_zoo, zoo, Path(folder) / "augmented", force=True)
        # Loops and engine take turns; writing 200 MB would leave its traces on whatever runs after it.
        jobs = {"loop": lambda: act_one_by_one(few, module), "engine": lambda: act_in_blocks(spec, features)}
        if arguments.reference:
            jobs["published"] = Reference(arguments.reference).augmentation(some, PUBLISHED_COPIES)
        seconds = interleaved(jobs, arguments.rounds)
        seconds |= interleaved({"disk": partial(augment, verify=False), "proof": augment}, arguments.rounds)
        if MEMORY.is_dir():
            with tempfile.TemporaryDirectory(dir=MEMORY) as inner:
                unwritten = partial(augment_zoo, zoo, Path(inner) / "augmented", force=True, verify=False)
                seconds |= interleaved({"memory": unwritten}, arguments.rounds)
    rates = {
        "one-by-one loop": some.batch / seconds["loop"],
        "acting, in memory": features.batch / seconds["engine"],
        "augment --no-verify, zoo to zoo on disk": features.batch / seconds["disk"],
        "augment with its proof, zoo to zoo": features.batch / seconds["proof"],
    }
    baseline = rates["one-by-one loop"]
    if arguments.reference:
        baseline = rates["published one-by-one loop"] = some.batch * PUBLISHED_COPIES / seconds["published"]
    for name, rate in rates.items():
        print(f"{name:42}{rate:10.0f} networks/s{rate / baseline:8.1f} x")
    note = f"{features.batch} networks, 1 thread"
    acting, written, proof = list(rates.values())[1:4]
    record(Row("augment with its proof", "acting in memory", acting / proof, 30, "lower", note))
    record(Row("augment with its proof", "augment --no-verify", written / proof, 5, "lower", note))
    if arguments.reference:
        record(Row("augment --no-verify, zoo to zoo", "the published loop", written / baseline, 10, "higher", note))
        if "memory" in seconds:
            kept = features.batch / seconds["memory"]
            work = "augment --no-verify, to a file system in memory"
            record(Row(work, "the published loop", kept / baseline, 10, "higher", note))


if __name__ == "__main__":
    main()
