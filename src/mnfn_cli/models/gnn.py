"""A graph neural network on the graph of a network (after Kofinas et al. 2024), for predicting generalisation."""

from collections.abc import Sequence

from torch import nn

from mnfn_cli.models.accuracy import AccuracyPredictor
from mnfn_cli.nn.graph import GraphPool, MessagePassing, NeuralGraph
from mnfn_cli.nn.scaling import Standardize
from mnfn_cli.weightspace.spec import NetworkSpec


class Gnn(AccuracyPredictor):
    """Message passing with edge updates on standardised weights, then the mean over nodes and edges of each layer.

    Args:
        spec, head, dropout, canonicalize: see ``AccuracyPredictor``.
        size: of nodes and edges.
        rounds: of message passing.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        size: int,
        rounds: int,
        head: Sequence[int],
        dropout: float = 0.0,
        canonicalize: bool = False,
    ) -> None:
        pool = GraphPool(spec, size)
        passing = [MessagePassing(size) for _ in range(rounds)]
        features = nn.Sequential(Standardize(spec), NeuralGraph(spec, size), *passing, pool)
        super().__init__(spec, features, pool.numbers, head, dropout, canonicalize)
