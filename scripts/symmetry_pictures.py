"""Draw what elements of the symmetry group do to small networks, and write docs/concepts/symmetries.md about it.

``python scripts/symmetry_pictures.py`` fits three networks to one row of pixels of a handwritten digit, acts on each,
and measures by how much the function moved. It takes some seconds. A test runs the measurement again.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import Tensor

from mnfn_cli.storage.atomic import to_json
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.forward_pass import run_networks
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.weightspace.spec import NetworkSpec

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "concepts" / "symmetries.md"
RESULT = DOCS / "results" / "concepts" / "symmetries.json"
DIGIT, ROW = 0, 3
HIDDEN = (5, 4)
STEPS, RATE = 3000, 0.01
POSITIVE, NEGATIVE = "#1f6f8b", "#c8553d"


@dataclass(frozen=True)
class Example:
    """A group element acting on a network.

    Attributes:
        name: the name of the picture and of the section.
        title: the heading.
        spec: the network.
        element: what acts.
        wrong: an element that is not in the group.
        says: what the reader sees.
        breaks: what ``wrong`` does.
    """

    name: str
    title: str
    spec: NetworkSpec
    element: MonomialElement
    wrong: MonomialElement
    says: str
    breaks: str


def _element(orders: Any, factors: Any, shifts: Any = (), omega: float | None = None) -> MonomialElement:
    permutations = [torch.tensor([order]) for order in orders or [range(n) for n in HIDDEN]]
    scales = [torch.tensor([factor], dtype=torch.float64) for factor in factors or [[1.0] * n for n in HIDDEN]]
    return MonomialElement(permutations, scales, [torch.tensor([shift]) for shift in shifts], omega)


RELU = NetworkSpec.mlp([1, *HIDDEN, 1], activation="relu")
TANH = NetworkSpec.mlp([1, *HIDDEN, 1], activation="tanh")
SINE = NetworkSpec.mlp([1, *HIDDEN, 1], activation="sin", omega=3.0)
ONES = [[1.0] * n for n in HIDDEN]

EXAMPLES = [
    Example(
        "permutation",
        "Permutation, for every activation",
        RELU,
        _element([[2, 0, 4, 1, 3], [1, 3, 0, 2]], None),
        _element(None, [[1.0, 1.0, 1.0, 1.0, 1.0], [1.0, -1.0, 1.0, 1.0]]),
        "Neurons change places, and take all their edges with them. A neuron keeps its number in the picture.",
        "one neuron's sign",
    ),
    Example(
        "scaling",
        "Scaling, for ReLU",
        RELU,
        _element(None, [[3.0, 0.3, 1.0, 5.0, 0.5], [0.2, 2.0, 4.0, 1.0]]),
        _element(None, [[3.0, 0.3, 1.0, -5.0, 0.5], [0.2, 2.0, 4.0, 1.0]]),
        "The edges into a neuron, and its bias, are multiplied by a positive number; the edges out of it are divided "
        "by the same number. `relu(d t) = d relu(t)` for `d > 0`.",
        "one of the factors made negative",
    ),
    Example(
        "sign",
        "Sign flip, for tanh and sine",
        TANH,
        _element(None, [[-1.0, 1.0, -1.0, 1.0, 1.0], [1.0, -1.0, -1.0, 1.0]]),
        _element(None, [[-2.0, 1.0, -1.0, 1.0, 1.0], [1.0, -1.0, -1.0, 1.0]]),
        "The edges into a neuron, its bias, and the edges out of it change sign, which is their colour here. "
        "`tanh(-t) = -tanh(t)`.",
        "one flip also doubled",
    ),
    Example(
        "shift",
        "Phase shift, for sine alone",
        SINE,
        _element(None, None, [[1, 0, -2, 0, 3], [0, 1, 0, -1]], SINE.omega),
        _element(None, None, [[1, 0, -2, 0, 3], [0, 1, 0, -1]], 2 * SINE.omega),
        "A bias, the colour of the neuron, moves by `k` times `pi / omega`, that is by `k` half turns of the sine. For "
        "odd `k` the edges out of the neuron change sign. `sin(t + pi) = -sin(t)`.",
        "quarter turns in place of half turns",
    ),
]


def curve() -> tuple[Tensor, Tensor]:
    """Return the positions of the pixels of a row of a digit, ``(8, 1)`` on [-1, 1], and their brightness."""
    pixels = torch.tensor(load_digits().images[DIGIT][ROW] / 16)
    return torch.linspace(-1, 1, len(pixels), dtype=torch.float64)[:, None], pixels[:, None]


def fitted(spec: NetworkSpec) -> WeightSpaceFeatures:
    """Return a network that was fitted to the row of pixels."""
    generator = torch.Generator().manual_seed(1)
    network = WeightSpaceFeatures.randn(spec, batch=1, generator=generator, dtype=torch.float64)
    network = network.map(lambda tensor: (tensor / 2**0.5).requires_grad_())
    optimizer = torch.optim.Adam(network.tensors(), lr=RATE)
    inputs, truth = curve()
    for _ in range(STEPS):
        optimizer.zero_grad()
        (run_networks(spec, network, inputs)[0] - truth).square().mean().backward()
        optimizer.step()
    return network.detach()


def measure(example: Example, network: WeightSpaceFeatures) -> dict[str, float]:
    """Return by how much an element moves the weights and the function of a network, and an element that is wrong."""
    inputs = torch.linspace(-1.5, 1.5, 601, dtype=torch.float64)[:, None]
    before = run_networks(example.spec, network, inputs)
    change = {
        name: float((run_networks(example.spec, element.act(network), inputs) - before).abs().max())
        for name, element in (("function", example.element), ("wrong", example.wrong))
    }
    weights = float((example.element.act(network).flatten() - network.flatten()).abs().max())
    return {"weights": weights, **change, "range": float(before.max() - before.min())}


def short(number: float) -> str:
    """Return a number with one digit, and 0 as 0."""
    return f"{number:.0e}" if number else "0"


def draw(example: Example, network: WeightSpaceFeatures, figures: dict[str, float], picture: Path) -> None:
    """Draw the network before and after, and its function before and after in one plot."""
    from matplotlib.figure import Figure

    after = example.element.act(network)
    figure = Figure(figsize=(10, 3.1), layout="constrained")
    axes = figure.subplots(1, 3, width_ratios=[1, 1, 1.1])
    numbers = [[1], *(list(range(1, n + 1)) for n in HIDDEN), [1]]
    moved = [[1]]
    for order in example.element.permutations:
        moved.append([int(k) + 1 for k in order[0].argsort()])
    _draw_network(axes[0], network, numbers, "the network")
    _draw_network(axes[1], after, [*moved, [1]], "after the element has acted")
    inputs = torch.linspace(-1, 1, 401, dtype=torch.float64)[:, None]
    lines = [run_networks(example.spec, each, inputs).flatten() for each in (network, after)]
    axes[2].plot(inputs.flatten(), lines[0], color=POSITIVE, alpha=0.4, linewidth=6, label="before")
    axes[2].plot(inputs.flatten(), lines[1], color="black", linewidth=1.2, linestyle="--", label="after")
    axes[2].plot(*(values.flatten() for values in curve()), "o", color=NEGATIVE, markersize=4, label="pixels")
    axes[2].set_title(f"its function: largest difference {short(figures['function'])}", fontsize=10)
    axes[2].set_xlabel("position in the row of pixels")
    axes[2].legend(fontsize=8, frameon=False)
    axes[2].spines[["top", "right"]].set_visible(False)
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=130)


def _draw_network(axes: Any, network: WeightSpaceFeatures, numbers: list[list[int]], title: str) -> None:
    places = [[(layer, (len(row) - 1) / 2 - k) for k in range(len(row))] for layer, row in enumerate(numbers)]
    for layer, weight in enumerate(network.weights):
        for j, row in enumerate(weight[0, 0]):
            for k, value in enumerate(row.tolist()):
                (x0, y0), (x1, y1) = places[layer][k], places[layer + 1][j]
                width = min(0.3 + 1.3 * abs(value), 6)
                axes.plot([x0, x1], [y0, y1], color=POSITIVE if value > 0 else NEGATIVE, linewidth=width, zorder=1)
    for layer, row in enumerate(places):
        values = [0.0] if layer == 0 else network.biases[layer - 1][0, 0].tolist()
        for (x, y), number, value in zip(row, numbers[layer], values, strict=True):
            strength = min(abs(value) / 3, 1)
            colour = POSITIVE if value > 0 else NEGATIVE
            axes.plot(x, y, "o", markersize=17, color="white", markeredgecolor="black", zorder=2)
            axes.plot(x, y, "o", markersize=16, color=colour, alpha=strength, markeredgewidth=0, zorder=3)
            hidden = 0 < layer < len(places) - 1
            axes.text(x, y, str(number) if hidden else "", ha="center", va="center", fontsize=9, zorder=4)
    axes.set_title(title, fontsize=10)
    axes.set_xlim(-0.3, len(places) - 0.7)
    axes.set_ylim(-2.6, 2.6)
    axes.set_axis_off()


INTRODUCTION = """# What leaves a network as it is

