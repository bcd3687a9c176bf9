"""NP on standardised weights with embedded inputs and outputs, for predicting generalisation (Zhou et al. 2023)."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from mnfn_cli.models.accuracy import AccuracyPredictor
from mnfn_cli.nn.activation import Pointwise
from mnfn_cli.nn.embedding import InputOutputEmbedding
from mnfn_cli.nn.invariant import MeanPool
from mnfn_cli.nn.permutation import NPLinear
from mnfn_cli.nn.scaling import Standardize
from mnfn_cli.weightspace.spec import NetworkSpec


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
