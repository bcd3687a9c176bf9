"""Permutation-equivariant stacks of NP or HNP layers, and the INR classifier and the INR editor that use them.

The layers follow Zhou et al. 2023, "Permutation Equivariant Neural Functionals" and "Neural Functional Transformers".
Numbers of parameters agree with the tables of the Monomial-NFN paper.
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
from mnfn_cli.nn.permutation_maps import RectifiedSequential
from mnfn_cli.nn.scaling import LearnedScale
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec

Base = Literal["np", "hnp"]
LAYERS: Mapping[Base, type[NPLinear] | type[HNPLinear]] = {"np": NPLinear, "hnp": HNPLinear}


class PermutationStack(RectifiedSequential):
    """Fourier features, a position encoding, then NP or HNP layers, each followed by ReLU.

    It is equivariant to permutations of hidden neurons.

    Args:
        spec: the weight space of the networks.
        channels: the number of channels of the input.
        base: the kind of layers: ``np`` (equivariant to permutations of all neurons) or ``hnp`` (of hidden neurons).
        base_channels: the number of output channels of each layer.
        fourier: the arguments ``size`` and ``scale`` of ``GaussianFourierFeatures``, which come first; None for none.
        encoding: the arguments ``bands`` and ``max_freq`` of ``InputOutputEncoding``, which comes next; None for none.
        channel_dropout: the probability with which a channel is dropped after each ReLU.

    Shapes:
        The input is ``(batch, channels, ...)``; the output is ``(batch, base_channels[-1], ...)``.

    Source:
        Zhou et al. 2023 (Permutation equivariant neural functionals).

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures
    >>> from mnfn_cli.models import PermutationStack
    >>> spec = NetworkSpec.mlp([2, 8, 8, 1], activation="sin", omega=15.0)
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2)
    >>> PermutationStack(spec, 1, "hnp", [6, 4])(networks).channels
    4
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
    """Classify the picture that an INR encodes: a ``PermutationStack``, the mean over neurons, an MLP.

    The logits are invariant to permutations of hidden neurons.

    Args:
        spec: the weight space of the INRs.
        base, base_channels: the kind of layers and their output channels, as of ``PermutationStack``.
        head: the widths of the MLP's hidden layers.
        dropout: the dropout probability of the MLP's hidden units.
        classes: the number of classes.
        channels: the number of channels of the input; 1 for raw weights.
        stack: the arguments ``fourier``, ``encoding`` and ``channel_dropout`` of ``PermutationStack``.

    Shapes:
        The input is ``(batch, channels, out, in)`` and ``(batch, channels, out)``; the output is logits,
        ``(batch, classes)``.
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
        """Return logits, ``(batch, classes)``."""
        logits: Tensor = self.head(self.pool(self.stack(features)))
        return logits


class PermutationEditor(nn.Module):
    """Map an INR's weights to a change of them: a ``PermutationStack``, a layer to one channel, learned scales.

    It is equivariant to permutations of hidden neurons, but not to sign flips.

    Args:
        spec: the weight space of the INRs.
        base, base_channels: the kind of layers and their output channels, as of ``PermutationStack``.
        stack: the arguments ``fourier``, ``encoding`` and ``channel_dropout`` of ``PermutationStack``.

    Shapes:
        The input and the output are ``(batch, 1, out, in)`` and ``(batch, 1, out)``.
    """

    def __init__(self, spec: NetworkSpec, base: Base, base_channels: Sequence[int], **stack: Any) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            PermutationStack(spec, 1, base, base_channels, **stack),
            LAYERS[base](spec, base_channels[-1], 1),
            LearnedScale(spec),
        )

    def forward(self, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        """Return the change, which the caller adds to the weights."""
        change: WeightSpaceFeatures = self.layers(features)
        return change


class NPClassifier(PermutationClassifier):
    """``PermutationClassifier`` with NP layers. ``options`` are its arguments other than ``spec`` and ``base``.

    Args:
        spec: the weight space of the INRs.
        options: the arguments of ``PermutationClassifier`` other than ``spec`` and ``base``.

    Shapes:
        The input is raw weights, ``(batch, 1, out, in)`` and ``(batch, 1, out)``; the output is logits,
        ``(batch, classes)``.

    Source:
        Zhou et al. 2023 (Permutation equivariant neural functionals).

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures, build_model
    >>> spec = NetworkSpec.mlp([2, 8, 8, 1], activation="sin", omega=15.0)
    >>> model = build_model("classification/np", spec)
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2)
    >>> model(networks).shape
    torch.Size([2, 10])
    """

    def __init__(self, spec: NetworkSpec, **options: Any) -> None:
        super().__init__(spec, "np", **options)


class HNPClassifier(PermutationClassifier):
    """``PermutationClassifier`` with HNP layers. ``options`` are its arguments other than ``spec`` and ``base``.

    Args:
        spec: the weight space of the INRs.
        options: the arguments of ``PermutationClassifier`` other than ``spec`` and ``base``.

    Shapes:
        The input is raw weights, ``(batch, 1, out, in)`` and ``(batch, 1, out)``; the output is logits,
        ``(batch, classes)``.

    Source:
        Zhou et al. 2023 (Permutation equivariant neural functionals).

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures, build_model
    >>> spec = NetworkSpec.mlp([2, 8, 8, 1], activation="sin", omega=15.0)
    >>> model = build_model("classification/hnp", spec)
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2)
    >>> model(networks).shape
    torch.Size([2, 10])
    """

    def __init__(self, spec: NetworkSpec, **options: Any) -> None:
        super().__init__(spec, "hnp", **options)


class NPEditor(PermutationEditor):
    """``PermutationEditor`` with NP layers. ``options`` are its arguments other than ``spec`` and ``base``.

    Args:
        spec: the weight space of the INRs.
        options: the arguments of ``PermutationEditor`` other than ``spec`` and ``base``.

    Shapes:
        The input and the output are ``(batch, 1, out, in)`` and ``(batch, 1, out)``.

    Source:
        Zhou et al. 2023 (Permutation equivariant neural functionals).

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures, build_model
    >>> spec = NetworkSpec.mlp([2, 8, 8, 1], activation="sin", omega=15.0)
    >>> model = build_model("editing/np", spec)
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2)
    >>> model(networks).weights[1].shape
    torch.Size([2, 1, 8, 8])
    """

    def __init__(self, spec: NetworkSpec, **options: Any) -> None:
        super().__init__(spec, "np", **options)


class HNPEditor(PermutationEditor):
    """``PermutationEditor`` with HNP layers. ``options`` are its arguments other than ``spec`` and ``base``.

    Args:
        spec: the weight space of the INRs.
        options: the arguments of ``PermutationEditor`` other than ``spec`` and ``base``.

    Shapes:
        The input and the output are ``(batch, 1, out, in)`` and ``(batch, 1, out)``.

    Source:
        Zhou et al. 2023 (Permutation equivariant neural functionals).

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures, build_model
    >>> spec = NetworkSpec.mlp([2, 8, 8, 1], activation="sin", omega=15.0)
    >>> model = build_model("editing/hnp", spec)
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2)
    >>> model(networks).weights[1].shape
    torch.Size([2, 1, 8, 8])
    """

    def __init__(self, spec: NetworkSpec, **options: Any) -> None:
        super().__init__(spec, "hnp", **options)
