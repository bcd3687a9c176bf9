"""Where the time of a step goes: products, sines, elementwise operations, copies, sums, and what is left.

The profiler of torch times every operation of some steps; sines that OpenCV computes are marked by hand. What no
operation accounts for is Python, and starting operations. The profiler itself makes short operations a microsecond
longer. One thread.

python benchmarks/breakdown.py -o docs/results/performance/breakdown.json
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile, record_function

from inr_step import BATCH, DIGITS, NP, STRICT
from mnfn_cli.recipe import load_recipe
from mnfn_cli.runtime.memory import keep_freed_memory
from mnfn_cli.tasks.counting import usual_space
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.build import siren_fit
from mnfn_cli.zoo.build.batched import networks_at_once, train_networks
from mnfn_cli.zoo.build.hyperparameters import draw
from mnfn_cli.zoo.build.sines import write_sine_and_cosine
from mnfn_cli.zoo.build.siren_plan import LARGE, LEARNING_RATE, SMALL, Usual
from mnfn_cli.zoo.images import load_images
from paper_step import device_name
from steps import training_step
from timing import interleaved
from zoo_build import SEED, SPEC

SINES = "sine and cosine"
KINDS = {
    "products": ("mm", "bmm", "addmm", "addmm_", "mv", "dot", "baddbmm"),
    "sines": ("sin", "cos", SINES),
    "copies": ("copy_", "index_select", "index", "gather", "cat", "fill_", "index_put_", "_index_put_impl_"),
    "sums": ("sum", "mean", "_embedding_bag_forward_only", "linalg_vector_norm", "cumsum"),
    "views": ("view", "as_strided", "select", "slice", "unsqueeze", "expand", "permute", "transpose", "empty"),
}
"""Operations by kind; all others compute entry by entry. Views compute nothing: their time is that of starting them."""
WARMUP = 10
"""Runs before those that count, in which the heap grows to what the largest step needs."""
STEPS = (
    ("generalization/relu-monomial", 8),
    ("generalization/relu-monomial", 256),
    ("generalization/tanh-monomial", 256),
    (STRICT, BATCH),
    (NP, BATCH),
    ("generalization/relu-statnn", 8),
    ("generalization/relu-np", 8),
    ("generalization/relu-hnp", 8),
    ("classification/mnist-monomial", 32),
    ("classification/mnist-hnp", 32),
)
"""Recipes and batch sizes."""


def train_zoo(side: int) -> Callable[[], None]:
    """Return a function that trains one chunk of digit classifiers for an epoch."""
    images = load_images("digits", side)
    chunk = [one for one in draw(300, SEED) if one.optimizer == "adam"][: networks_at_once(SPEC, (side, side))]
    return lambda: train_networks(SPEC, images.pixels, images.labels, chunk, epochs=1, seed=SEED, device="cpu")


def fit_zoo(side: int, usual: Usual) -> Callable[[], None]:
    """Return a function that fits one share of SIRENs to digits."""
    spec = NetworkSpec.mlp([2, usual.width, usual.width, 1], activation="sin", omega=usual.omega)
    count = siren_fit.networks_at_once(spec, side**2, "cpu") // siren_fit.SHARES
    pictures = load_images("digits", side).pixels[:count] * 2 - 1
    start = siren_fit.draw_siren(spec, [torch.Generator().manual_seed(row) for row in range(count)])
    return lambda: siren_fit.fit_networks(spec, start, pictures, steps=50, learning_rate=LEARNING_RATE)


def kind_of(operation: str) -> str:
    """Return the kind of an operation, by the name that the profiler gives it."""
    name = operation.removeprefix("aten::")
    return next((kind for kind, names in KINDS.items() if name in names), "entries")


def shares(run: Callable[[], None], rounds: int) -> dict[str, float]:
    """Return the share of each kind of operation in the time of ``run`` without the profiler.

    The rest, ``python``, is at least 0: the profiler makes every operation longer.
    """
    for _ in range(WARMUP):
        run()
    (seconds,) = interleaved({"": run}, rounds).values()
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        for _ in range(rounds):
            run()
    found = dict.fromkeys([*KINDS, "entries"], 0.0)
    for event in profiler.key_averages():
        found[kind_of(event.key)] += event.self_cpu_time_total / 1e6 / (seconds * rounds)
    whole = max(1, sum(found.values()))
    found = {kind: share / whole for kind, share in found.items()}
    return found | {"python": max(0, 1 - sum(found.values()))}


def marked(angles: Tensor, sine: Tensor, cosine: Tensor, ones: Tensor) -> None:
    """Compute sines as the fit of SIRENs does, where the profiler can see it."""
    with record_function(SINES):
        write_sine_and_cosine(angles, sine, cosine, ones)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    siren_fit.write_sine_and_cosine = marked
    work = {f"zoo build cnn {side}x{side}": train_zoo(side) for side in (16, 28)}
    for side, usual in ((8, SMALL), (16, SMALL), (28, LARGE)):
        work[f"zoo build siren {side}x{side}"] = fit_zoo(side, usual)
    for name, batch in STEPS:
        spec = DIGITS[0] if "digits" in name else usual_space(name, load_recipe(name))
        work[f"training step, {name}, batch {batch}"] = training_step(name, spec, batch, DIGITS[1])
    rows = {name: shares(run, arguments.rounds) for name, run in work.items()}
    for name, found in rows.items():
        print(f"{name:56}", *(f"{kind} {share:4.0%}" for kind, share in found.items()))
    if arguments.out:
        document = {"device": device_name("cpu"), "torch": torch.__version__, "shares": rows}
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
