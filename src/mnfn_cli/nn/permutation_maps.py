"""What NP and HNP layers share: the averages of a batch that they read, and what comes of the maps that they compute.

Channels are the last axis here: a weight is ``(batch, out, in, channels * kernel entries)``, so that a linear map on
channels is one matrix product.
"""

from abc import abstractmethod
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mnfn_cli.nn.activation import ChannelDropout, Pointwise
from mnfn_cli.nn.entries import SpreadMap, SummedFeatures, scaled, with_sums
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec


@dataclass(frozen=True)
class Means:
    """A batch of features with the channels last, and their averages. Each list has one tensor for each layer.

    Args:
        weights: the weights ``(batch, out, in, numbers)``, where ``numbers`` is channels times kernel entries.
        biases: the biases ``(batch, out, channels)``.
        rows: the means of the weights over the output axis, ``(batch, in, numbers)``.
        columns: the means of the weights over the input axis, ``(batch, out, numbers)``.
        scalars: the means of the weights over both axes and the means of the biases, concatenated over all layers.
    """

    weights: list[Tensor]
    biases: list[Tensor]
    rows: list[Tensor]
    columns: list[Tensor]
    scalars: Tensor

    @classmethod
    def of(cls, features: WeightSpaceFeatures) -> "Means":
        """Return the averages of features, from their sums if they come with them."""
        weights = [weight.movedim(1, 3).flatten(3) for weight in features.weights]
        biases = [bias.movedim(1, 2) for bias in features.biases]
        if isinstance(features, SummedFeatures):
            over_outputs, over_inputs = features.over_outputs, features.over_inputs
        else:
            _, over_outputs, over_inputs = zip(*map(with_sums, weights), strict=True)
        # A sum divided afterwards: the gradient of ``mean`` would write a quotient for every entry.
        rows = [total / weight.shape[1] for total, weight in zip(over_outputs, weights, strict=True)]
        columns = [total / weight.shape[2] for total, weight in zip(over_inputs, weights, strict=True)]
        scalars = [mean.mean(dim=1) for mean in (*rows, *biases)]
        return cls(weights, biases, rows, columns, torch.cat(scalars, dim=1))


class PermutationLinear(nn.Module):
    """The base class of ``NPLinear`` and ``HNPLinear``.

    Args:
        spec: the weight space.
        in_channels: the number ``d`` of channels of the input.
        out_channels: the number ``e`` of channels of the output.

    Shapes:
        The input is ``(batch, d, out, in, *kernel)`` and ``(batch, d, out)``; the output has ``e`` channels instead.
    """

    def __init__(self, spec: NetworkSpec, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.spec = spec
        self.in_channels = in_channels
        self.out_channels = out_channels
        self._taken = [entries * in_channels for entries in spec.kernel_entries]
        self._given = [entries * out_channels for entries in spec.kernel_entries]

    @abstractmethod
    def _map(self, means: Means) -> tuple[list[Tensor | SpreadMap], list[Tensor]]:
        """Return the image, the channels last: weights ``(batch, out, in, numbers)``, biases ``(batch, out, e)``."""

    def forward(self, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        """Return the image of the features under the map."""
        weights, biases = self._map(Means.of(features))
        computed = [weight.compute() if isinstance(weight, SpreadMap) else weight for weight in weights]
        return WeightSpaceFeatures(self._shaped(computed), [bias.movedim(2, 1) for bias in biases])

    def rectify(self, features: WeightSpaceFeatures, dropout: ChannelDropout | None = None) -> SummedFeatures:
        """Return ``relu`` of the image of the features and the sums of its weights, in one pass over their entries.

        Args:
            features: the input.
            dropout: what follows ReLU. It draws the numbers that it draws as a layer of its own.
        """
        weights, biases = self._map(Means.of(features))

        def factors_of(values: Tensor | SpreadMap, entries: int = 1) -> Tensor | None:
            like = values.at_inputs if isinstance(values, SpreadMap) else values
            factors = dropout.factors(like, self.out_channels) if dropout is not None else None
            return factors if factors is None else factors.repeat_interleave(entries, dim=1)

        summed = []
        for weight, entries in zip(weights, self.spec.kernel_entries, strict=True):
            factors = factors_of(weight, entries)
            if isinstance(weight, SpreadMap):
                summed.append(weight.rectify(factors))
            else:
                summed.append(with_sums(scaled(weight.relu(), factors)))
        computed, over_outputs, over_inputs = zip(*summed, strict=True)
        rectified = [scaled(bias.relu(), factors_of(bias)).movedim(2, 1) for bias in biases]
        return SummedFeatures(self._shaped(computed), rectified, over_outputs, over_inputs)

    def extra_repr(self) -> str:
        """Return the text that ``print(module)`` shows for this layer."""
        return f"{self.in_channels} -> {self.out_channels}"

    def _shaped(self, weights: Sequence[Tensor]) -> list[Tensor]:
        """Return views of ``(batch, out, in, numbers)`` in the shapes of the weights."""
        kernels = [shape[2:] for shape in self.spec.weight_shapes]
        return [
            values.unflatten(3, (self.out_channels, *kernel)).movedim(3, 1)
            for values, kernel in zip(weights, kernels, strict=True)
        ]


class RectifiedSequential(nn.Sequential):
    """``nn.Sequential``, in which a permutation-equivariant linear layer, ReLU and dropout of channels are one pass.

    Args:
        modules: the modules, as of ``nn.Sequential``. Each ``PermutationLinear`` before ``Pointwise(torch.relu)``
            computes that too, and a ``ChannelDropout`` behind it.

    Shapes:
        Those of the modules.

    >>> from mnfn_cli import NPLinear, NetworkSpec, WeightSpaceFeatures
    >>> from mnfn_cli.nn import Pointwise
    >>> spec = NetworkSpec.mlp([2, 5, 4, 3], activation="tanh")
    >>> layers = RectifiedSequential(NPLinear(spec, 1, 6), Pointwise(torch.relu))
    >>> layers(WeightSpaceFeatures.randn(spec, batch=2)).channels
    6
    """

    def forward(self, features: Any) -> Any:
        """Return what the last module returns."""
        modules = deque(self)
        while modules:
            layer = modules.popleft()
            behind = modules[0] if modules else None
            if not (isinstance(layer, PermutationLinear) and isinstance(behind, Pointwise) and behind.rectifies):
                features = layer(features)
                continue
            modules.popleft()
            dropout = modules[0] if modules else None
            if isinstance(dropout, ChannelDropout):
                modules.popleft()
                features = layer.rectify(features, dropout)
            else:
                features = layer.rectify(features)
        return features
