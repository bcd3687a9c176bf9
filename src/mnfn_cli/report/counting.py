"""Parameter counts: the paper's models (Appendix D) beside ours, and the growth of single layers (Table 1)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mnfn_cli.models.functional import count_parameters
from mnfn_cli.nn.monomial import MonomialLinear
from mnfn_cli.nn.permutation import HNPLinear, NPLinear
from mnfn_cli.recipe import load_recipe
from mnfn_cli.tasks.counting import shapes_only, skeleton, usual_space
from mnfn_cli.weightspace.spec import NetworkSpec

_PAPER: Mapping[str, Mapping[str, str | None]] = {
    "Predict a CNN's accuracy: CNNs 1 -> 16 -> 16 -> 16, dense 10": {
        "generalization/relu-monomial": "0.25M",
        "generalization/tanh-monomial": "1.41M",
        "generalization/tanh-monomial-complete": None,
        "generalization/relu-hnp": "2.81M",
        "generalization/tanh-hnp": "2.81M",
        "generalization/relu-np": "2.03M",
        "generalization/tanh-np": "2.03M",
        "generalization/relu-statnn": "1.06M",
        "generalization/tanh-statnn": "1.06M",
        "generalization/relu-gnn": "5.5M",
        "generalization/tanh-gnn": "5.5M",
    },
    "Classify the image inside an INR: SIRENs 2 -> 32 -> 32 -> 1, for CIFAR-10 -> 3": {
        "classification/mnist-monomial": "22M",
        "classification/fashion-monomial": "20M",
        "classification/cifar10-monomial": "16M",
        "classification/mnist-hnp": "22M",
        "classification/fashion-hnp": "22M",
        "classification/cifar10-hnp": "42M",
        "classification/mnist-np": "15M",
        "classification/fashion-np": "15M",
        "classification/cifar10-np": "16M",
        "classification/mnist-mlp": "2M",
        "classification/fashion-mlp": "2M",
        "classification/cifar10-mlp": "2M",
    },
    "Edit the image inside an INR: SIRENs 2 -> 32 -> 32 -> 1, for CIFAR-10 -> 3": {
        "editing/mnist-dilate-monomial": None,
        "editing/cifar10-contrast-monomial": "4.1M",
        "editing/mnist-dilate-monomial-strict": None,
        "editing/cifar10-contrast-monomial-strict": None,
        "editing/mnist-dilate-hnp": None,
        "editing/cifar10-contrast-hnp": "12.8M",
        "editing/mnist-dilate-np": None,
        "editing/cifar10-contrast-np": "4.1M",
        "editing/mnist-dilate-mlp": None,
        "editing/cifar10-contrast-mlp": "4.5M",
    },
}
"""By the table's title, then by recipe: the paper's count as it prints it, rounded or truncated; None where the paper
has no such model. Counts for editing are those for colour pictures. The GNN's count is given in the paper's text."""


@dataclass(frozen=True)
class Row:
    """The parameters of a model, as mnfn and the paper count them.

    Attributes:
        recipe: the name of the shipped recipe with the published size of the model.
        space: the weight space of the networks that the model reads, in words.
        parameters: the number of parameters that mnfn counts.
        paper: the paper's count as it prints it, such as ``0.25M``; None where the paper has no such model.
    """

    recipe: str
    space: str
    parameters: int
    paper: str | None

    @property
    def ours(self) -> str:
        """Our count in millions, with as many decimals as the paper's."""
        decimals = 2 if self.paper is None else len(self.paper.rstrip("M").partition(".")[2])
        return f"{self.parameters / 1e6:.{decimals}f}M"

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {
            "recipe": self.recipe,
            "weight_space": self.space,
            "parameters": self.parameters,
            "ours": self.ours,
            "paper": self.paper,
        }


def paper_tables() -> dict[str, list[Row]]:
    """Return the rows of three tables by title, one table for each task, counted from the shipped recipes."""
    return {title: [_row(name, paper) for name, paper in rows.items()] for title, rows in _PAPER.items()}


def _row(name: str, paper: str | None) -> Row:
    recipe = load_recipe(name)
    spec = usual_space(name, recipe)
    return Row(name, str(spec), count_parameters(skeleton(recipe, [spec])), paper)


CHANNELS = 16
DEPTHS = range(2, 11)
WIDTHS = (8, 16, 32, 64, 128, 256)
_LAYERS = {"monomial": MonomialLinear, "hnp": HNPLinear, "np": NPLinear}


@dataclass(frozen=True)
class Size:
    """The parameters of one layer of each kind, for dense ReLU networks 2 -> width -> ... -> 1.

    Attributes:
        depth: the number of layers of the networks.
        width: the width of their hidden layers.
        parameters: the number of parameters by kind of layer; ``no symmetry`` is a dense layer that maps the flattened
            weights to a vector of the same length.
    """

    depth: int
    width: int
    parameters: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {"depth": self.depth, "width": self.width, "parameters": dict(self.parameters)}


def size_of_layers(depth: int, width: int, channels: int = CHANNELS) -> Size:
    """Count the parameters of one layer of each kind, with ``channels`` input and output channels.

    >>> size_of_layers(depth=3, width=8).parameters["monomial"]
    3344
    """
    spec = NetworkSpec.mlp([2, *[width] * (depth - 1), 1], "relu")
    with shapes_only():
        counts = {name: count_parameters(layer(spec, channels, channels)) for name, layer in _LAYERS.items()}
    flat = channels * spec.num_parameters
    return Size(depth, width, counts | {"no symmetry": flat * flat + flat})


def growth() -> dict[str, list[Size]]:
    """Return sizes of layers for networks of growing ``depth`` (at width 16) and of growing ``width`` (at depth 4)."""
    return {
        "depth": [size_of_layers(depth, 16) for depth in DEPTHS],
        "width": [size_of_layers(4, width) for width in WIDTHS],
    }
