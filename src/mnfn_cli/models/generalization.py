"""Baselines that predict a network's accuracy: statistics, an MLP on flat weights, NP, HNP and a graph network."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from mnfn_cli.models.accuracy import AccuracyPredictor
from mnfn_cli.models.permutation import PermutationStack
from mnfn_cli.nn.activation import Pointwise
from mnfn_cli.nn.encodings import InputOutputEmbedding
from mnfn_cli.nn.graph import GraphPool, MessagePassing, NeuralGraph
from mnfn_cli.nn.invariant import MeanPool
from mnfn_cli.nn.permutation import NPLinear
from mnfn_cli.nn.permutation_maps import RectifiedSequential
from mnfn_cli.nn.scaling import Standardize
from mnfn_cli.nn.statistics import TensorStatistics
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec


class StatNN(AccuracyPredictor):
    """Predict accuracy by an MLP on seven statistics of every weight and bias tensor (Unterthiner et al. 2020).

    The statistics are invariant to permutations of neurons; they change when a neuron is scaled or its sign is flipped.

    Args:
        spec: the weight space of the networks.
        options: further arguments of ``AccuracyPredictor``, such as ``head``.

    Shapes:
        The input is raw weights, ``(batch, 1, out, in, *kernel)`` and ``(batch, 1, out)``; the output is ``(batch,)``,
        in [0, 1] if it is bounded.

    Source:
        Unterthiner et al. 2020.

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures, build_model
    >>> spec = NetworkSpec.cnn([1, 4, 4], kernel=3, stride=2, outputs=10, activation="relu")
    >>> model = build_model("generalization/statnn", spec)
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2)
    >>> model(networks).shape
    torch.Size([2])
    """

    def __init__(self, spec: NetworkSpec, **options: Any) -> None:
        statistics = TensorStatistics(spec)
        super().__init__(spec, statistics, statistics.numbers, **options)


class StatisticsMlp(AccuracyPredictor):
    """Predict a number about networks by MLPs on statistics that the whole monomial group leaves as they are.

    Args:
        spec: the weight space of the networks.
        options: the arguments ``statistics``, ``members``, ``head``, ``dropout`` and ``bounded`` of
            ``AccuracyPredictor``.

    Shapes:
        The input is raw weights, ``(batch, 1, out, in, *kernel)`` and ``(batch, 1, out)``; the output is ``(batch,)``,
        in [0, 1] if it is bounded.

    Source:
        mnfn's own.

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures, build_model
    >>> spec = NetworkSpec.cnn([1, 4, 4], kernel=3, stride=2, outputs=10, activation="relu")
    >>> model = build_model("generalization/statistics-mlp", spec)
    >>> model.statistics.fit(WeightSpaceFeatures.randn(spec, batch=4))
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2)
    >>> model.eval()(networks).shape
    torch.Size([2])
    """

    def __init__(self, spec: NetworkSpec, **options: Any) -> None:
        super().__init__(spec, None, 0, canonicalize=False, **options)


class FlatMlp(AccuracyPredictor):
    """Predict accuracy by an MLP on all weights and biases in one vector: the baseline that has no symmetry.

    Args:
        spec: the weight space of the networks.
        options: further arguments of ``AccuracyPredictor``, such as ``head``.

    Shapes:
        The input is raw weights, ``(batch, 1, out, in, *kernel)`` and ``(batch, 1, out)``; the output is ``(batch,)``,
        in [0, 1] if it is bounded.

    Source:
        paper, Section 6.1 (the baseline MLP).

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures, build_model
    >>> spec = NetworkSpec.cnn([1, 4, 4], kernel=3, stride=2, outputs=10, activation="relu")
    >>> model = build_model("generalization/mlp", spec)
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2)
    >>> model(networks).shape
    torch.Size([2])
    """

    def __init__(self, spec: NetworkSpec, **options: Any) -> None:
        super().__init__(spec, _Flatten(), spec.num_parameters, **options)


class _Flatten(nn.Module):
    def forward(self, features: WeightSpaceFeatures) -> Tensor:
        return features.flatten()


class NPGeneralization(AccuracyPredictor):
    """Predict accuracy by NP layers, equivariant to permutations of all neurons (Zhou et al. 2023).

    The weights are standardised. Each NP layer is preceded by a learned embedding, which tells apart the network's
    inputs and outputs, and followed by ReLU. The mean over neurons (``MeanPool``) gives the features.

    Args:
        spec: the weight space of the networks.
        channels: the number of output channels of each layer.
        options: further arguments of ``AccuracyPredictor``, such as ``head``.

    Shapes:
        The input is raw weights, ``(batch, 1, out, in, *kernel)`` and ``(batch, 1, out)``; the output is ``(batch,)``,
        in [0, 1] if it is bounded.

    Source:
        Zhou et al. 2023 (Permutation equivariant neural functionals).

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures, build_model
    >>> spec = NetworkSpec.cnn([1, 4, 4], kernel=3, stride=2, outputs=10, activation="relu")
    >>> model = build_model("generalization/np", spec)
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2)
    >>> model(networks).shape
    torch.Size([2])
    """

    def __init__(self, spec: NetworkSpec, channels: Sequence[int], **options: Any) -> None:
        layers: list[nn.Module] = [Standardize(spec)]
        for d, e in pairwise([1, *channels]):
            layers += [InputOutputEmbedding(spec, d), NPLinear(spec, d, e), Pointwise(torch.relu)]
        pool = MeanPool(spec, channels[-1])
        super().__init__(spec, RectifiedSequential(*layers, pool), pool.numbers, **options)


class HNPGeneralization(AccuracyPredictor):
    """Predict accuracy by HNP layers, equivariant to permutations of hidden neurons (Zhou et al. 2023).

    ReLU follows each HNP layer. The mean over neurons (``MeanPool``) gives the features.

    Args:
        spec: the weight space of the networks.
        channels: the number of output channels of each layer.
        options: further arguments of ``AccuracyPredictor``, such as ``head``.

    Shapes:
        The input is raw weights, ``(batch, 1, out, in, *kernel)`` and ``(batch, 1, out)``; the output is ``(batch,)``,
        in [0, 1] if it is bounded.

    Source:
        Zhou et al. 2023 (Permutation equivariant neural functionals).

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures, build_model
    >>> spec = NetworkSpec.cnn([1, 4, 4], kernel=3, stride=2, outputs=10, activation="relu")
    >>> model = build_model("generalization/hnp", spec)
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2)
    >>> model(networks).shape
    torch.Size([2])
    """

    def __init__(self, spec: NetworkSpec, channels: Sequence[int], **options: Any) -> None:
        pool = MeanPool(spec, channels[-1])
        features = nn.Sequential(PermutationStack(spec, 1, "hnp", channels), pool)
        super().__init__(spec, features, pool.numbers, **options)


class GNNGeneralization(AccuracyPredictor):
    """Predict accuracy by message passing on the network's graph, in which weights are edges (Kofinas et al. 2024).

    The weights are standardised, and every round updates nodes and edges. The mean over the nodes and over the edges of
    each layer gives the features.

    Args:
        spec: the weight space of the networks.
        size: the number of features of each node and of each edge.
        rounds: the number of rounds of message passing.
        options: further arguments of ``AccuracyPredictor``, such as ``head``.

    Shapes:
        The input is raw weights, ``(batch, 1, out, in, *kernel)`` and ``(batch, 1, out)``; the output is ``(batch,)``,
        in [0, 1] if it is bounded.

    Source:
        Kofinas et al. 2024.

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures, build_model
    >>> spec = NetworkSpec.cnn([1, 4, 4], kernel=3, stride=2, outputs=10, activation="relu")
    >>> model = build_model("generalization/gnn", spec)
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2)
    >>> model(networks).shape
    torch.Size([2])
    """

    def __init__(self, spec: NetworkSpec, size: int, rounds: int, **options: Any) -> None:
        pool = GraphPool(spec, size)
        passing = [MessagePassing(size) for _ in range(rounds)]
        features = nn.Sequential(Standardize(spec), NeuralGraph(spec, size), *passing, pool)
        super().__init__(spec, features, pool.numbers, **options)
