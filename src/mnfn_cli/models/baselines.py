"""Baselines for predicting generalisation: statistics, flat weights, and permutation-equivariant layers."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from mnfn_cli.models.accuracy import AccuracyPredictor
from mnfn_cli.models.permutation import PermutationStack
from mnfn_cli.nn.activation import Pointwise
from mnfn_cli.nn.embedding import InputOutputEmbedding
from mnfn_cli.nn.invariant import MeanPool
from mnfn_cli.nn.permutation import NPLinear
from mnfn_cli.nn.standardize import Standardize
from mnfn_cli.nn.statistics import TensorStatistics
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec


class StatNN(AccuracyPredictor):
    """An MLP on seven statistics of every weight and bias tensor (Unterthiner et al. 2020).

    Invariant to permutations; what scaling does to the statistics, it sees.

    Args:
        spec, head, dropout, canonicalize: see ``AccuracyPredictor``.
    """

    def __init__(
        self, spec: NetworkSpec, head: Sequence[int], dropout: float = 0.0, canonicalize: bool = False
    ) -> None:
        statistics = TensorStatistics(spec)
        super().__init__(spec, statistics, statistics.numbers, head, dropout, canonicalize)


class FlatMlp(AccuracyPredictor):
    """An MLP on all weights: it knows no symmetry.

    Args:
        spec, head, dropout, canonicalize: see ``AccuracyPredictor``.
    """

    def __init__(
        self, spec: NetworkSpec, head: Sequence[int], dropout: float = 0.0, canonicalize: bool = False
    ) -> None:
        super().__init__(spec, _Flatten(), spec.num_parameters, head, dropout, canonicalize)


class Hnp(AccuracyPredictor):
    """HNP layers with ReLU, then the mean over hidden neurons.

    Args:
        spec, head, dropout, canonicalize: see ``AccuracyPredictor``.
        channels: after each layer.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        channels: Sequence[int],
        head: Sequence[int],
        dropout: float = 0.0,
        canonicalize: bool = False,
    ) -> None:
        pool = MeanPool(spec, channels[-1])
        features = nn.Sequential(PermutationStack(spec, 1, "hnp", channels), pool)
        super().__init__(spec, features, pool.numbers, head, dropout, canonicalize)


class Np(AccuracyPredictor):
    """NP layers with ReLU on standardised weights, a learned input/output embedding before each, then the mean.

    Args:
        spec, head, dropout, canonicalize: see ``AccuracyPredictor``.
        channels: after each layer.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        channels: Sequence[int],
        head: Sequence[int],
        dropout: float = 0.0,
        canonicalize: bool = False,
    ) -> None:
        layers: list[nn.Module] = [Standardize(spec)]
        for d, e in pairwise([1, *channels]):
            layers += [InputOutputEmbedding(spec, d), NPLinear(spec, d, e), Pointwise(torch.relu)]
        pool = MeanPool(spec, channels[-1])
        super().__init__(spec, nn.Sequential(*layers, pool), pool.numbers, head, dropout, canonicalize)


class _Flatten(nn.Module):
    def forward(self, features: WeightSpaceFeatures) -> Tensor:
        return features.flatten()