<!-- written by scripts/symmetry_pictures.py from docs/results/concepts; change nothing here by hand -->

Other weights can compute the same function. So a functional that reads weights should give the same answer for all of
them, and mnfn's layers are built so that they do. This page shows the four ways on networks that are small enough to
draw: one input, hidden layers of {hidden} neurons, one output. Each was fitted to the {pixels} pixels of one row of a
handwritten digit. [The formulas](../symmetries.md) are for networks of any size, with convolutions too.

In the pictures an edge is a weight. Its width is the size of the weight; blue is positive, red is negative. The colour
of a neuron is its bias.
"""

CLOSING = """## How exact, and what is not allowed

The functions are compared at 601 points on [-1.5, 1.5], in float64. What is left is rounding. The last column is a
check of the check: something like the element, but outside of the group, and it does change the function.

{table}

`mnfn augment` draws such elements at random for all networks of a zoo and checks every one by running it;
`mnfn compare A B` finds the element that takes one network to another. In Python:

```python
import torch
from mnfn_cli import MonomialElement, NetworkSpec, WeightSpaceFeatures, run_networks

spec = NetworkSpec.mlp([1, 5, 4, 1], activation="sin", omega=3.0)
network = WeightSpaceFeatures.randn(spec, batch=1, dtype=torch.float64)
element = MonomialElement.sample(spec, batch=1, shifts=3)
inputs = torch.linspace(-1, 1, 100, dtype=torch.float64)[:, None]
change = run_networks(spec, element.act(network), inputs) - run_networks(spec, network, inputs)
print(change.abs().max())
```

