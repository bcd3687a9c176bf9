"""Draw the hyperparameters of each classifier in a zoo from a table of ranges."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

from mnfn_cli.runtime.seeds import derive_seed

OptimizerName = Literal["adam", "sgd", "rmsprop"]

RANGES: dict[str, Any] = {
    "optimizer": {"choice": ["adam", "sgd", "rmsprop"]},
    "learning_rate": {
        "adam": {"log-uniform": [1e-4, 3e-2]},
        "sgd": {"log-uniform": [1e-3, 3e-1]},
        "rmsprop": {"log-uniform": [1e-4, 3e-2]},
    },
    "weight_decay": {"log-uniform": [1e-8, 1e-2]},
    "dropout": {"uniform": [0.0, 0.5]},
    "initial_scale": {"log-uniform": [0.4, 3.0]},
    "train_fraction": {"choice": [0.1, 0.25, 0.5, 1.0]},
}
"""For each hyperparameter, the options of a choice, or the lowest and the highest value of a distribution.

The learning rate has one entry for each optimizer.
"""


@dataclass(frozen=True)
class Hyperparameters:
    """The choices by which the training of one network differs from that of others.

    Args:
        optimizer: "adam", "sgd" (momentum 0.9) or "rmsprop".
        learning_rate: the constant step size of the optimizer.
        weight_decay: the factor of the L2 penalty, as in ``torch.optim``.
        dropout: the probability in [0, 1) that a hidden channel is set to 0 for a picture.
        initial_scale: the factor by which torch's default initial weights and biases are multiplied.
        train_fraction: the fraction in (0, 1] of the training pictures that the network is trained on.
        seed: the seed of the network's initial weights, subset of pictures, order and dropout.
    """

    optimizer: OptimizerName
    learning_rate: float
    weight_decay: float
    dropout: float
    initial_scale: float
    train_fraction: float
    seed: int

    def subset_size(self, num_images: int) -> int:
        """Return how many of ``num_images`` training pictures the network sees."""
        return math.ceil(self.train_fraction * num_images)


def draw(count: int, seed: int) -> list[Hyperparameters]:
    """Draw hyperparameters for ``count`` networks from ``RANGES``.

    Network ``i`` depends on ``seed`` and ``i`` alone: a larger zoo begins with the networks of a smaller one.

    >>> draw(3, seed=0) == draw(5, seed=0)[:3]
    True
    """
    return [_draw_one(derive_seed(seed, "network", i)) for i in range(count)]


def _draw_one(seed: int) -> Hyperparameters:
    """Draw one network's hyperparameters, each with its own random stream."""
    drawn: dict[str, Any] = {}
    for name, entry in RANGES.items():
        limits = entry[drawn["optimizer"]] if name == "learning_rate" else entry
        drawn[name] = _draw_value(limits, Random(derive_seed(seed, name)))
    return Hyperparameters(**drawn, seed=seed)


def _draw_value(limits: Mapping[str, Any], random: Random) -> float | str:
    """Draw from the one distribution that ``limits`` names."""
    match limits:
        case {"choice": options}:
            return random.choice(options)
        case {"uniform": [low, high]}:
            return random.uniform(low, high)
        case {"log-uniform": [low, high]}:
            return math.exp(random.uniform(math.log(low), math.log(high)))
    raise ValueError(f"{limits} is no range")
