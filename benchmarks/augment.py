"""Networks a second: ``mnfn augment --no-verify``'s engine against a one-by-one loop like the published one.

The loop does for each network what the published augmentation does: it takes the tensors out of the zoo as a state
dict, permutes and scales them one by one, and puts the results back into arrays.
"""

import argparse
import tempfile
from pathlib import Path

import torch
from torch import Tensor

from mnfn_cli import MonomialElement, NetworkSpec, WeightSpaceFeatures, save_zoo
from mnfn_cli.zoo.augment import BLOCK, augment_zoo
from timing import interleaved


def act_one_by_one(features: WeightSpaceFeatures) -> WeightSpaceFeatures:
    """Act on every network alone, by ``U[1, 10]`` and a random permutation."""
    results = []
    for network in features.to_state_dicts():
        names = list(network)
        permutation: Tensor | None = None
        scale: Tensor | None = None
        acted = {}
        for position in range(0, len(names), 2):
            weight, bias = network[names[position]], network[names[position + 1]]
            if permutation is not None and scale is not None:
                weight = weight[:, permutation] / scale.view(1, -1, *(1,) * (weight.dim() - 2))
            if position + 2 < len(names):
                permutation = torch.randperm(len(weight))
                scale = 1 + 9 * torch.rand(len(weight))
                weight = weight[permutation] * scale.view(-1, *(1,) * (weight.dim() - 1))
                bias = bias[permutation] * scale
            acted[names[position]], acted[names[position + 1]] = weight, bias
        results.append(acted)
    return WeightSpaceFeatures.from_state_dicts(results)


def act_in_blocks(spec: NetworkSpec, features: WeightSpaceFeatures) -> None:
    """Act as ``augment_zoo`` does between reading and writing."""
    for start in range(0, features.batch, BLOCK):
        block = features.select(slice(start, start + BLOCK))
        MonomialElement.sample(spec, block.batch, (1.0, 10.0)).act(block)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    spec = NetworkSpec.cnn([1, 16, 16, 16], kernel=3, stride=2, outputs=10)
    features = WeightSpaceFeatures.randn(spec, arguments.networks)
    few = features.select(slice(0, arguments.networks // 20))
    with tempfile.TemporaryDirectory() as folder:
        table = {"id": [str(i) for i in range(features.batch)], "split": ["train"] * features.batch}
        zoo = save_zoo(Path(folder) / "zoo", spec, features, table)
        output = Path(folder) / "augmented"
        seconds = interleaved(
            {
                "loop": lambda: act_one_by_one(few),
                "engine": lambda: act_in_blocks(spec, features),
                "disk": lambda: augment_zoo(zoo, output, verify=False, force=True),
            },
            arguments.rounds,
        )
    rates = {
        "one-by-one loop": few.batch / seconds["loop"],
        "acting, in memory": features.batch / seconds["engine"],
        "augment --no-verify, zoo to zoo on disk": features.batch / seconds["disk"],
    }
    for name, rate in rates.items():
        print(f"{name:42}{rate:10.0f} networks/s{rate / rates['one-by-one loop']:8.1f} x")


if __name__ == "__main__":
    main()
