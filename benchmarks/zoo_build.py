"""How fast a zoo of digit classifiers is trained: the batched engine against a plain PyTorch loop.

Both train the same networks (hyperparameters, starts, subsets, orders, epochs) on scikit-learn's digits, enlarged to
16x16. They take turns, chunk after chunk, so that whatever else the machine does slows both.

    python benchmarks/zoo_build.py --networks 100 --epochs 2
"""

import argparse
import time

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn

from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.build.batched import (
    BATCH_SIZE,
    draw_order,
    draw_start,
    measure_accuracy,
    plan_chunks,
    train_networks,
)
from mnfn_cli.zoo.build.hyperparameters import Hyperparameters, draw

SPEC = NetworkSpec.cnn([1, 16, 16, 16], kernel=3, stride=2, padding=0, outputs=10)
SEED = 0
TRAINING_IMAGES = 1437
OPTIMIZERS = {"adam": torch.optim.Adam, "rmsprop": torch.optim.RMSprop, "sgd": torch.optim.SGD}


def load_images() -> tuple[Tensor, Tensor]:
    """Return the digits, shuffled, ``(1797, 1, 16, 16)`` in [0, 1], and their classes ``(1797,)``."""
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16
    images = F.interpolate(images, size=(16, 16), mode="bicubic", align_corners=False).clamp(0, 1)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(SEED))
    return images[order], torch.tensor(digits.target)[order]


def train_one(images: Tensor, labels: Tensor, drawn: Hyperparameters, epochs: int) -> dict[str, Tensor]:
    """Train one network the plain way and return its weights."""
    layers: list[nn.Module] = []
    for n_in, n_out in zip(SPEC.widths[:-2], SPEC.widths[1:-1], strict=True):
        layers += [nn.Conv2d(n_in, n_out, 3, stride=2), nn.ReLU(), nn.Dropout2d(drawn.dropout)]
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(*SPEC.widths[-2:]))
    start = draw_start(SPEC, [drawn], SEED).to_state_dicts(list(network.state_dict()))[0]
    network.load_state_dict(start)
    options = {"momentum": 0.9} if drawn.optimizer == "sgd" else {}
    optimizer = OPTIMIZERS[drawn.optimizer](
        network.parameters(), lr=drawn.learning_rate, weight_decay=drawn.weight_decay, **options
    )
    for epoch in range(epochs):
        for batch in draw_order(drawn, len(images), epoch, SEED).split(BATCH_SIZE):
            optimizer.zero_grad()
            F.cross_entropy(network(images[batch]), labels[batch]).backward()
            optimizer.step()
    return {name: tensor.detach() for name, tensor in network.state_dict().items()}


def main() -> None:
    """Train every network three times, in turns, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=2)
    arguments = parser.parse_args()

    images, labels = load_images()
    training = images[:TRAINING_IMAGES], labels[:TRAINING_IMAGES]
    drawn = draw(arguments.networks, SEED)
    threads = torch.get_num_threads()
    names = ["plain loop, 1 thread", "plain loop, 2 threads", f"batched, {threads} threads"]
    seconds = dict.fromkeys(names, 0.0)
    trained: dict[str, list[WeightSpaceFeatures]] = {name: [] for name in names}
    for rows in plan_chunks(drawn, TRAINING_IMAGES, arguments.epochs):
        chunk = [drawn[row] for row in rows]
        for name, count in zip(names, (1, 2, threads), strict=True):
            torch.set_num_threads(count)
            begin = time.perf_counter()
            if name == names[-1]:
                features = train_networks(SPEC, *training, chunk, epochs=arguments.epochs, seed=SEED, device="cpu")
            else:
                features = WeightSpaceFeatures.from_state_dicts(
                    [train_one(*training, one, arguments.epochs) for one in chunk], SPEC
                )
            seconds[name] += time.perf_counter() - begin
            trained[name].append(features)

    test = images[TRAINING_IMAGES:], labels[TRAINING_IMAGES:]
    print(f"{arguments.networks} networks, {arguments.epochs} epochs, batches of {BATCH_SIZE}")
    print(f"{'':24}{'networks/s':>12}{'median accuracy':>18}")
    for name in names:
        accuracy = measure_accuracy(SPEC, WeightSpaceFeatures.cat(trained[name]), *test).median()
        print(f"{name:24}{arguments.networks / seconds[name]:12.2f}{accuracy:18.3f}")
    ratio = min(seconds[name] for name in names[:-1]) / seconds[names[-1]]
    print(f"batched against the better plain loop: {ratio:.1f} times as many networks a second")


if __name__ == "__main__":
    main()
