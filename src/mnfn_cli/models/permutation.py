"""Permutation-equivariant stacks of NP or HNP layers, and the INR classifier and editor made of one.

Zhou et al. 2023, "Permutation Equivariant Neural Functionals" and "Neural Functional Transformers"; parameters as in
the Monomial-NFN paper's tables.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn

from mnfn_cli.nn.activation import ChannelDropout, Pointwise
from mnfn_cli.nn.encodings import GaussianFourierFeatures, InputOutputEncoding
from mnfn_cli.nn.head import mlp_head
from mnfn_cli.nn.invariant import MeanPool
from mnfn_cli.nn.permutation import HNPLinear, NPLinear
from mnfn_cli.nn.scaling import LearnedScale
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec

Base = Literal["np", "hnp"]
LAYERS: Mapping[Base, type[NPLinear] | type[HNPLinear]] = {"np": NPLinear, "hnp": HNPLinear}


class PermutationStack(nn.Sequential):
    """Fourier features, position encoding, then layers with ReLU: equivariant to permutations of hidden neurons.

    Args:
        spec: the weight space.
        channels: the number of channels of the input.
        base: the kind of layers, ``np`` or ``hnp``.
        base_channels: the number of channels after each layer; ReLU follows each layer.
        fourier: ``size`` and ``scale`` of Gaussian Fourier features in front; None leaves them out.
        encoding: ``bands`` and ``max_freq`` of the input/output encoding after those; None leaves it out.
        channel_dropout: probability with which a channel is dropped after a ReLU.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        channels: int,
        base: Base,
        base_channels: Sequence[int],
        fourier: Mapping[str, Any] | None = None,
        encoding: Mapping[str, Any] | None = None,
        channel_dropout: float = 0.0,
    ) -> None:
        layers: list[nn.Module] = []
        if fourier is not None:
            features = GaussianFourierFeatures(channels, **fourier)
            layers.append(features)
            channels = features.out_channels
        if encoding is not None:
            position = InputOutputEncoding(spec, **encoding)
            layers.append(position)
            channels += position.extra_channels
        for d, e in pairwise([channels, *base_channels]):
            layers += [LAYERS[base](spec, d, e), Pointwise(torch.relu)]
            if channel_dropout > 0:
                layers.append(ChannelDropout(channel_dropout))
        super().__init__(*layers)


class PermutationClassifier(nn.Module):
    """Classify the picture inside an INR: a stack, mean pool, MLP. Invariant to permutations of hidden neurons.

    Args:
        spec: the weight space.
        classes: the number of classes.
        head: the widths of the MLP's hidden layers.
        dropout: the probability with which a hidden unit of the MLP is dropped.
        channels: the number of channels of the input; 1 for raw weights.
        stack: further arguments of ``PermutationStack``.

    Shapes:
        in ``(batch, channels, ...)``; out logits ``(batch, classes)``.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        base: Base,
        base_channels: Sequence[int],
        head: Sequence[int],
        dropout: float,
        classes: int = 10,
        channels: int = 1,
        **stack: Any,
    ) -> None:
        super().__init__()
        self.stack = PermutationStack(spec, channels, base, base_channels, **stack)
        self.pool = MeanPool(spec, base_channels[-1])
        self.head = mlp_head(self.pool.numbers, head, classes, dropout)

    def forward(self, features: WeightSpaceFeatures) -> Tensor:
        """Return logits."""
        logits: Tensor = self.head(self.pool(self.stack(features)))
        return logits


class PermutationEditor(nn.Module):
    """Return a change of weights: a stack, one more layer to one channel, a learned scale for each tensor.

    Equivariant to permutations of hidden neurons; not to sign flips.

    Args:
        spec: the weight space.
        stack: further arguments of ``PermutationStack``.

    Shapes:
        in and out raw weights, one channel.
    """

    def __init__(self, spec: NetworkSpec, base: Base, base_channels: Sequence[int], **stack: Any) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            PermutationStack(spec, 1, base, base_channels, **stack),
            LAYERS[base](spec, base_channels[-1], 1),
            LearnedScale(spec),
        )

    def forward(self, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        """Return the change."""
        change: WeightSpaceFeatures = self.layers(features)
        return change


class NpClassifier(PermutationClassifier):
    """The classifier with NP layers; ``options`` are those of ``PermutationClassifier``."""

    def __init__(self, spec: NetworkSpec, **options: Any) -> None:
        super().__init__(spec, "np", **options)


class HnpClassifier(PermutationClassifier):
    """The classifier with HNP layers; ``options`` are those of ``PermutationClassifier``."""

    def __init__(self, spec: NetworkSpec, **options: Any) -> None:
        super().__init__(spec, "hnp", **options)


class NpEditor(PermutationEditor):
    """The editor with NP layers; ``options`` are those of ``PermutationEditor``."""

    def __init__(self, spec: NetworkSpec, **options: Any) -> None:
        super().__init__(spec, "np", **options)


class HnpEditor(PermutationEditor):
    """The editor with HNP layers; ``options`` are those of ``PermutationEditor``."""

    def __init__(self, spec: NetworkSpec, **options: Any) -> None:
        super().__init__(spec, "hnp", **options)
