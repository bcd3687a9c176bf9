"""How fast a zoo of INRs is fitted: side by side, against a plain PyTorch loop.

Both fit the same SIRENs (starts, pictures, steps, learning rate) to scikit-learn's digits. They take turns, so that
whatever else the machine does slows both. The plain loop is what a user would write: an ``nn.Module``, autograd and
``torch.optim.Adam``, one network after another. Of both the better of one and of two threads counts.

    python benchmarks/siren_build.py --rounds 5
"""

import argparse
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from mnfn_cli.runtime.memory import keep_freed_memory
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.rendering import pixel_grid, render
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.build.siren_fit import draw_siren, fit_networks, networks_at_once
from mnfn_cli.zoo.build.siren_plan import LARGE, LEARNING_RATE, SMALL, Usual
from mnfn_cli.zoo.images import load_images
from rows import Row, record
from timing import interleaved

PLAIN = 4
"""Networks that the plain loop fits in a round; each takes as long as the other."""


class Siren(nn.Module):
    """A SIREN as one writes it down."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        pairs = zip(spec.widths[:-1], spec.widths[1:], strict=True)
        self.layers = nn.ModuleList(nn.Linear(n_in, n_out) for n_in, n_out in pairs)
        self.omega = spec.omega

    def forward(self, x: Tensor) -> Tensor:
        """Map places ``(pixels, 2)`` to colours ``(pixels, channels)``."""
        for layer in self.layers[:-1]:
            x = torch.sin(self.omega * layer(x))
        return self.layers[-1](x)


def fit_plainly(spec: NetworkSpec, start: WeightSpaceFeatures, pictures: Tensor, steps: int) -> WeightSpaceFeatures:
    """Fit one network after another."""
    grid = pixel_grid((pictures.shape[2], pictures.shape[3]))
    fitted = []
    for own, picture in zip(start.to_state_dicts(), pictures, strict=True):
        network = Siren(spec)
        network.load_state_dict(own)
        optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
        targets = picture.flatten(1).T
        for _ in range(steps):
            optimizer.zero_grad()
            (network(grid) - targets).square().mean().backward()
            optimizer.step()
        fitted.append({name: tensor.detach() for name, tensor in network.state_dict().items()})
    return WeightSpaceFeatures.from_state_dicts(fitted, spec)


def compare(side: int, usual: Usual, rounds: int, target: float) -> None:
    """Fit digits of ``side x side`` pixels both ways, and print a table."""
    spec = NetworkSpec.mlp([2, usual.width, usual.width, 1], activation="sin", omega=usual.omega)
    steps = usual.steps
    pictures = load_images("digits", side).pixels[: networks_at_once(spec, side * side, "cpu")] * 2 - 1
    count = len(pictures)
    start = draw_siren(spec, [torch.Generator().manual_seed(row) for row in range(count)])
    fitted: dict[str, WeightSpaceFeatures] = {}

    def run(name: str, number: int, fit: Callable[[], WeightSpaceFeatures]) -> None:
        torch.set_num_threads(number)
        fitted[name] = fit()

    few = start.select(slice(PLAIN)), pictures[:PLAIN]
    plain = partial(fit_plainly, spec, *few, steps)
    batched = partial(fit_networks, spec, start, pictures, steps=steps, learning_rate=LEARNING_RATE)
    ways = {"plain loop": plain, "side by side": batched}
    candidates = {
        name: partial(run, name, number, fit)
        for way, fit in ways.items()
        for number in (1, 2)
        for name in [f"{way}, {number} thread{'s' * (number > 1)}"]
    }
    names = list(candidates)
    seconds = interleaved(candidates, rounds)
    rates = {name: len(fitted[name].biases[0]) / seconds[name] for name in names}
    print(f"\n{side}x{side}, {spec}, {steps} steps; {PLAIN} networks a round plainly, {count} side by side")
    print(f"{'':26}{'networks/s':>12}{'median MSE of the first ' + str(PLAIN):>30}")
    for name in names:
        drawn = render(spec, fitted[name].select(slice(PLAIN)), (side, side))
        error = (drawn - pictures[:PLAIN]).square().mean(dim=(1, 2, 3)).median()
        print(f"{name:26}{rates[name]:12.2f}{error:30.6f}")
    plainly, beside = max(rates[name] for name in names[:2]), max(rates[name] for name in names[2:])
    note = f"{usual.steps} steps"
    record(Row(f"zoo build siren {side}x{side}", "the better plain loop", beside / plainly, target, "higher", note))


def main() -> None:
    """Compare at three sizes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    keep_freed_memory()  # as the command does
    for side, usual, target in ((8, SMALL, 60), (16, SMALL, 25), (28, LARGE, 8)):
        compare(side, usual, rounds, target)


if __name__ == "__main__":
    main()
