"""Write a zoo of any number of networks, block by block: random weights, with a table like that of a built zoo."""

from pathlib import Path

import numpy as np
import polars as pl
import torch

from mnfn_cli import NetworkSpec, WeightSpaceFeatures
from mnfn_cli.storage.folders import new_folder
from mnfn_cli.zoo.contents import ZOO
from mnfn_cli.zoo.store import Zoo, open_zoo
from mnfn_cli.zoo.writer import ShardWriter, finish_zoo

SPEC = NetworkSpec.cnn([1, 16, 16, 16], kernel=3, stride=2, outputs=10, activation="relu")
"""The weight space of the ReLU networks of the Small CNN Zoo."""
BLOCK_NUMBERS = 2**24
"""The number of random numbers that are drawn at once."""


def write_many(path: Path, spec: NetworkSpec, count: int) -> Zoo:
    """Write a zoo of ``count`` random networks: 70 % train, 10 % validation and 20 % test networks."""
    random = np.random.default_rng(0)
    drawn = torch.Generator().manual_seed(0)
    block = max(min(BLOCK_NUMBERS // spec.num_parameters, count), 1)
    networks = WeightSpaceFeatures.randn(spec, block, generator=drawn).map(lambda tensor: 0.2 * tensor)
    with new_folder(path, ZOO) as folder:
        writer = ShardWriter(folder, spec, max_bytes=2**28)
        for start in range(0, count, block):
            some = networks.select(slice(0, min(block, count - start)))
            writer.append(some.map(lambda tensor, start=start: tensor * (1 + start / count)))
        writer.finish()
        table = {
            "id": [f"{row:07d}" for row in range(count)],
            "split": random.choice(["train", "val", "test"], count, p=[0.7, 0.1, 0.2]),
            "activation": [spec.activation] * count,
            "test_accuracy": random.random(count),
            "optimizer": random.choice(["adam", "sgd"], count),
            "learning_rate": random.random(count),
            "weight_decay": random.random(count),
            "dropout": random.random(count),
            "seed": random.integers(0, 2**62, count),
        }
        finish_zoo(folder, spec, pl.DataFrame(table), made={"seed": 0})
    return open_zoo(path)