## Which activation has which

| activation | permutation | scaling | sign flip | phase shift |
|---|---|---|---|---|
| relu, leaky_relu | yes | yes | | |
| tanh | yes | | yes | |
| sin | yes | | yes | yes |
| gelu, silu, sigmoid | yes | | | |

A permutation matrix whose ones are replaced by non-zero numbers is a *monomial matrix*; hence the name Monomial-NFN.
Phase shifts are not part of it: they are affine. [Graded layers](../graded-layers.md) know them too.

What a functional does with this: [two kinds of functional](functionals.md).
"""


def page() -> str:
    """Return the page, from the figures that were measured last."""
    measured = json.loads(RESULT.read_text())
    hidden = " and ".join(map(str, HIDDEN))
    parts = [INTRODUCTION.format(hidden=hidden, pixels=len(curve()[0]))]
    rows = [
        "| element | largest change of a weight | of the function | outside of the group | change of the function |"
    ]
    rows.append("|---|---|---|---|---|")
    for example in EXAMPLES:
        figures = measured[example.name]
        alt = f"a {example.name} of a network, and its function before and after"
        parts.append(f"## {example.title}\n\n{example.says}\n\n![{alt}](../pictures/symmetry-{example.name}.png)\n")
        rows.append(
            f"| {example.name} | {figures['weights']:.1f} | {short(figures['function'])} | {example.breaks} | "
            f"{figures['wrong']:.2f} |"
        )
    return "\n".join([*parts, CLOSING.format(table="\n".join(rows))])


def main() -> None:
    """Fit, act, measure, draw, and write the page."""
    networks = {spec: fitted(spec) for spec in (RELU, TANH, SINE)}
    measured = {example.name: measure(example, networks[example.spec]) for example in EXAMPLES}
    for example in EXAMPLES:
        picture = DOCS / "pictures" / f"symmetry-{example.name}.png"
        draw(example, networks[example.spec], measured[example.name], picture)
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(to_json(measured) + "\n")
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
