"""Models for predicting generalisation beside the monomial one: statistics, flat weights, NP, HNP, a graph network."""

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
from mnfn_cli.nn.scaling import Standardize
from mnfn_cli.nn.statistics import TensorStatistics
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec


class StatNN(AccuracyPredictor):
    """An MLP on seven statistics of every weight and bias tensor (Unterthiner et al. 2020).

    The statistics are invariant to permutations of neurons; they change when neurons are scaled or flipped.

    Args:
        spec: the weight space that is read.
        options: ``head``, ``dropout`` and ``canonicalize`` of ``AccuracyPredictor``.
    """

    def __init__(self, spec: NetworkSpec, **options: Any) -> None:
        statistics = TensorStatistics(spec)
        super().__init__(spec, statistics, statistics.numbers, **options)


class FlatMlp(AccuracyPredictor):
    """An MLP on all weights of a network in one vector: what a model without any symmetry does.

    Args:
        spec: the weight space that is read.
        options: ``head``, ``dropout`` and ``canonicalize`` of ``AccuracyPredictor``.
    """

    def __init__(self, spec: NetworkSpec, **options: Any) -> None:
        super().__init__(spec, _Flatten(), spec.num_parameters, **options)


class _Flatten(nn.Module):
    def forward(self, features: WeightSpaceFeatures) -> Tensor:
        return features.flatten()


class Np(AccuracyPredictor):
    """NP layers on standardised weights, equivariant to permutations of all neurons (Zhou et al. 2023).

    A learned embedding of inputs and outputs stands before each layer and ReLU after it; the mean over neurons follows.

    Args:
        spec: the weight space that is read.
        channels: the number of channels after each layer.
        options: ``head``, ``dropout`` and ``canonicalize`` of ``AccuracyPredictor``.
    """

    def __init__(self, spec: NetworkSpec, channels: Sequence[int], **options: Any) -> None:
        layers: list[nn.Module] = [Standardize(spec)]
        for d, e in pairwise([1, *channels]):
            layers += [InputOutputEmbedding(spec, d), NPLinear(spec, d, e), Pointwise(torch.relu)]
        pool = MeanPool(spec, channels[-1])
        super().__init__(spec, nn.Sequential(*layers, pool), pool.numbers, **options)


class Hnp(AccuracyPredictor):
    """HNP layers, equivariant to permutations of hidden neurons, with ReLU after each; then the mean over neurons.

    Zhou et al. 2023.

    Args:
        spec: the weight space that is read.
        channels: the number of channels after each layer.
        options: ``head``, ``dropout`` and ``canonicalize`` of ``AccuracyPredictor``.
    """

    def __init__(self, spec: NetworkSpec, channels: Sequence[int], **options: Any) -> None:
        pool = MeanPool(spec, channels[-1])
        features = nn.Sequential(PermutationStack(spec, 1, "hnp", channels), pool)
        super().__init__(spec, features, pool.numbers, **options)


class Gnn(AccuracyPredictor):
    """Message passing with edge updates on standardised weights, then the mean over nodes and edges of each layer.

    After Kofinas et al. 2024.

    Args:
        spec: the weight space that is read.
        size: the number of features of each node and of each edge.
        rounds: the number of rounds of message passing.
        options: ``head``, ``dropout`` and ``canonicalize`` of ``AccuracyPredictor``.
    """

    def __init__(self, spec: NetworkSpec, size: int, rounds: int, **options: Any) -> None:
        pool = GraphPool(spec, size)
        passing = [MessagePassing(size) for _ in range(rounds)]
        features = nn.Sequential(Standardize(spec), NeuralGraph(spec, size), *passing, pool)
        super().__init__(spec, features, pool.numbers, **options)
