"""A classifier of INRs that reads weights alone and is invariant to the full symmetry group of sine."""

from collections.abc import Callable, Sequence
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mnfn_cli.errors import UsageError
from mnfn_cli.models.functional import Functional
from mnfn_cli.nn.graded import (
    GRADES,
    INVARIANT,
    LIKE_INCOMING,
    LIKE_OUTGOING,
    Grade,
    Graded,
    GradedLayer,
    GradedMessages,
)
from mnfn_cli.nn.head import mlp_head
from mnfn_cli.weightspace.distortion import distort
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.rendering import render
from mnfn_cli.weightspace.spec import NetworkSpec

SIZE = (16, 16)
"""The (height, width) of the pictures that the functional learns to draw."""


class GradedClassifier(Functional):
    """Read a SIREN's weights by graded features of its neurons and messages along its weights.

    The logits are invariant to permutations, sign flips and shifts of hidden neurons (``nn.graded``). Each hidden layer
    starts with features of its phases ``t = omega b``. To them the first hidden layer adds features of its weights
    ``q = omega W(1)``, among them the sines and cosines of learned directions ``k . q``, and the last hidden layer adds
    its outgoing weights. In each round messages go from the first hidden layer to the last, and back. A last layer
    makes features of the invariant grade. Their mean and maximum over the neurons of every layer, and the network's
    last bias, go into an MLP.

    With ``pictures`` the same numbers also go into an MLP that is trained to draw the network's picture, which gives
    each network hundreds of targets beside its class. With ``distortion`` that picture is another one in every step.

    Args:
        spec: the weight space of the INRs, dense networks with sines.
        size: the number of features of each grade of a neuron.
        rounds: the number of rounds of messages.
        directions: the number of learned directions ``k``, which start as standard normal.
        head: the widths of the hidden layers of the MLP.
        dropout: the dropout probability of the MLP's hidden units.
        pictures: the weight of the pictures' mean squared error in the training loss; 0 for none.
        distortion: in training each network's picture is moved, turned, stretched and sheared a little, by
            ``weightspace.distortion`` with this deviation; 0 for none.
        classes: the number of classes.

    Shapes:
        The input is raw weights, ``(batch, 1, out, in)`` and ``(batch, 1, out)``; the output is logits,
        ``(batch, classes)``.

    Raises:
        UsageError: the networks are no SIRENs.

    Source:
        mnfn's own (docs/graded-layers.md).

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures, build_model
    >>> spec = NetworkSpec.mlp([2, 8, 8, 1], activation="sin", omega=15.0)
    >>> model = build_model("classification/graded", spec)
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2)
    >>> model(networks).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        spec: NetworkSpec,
        size: int,
        rounds: int,
        directions: int,
        head: Sequence[int],
        dropout: float,
        pictures: float = 0.0,
        distortion: float = 0.0,
        classes: int = 10,
    ) -> None:
        super().__init__()
        if spec.activation != "sin" or spec.kernels:
            raise UsageError("model.name", f"reads dense networks with sines, not {spec}")
        self.spec, self.omega, self.pictures, self.distortion = spec, spec.omega, pictures, distortion
        self.directions = nn.Linear(spec.widths[0], directions, bias=False)
        nn.init.normal_(self.directions.weight)
        layers = len(spec.hidden_widths)
        self.start = nn.ModuleList(GradedLayer(self._sizes(spec, layer), size) for layer in range(layers))
        self.rounds = nn.ModuleList(_Round(layers - 1, size) for _ in range(rounds))
        ends = [GradedLayer(dict.fromkeys(GRADES, size), size, [INVARIANT]) for _ in range(layers)]
        self.end = nn.ModuleList(ends)
        numbers = 2 * size * layers + spec.widths[-1]
        self.head = mlp_head(numbers, head, classes, dropout)
        if pictures:
            self.drawing = mlp_head(numbers, head[:1], prod(SIZE) * spec.widths[-1])

    def forward(self, features: WeightSpaceFeatures) -> Tensor:
        """Return logits, ``(batch, classes)``."""
        logits: Tensor = self.head(self.read(features))
        return logits

    def training_loss(self, features: WeightSpaceFeatures, loss: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the loss of the logits, and that of the pictures beside it."""
        features = distort(features, self.distortion) if self.distortion else features
        numbers = self.read(features)
        total = loss(self.head(numbers))
        if self.pictures:
            drawn: Tensor = self.drawing(numbers)
            total = total + self.pictures * F.mse_loss(drawn, render(self.spec, features, SIZE).flatten(1))
        return total

    def read(self, features: WeightSpaceFeatures) -> Tensor:
        """Return the numbers that the MLPs read, invariant to the whole group, ``(batch, numbers)``."""
        edges = [self.omega * weight[:, 0] for weight in features.weights[1:-1]]
        neurons = [layer(x) for layer, x in zip(self.start, self._characters(features), strict=True)]
        for passing in self.rounds:
            neurons = passing(neurons, edges)
        seen = [layer(x)[INVARIANT] for layer, x in zip(self.end, neurons, strict=True)]
        pooled = [pool for x in seen for pool in (x.mean(dim=1), x.amax(dim=1))]
        return torch.cat([*pooled, features.biases[-1][:, 0]], dim=1)

    def _sizes(self, spec: NetworkSpec, layer: int) -> dict[Grade, int]:
        """Return the number of features of each grade that ``_characters`` gives a hidden layer."""
        incoming = spec.widths[0] if layer == 0 else 0
        directions = self.directions.out_features if layer == 0 else 0
        outgoing = spec.widths[-1] if layer == len(spec.hidden_widths) - 1 else 0
        even, odd = 1 + directions + incoming + outgoing, 1 + directions + incoming
        return dict(zip(GRADES, (even, odd, 1, 1 + outgoing), strict=True))

    def _characters(self, features: WeightSpaceFeatures) -> list[Graded]:
        """Return features of the neurons of every hidden layer as they come from the weights."""
        found = []
        for bias in features.biases[:-1]:
            phase = self.omega * bias[:, 0, :, None]
            found.append(
                dict(zip(GRADES, ([(2 * phase).cos()], [(2 * phase).sin()], [phase.cos()], [phase.sin()]), strict=True))
            )
        incoming = self.omega * features.weights[0][:, 0]
        angles = self.directions(incoming)
        found[0][INVARIANT] += [angles.cos(), _relative(incoming).square()]
        found[0][LIKE_INCOMING] += [angles.sin(), _relative(incoming)]
        outgoing = _relative(features.weights[-1][:, 0].transpose(1, 2))
        found[-1][INVARIANT] += [outgoing.square()]
        found[-1][LIKE_OUTGOING] += [outgoing]
        return [{grade: torch.cat(parts, dim=2) for grade, parts in layer.items()} for layer in found]


class _Round(nn.Module):
    """Messages from the first of the hidden layers to the last, and back."""

    def __init__(self, steps: int, size: int) -> None:
        super().__init__()
        self.forth = nn.ModuleList(GradedMessages(size, backward=False) for _ in range(steps))
        self.back = nn.ModuleList(GradedMessages(size, backward=True) for _ in range(steps))

    def forward(self, neurons: Sequence[Graded], edges: Sequence[Tensor]) -> list[Graded]:
        layers = list(neurons)
        for i, (update, edge) in enumerate(zip(self.forth, edges, strict=True)):
            layers[i + 1] = update(layers[i + 1], layers[i], edge)
        for i, (update, edge) in reversed(list(enumerate(zip(self.back, edges, strict=True)))):
            layers[i] = update(layers[i], layers[i + 1], edge)
        return layers


def _relative(weight: Tensor) -> Tensor:
    """Return weights ``(batch, neurons, n)`` divided by their mean absolute value, which no sign changes."""
    mean = weight.abs().mean(dim=(1, 2), keepdim=True)
    return weight / torch.where(mean > 0, mean, 1.0)
