"""STATNN: an MLP on statistics of the weights, for predicting generalisation (Unterthiner et al. 2020)."""

from collections.abc import Sequence

from mnfn_cli.models.accuracy import AccuracyPredictor
from mnfn_cli.nn.statistics import TensorStatistics
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
