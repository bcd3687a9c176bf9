"""What a sceptic would try in place of a functional: test the networks of a zoo on a few labelled pictures.

python scripts/just_test.py ZOO -o FILE    measures a zoo of classifiers that mnfn built, and writes a file of JSON

It also estimates the ceiling: the tau of a functional that knew every network's true accuracy. The accuracy in a zoo's
table is measured on a finite number of pictures, so that even the truth does not rank the networks as the table does.
"""

import argparse
import json
import sys
from math import asin, pi, sin, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mnfn_cli import open_zoo
from mnfn_cli.tasks.metrics import kendall_tau
from mnfn_cli.weightspace.forward_pass import run_networks
from mnfn_cli.zoo.build.classifiers import divide_images
from mnfn_cli.zoo.images import load_images
from mnfn_cli.zoo.store import Zoo

COUNTS = (10, 30, 100, 400)
DRAWS = 50
BLOCK = 50

Right = NDArray[np.bool_]


def answers(zoo: Zoo) -> tuple[Right, Right]:
    """Return which pictures the test networks name right: training pictures, then held-out ones, (networks, pictures).

    The pictures are divided as they were when the zoo was built.
    """
    made = zoo.record.made.to_json()
    images = load_images(zoo.record.images.to_json()["source"], expected=zoo.record.images.size)
    found = []
    for pixels, labels in divide_images(images, zoo.spec, made["seed"]):
        rows = zoo.rows("test")
        blocks = [rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK)]
        with torch.no_grad():
            named = [run_networks(zoo.spec, zoo.read(block), pixels).argmax(dim=2) for block in blocks]
        found.append((torch.cat(named) == labels).numpy())
    return found[0], found[1]


def just_test(right: Right, truth: NDArray[np.float64]) -> dict[int, list[float]]:
    """Return, by the number of labelled training pictures, the tau of the accuracy on them, for several draws."""
    random = np.random.default_rng(0)
    return {
        count: [
            kendall_tau(right[:, random.choice(right.shape[1], count, replace=False)].mean(axis=1), truth)
            for _ in range(DRAWS)
        ]
        for count in COUNTS
    }


def ceilings(right: Right, truth: NDArray[np.float64]) -> dict[str, float]:
    """Estimate the tau between true accuracies and those measured on the held-out pictures, in two ways.

    ``split half``: the reliability of accuracies on one half of the pictures is their correlation with those on the
    other half, and that of all pictures follows by the formula of Spearman and Brown; tau and the correlation r of
    normal variables are related by r = sin(pi tau / 2). ``binomial``: the measured accuracies are taken for the true
    ones, and measured again with binomial noise.
    """
    random = np.random.default_rng(0)
    halves = []
    for _ in range(DRAWS):
        order = random.permutation(right.shape[1])
        first, second = (right[:, half].mean(axis=1) for half in np.array_split(order, 2))
        halves.append(kendall_tau(first, second))
    half = sin(pi / 2 * float(np.mean(halves)))
    whole = 2 * half / (1 + half)
    again = [kendall_tau(truth, random.binomial(right.shape[1], truth) / right.shape[1]) for _ in range(DRAWS)]
    return {"split half": 2 / pi * asin(sqrt(whole)), "binomial": float(np.mean(again))}


def measure(path: Path) -> dict[str, Any]:
    """Return all figures of a zoo's test networks."""
    zoo = open_zoo(path)
    training, held_out = answers(zoo)
    truth = zoo.table["test_accuracy"].to_numpy()[zoo.rows("test")].astype(float)
    assert np.abs(held_out.mean(axis=1) - truth).max() < 0.01, "the table's accuracies are not of these pictures"
    taus = just_test(training, truth)
    return {
        "command": f"python scripts/just_test.py {path}",
        "networks": len(truth),
        "held_out_pictures": held_out.shape[1],
        "draws": DRAWS,
        "just_test": {str(n): {"tau": float(np.mean(t)), "sd": float(np.std(t, ddof=1))} for n, t in taus.items()},
        "ceiling": ceilings(held_out, truth),
    }


def main() -> None:
    """Measure, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("zoo", type=Path)
    parser.add_argument("-o", "--out", type=Path)
    arguments = parser.parse_args()
    text = json.dumps(measure(arguments.zoo), indent=1, allow_nan=False) + "\n"
    if arguments.out is None:
        sys.stdout.write(text)
    else:
        arguments.out.write_text(text)


if __name__ == "__main__":
    main()
