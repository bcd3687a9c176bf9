"""HNP, equivariant to permutations of hidden neurons, for predicting generalisation (Zhou et al. 2023)."""

from collections.abc import Sequence

from torch import nn

from mnfn_cli.models.accuracy import AccuracyPredictor
from mnfn_cli.models.permutation import PermutationStack
from mnfn_cli.nn.invariant import MeanPool
from mnfn_cli.weightspace.spec import NetworkSpec


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
