"""How fast a zoo of digit classifiers is trained: the batched engine against a plain PyTorch loop.

Both train the same networks (hyperparameters, starts, subsets, orders, epochs) on scikit-learn's digits, enlarged to
16x16 and 28x28, and measure their accuracy. They take turns, chunk after chunk, so that whatever else the machine does
slows both. Of both the better of one and of two threads counts.

    python benchmarks/zoo_build.py --networks 100 --epochs 2
"""

import argparse
import statistics
import time

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn

from mnfn_cli.runtime.memory import keep_freed_memory
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.build.batched import (
    BATCH_SIZE,
    draw_order,
    draw_start,
    measure_accuracy,
    networks_at_once,
    plan_chunks,
    train_networks,
)
from mnfn_cli.zoo.build.hyperparameters import Hyperparameters, draw
from rows import Row, record

SPEC = NetworkSpec.cnn([1, 16, 16, 16], kernel=3, stride=2, padding=0, outputs=10)
SEED = 0
TRAINING_IMAGES = 1437
OPTIMIZERS = {"adam": torch.optim.Adam, "rmsprop": torch.optim.RMSprop, "sgd": torch.optim.SGD}


def load_images(side: int) -> tuple[Tensor, Tensor]:
    """Return the digits, shuffled, ``(1797, 1, side, side)`` in [0, 1], and their classes ``(1797,)``."""
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16
    images = F.interpolate(images, size=(side, side), mode="bicubic", align_corners=False).clamp(0, 1)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(SEED))
    return images[order], torch.tensor(digits.target)[order]


def train_one(
    training: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor], drawn: Hyperparameters, epochs: int
) -> float:
    """Train one network the plain way and return its accuracy."""
    images, labels = training
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
    with torch.no_grad():
        return float((network(test[0]).argmax(-1) == test[1]).double().mean())


def compare(side: int, networks: int, epochs: int) -> None:
    """Train every network in four ways, in turns, and print a table."""
    images, labels = load_images(side)
    training = images[:TRAINING_IMAGES], labels[:TRAINING_IMAGES]
    test = images[TRAINING_IMAGES:], labels[TRAINING_IMAGES:]
    drawn = draw(networks, SEED)
    names = ["plain loop, 1 thread", "plain loop, 2 threads", "batched, 1 thread", "batched, 2 threads"]
    seconds = dict.fromkeys(names, 0.0)
    accuracies: dict[str, list[float]] = {name: [] for name in names}
    for rows in plan_chunks(drawn, TRAINING_IMAGES, epochs, chunk_size=networks_at_once(SPEC, (side, side))):
        chunk = [drawn[row] for row in rows]
        for name, count in zip(names, (1, 2, 1, 2), strict=True):
            torch.set_num_threads(count)
            begin = time.perf_counter()
            if name in names[2:]:
                features = train_networks(SPEC, *training, chunk, epochs=epochs, seed=SEED, device="cpu")
                accuracies[name] += measure_accuracy(SPEC, features, *test).tolist()
            else:
                accuracies[name] += [train_one(training, test, one, epochs) for one in chunk]
            seconds[name] += time.perf_counter() - begin
    print(f"{side}x{side}, {networks} networks, {epochs} epochs, batches of {BATCH_SIZE}")
    print(f"{'':24}{'networks/s':>12}{'median accuracy':>18}")
    for name in names:
        print(f"{name:24}{networks / seconds[name]:12.2f}{statistics.median(accuracies[name]):18.3f}")
    plain, batched = (min(seconds[name] for name in pair) for pair in (names[:2], names[2:]))
    ratio, one = plain / batched, plain / seconds[names[2]]
    note = f"{networks} networks, {epochs} epochs; the engine with one thread {one:.1f}"
    record(Row(f"zoo build cnn {side}x{side}", "the better plain loop", ratio, 6, "higher", note))


def main() -> None:
    """Compare at two sizes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=2)
    arguments = parser.parse_args()
    keep_freed_memory()  # as the command does
    for side in (16, 28):
        compare(side, arguments.networks, arguments.epochs)


if __name__ == "__main__":
    main()
