"""The base class of models that predict a number about a network: features of its weights, an MLP, a number."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from mnfn_cli.models.functional import Functional
from mnfn_cli.nn.blockwise import BlockwiseInvariant
from mnfn_cli.nn.head import Ensemble, mlp_head
from mnfn_cli.nn.invariant_statistics import InvariantStatistics
from mnfn_cli.nn.scaling import Standardize
from mnfn_cli.weightspace.canonical import canonicalize
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec

NUMBERS_TOGETHER = 160_000
"""The number of weights and biases in a chunk of networks, as in 32 CNNs of the Small CNN Zoo. A layer's features of
them take some megabytes."""


class AccuracyPredictor(Functional):
    """Predict a network's accuracy, or another number about it, from its weights.

    Args:
        spec: the weight space of the networks.
        features: a module that maps raw weights (``WeightSpaceFeatures`` with one channel) to ``(batch, numbers)``,
            each network by itself; None for a model that reads the statistics only.
        numbers: the number of features of each network.
        head: the widths of the hidden layers of the MLP that maps the features to one logit.
        dropout: the dropout probability of the MLP's hidden units.
        canonicalize: whether each network is first brought to its canonical form (``weightspace.canonical``). Then the
            prediction is invariant to the scaling or sign group, whatever the features are.
        statistics: the kinds of invariant statistics that the MLP reads beside the features (``InvariantStatistics``).
        members: the number of MLPs, which learn apart; their mean logit is the answer (``Ensemble``).
        bounded: whether the answer is in [0, 1], the sigmoid of the logit, or any number, the logit itself.

    Shapes:
        The input is raw weights, ``(batch, 1, out, in, *kernel)`` and ``(batch, 1, out)``; the output is ``(batch,)``,
        in [0, 1] if it is bounded.

    Source:
        paper, Section 6.1.

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures
    >>> from mnfn_cli.models import AccuracyPredictor
    >>> from mnfn_cli.nn import TensorStatistics
    >>> spec = NetworkSpec.cnn([1, 4, 4], kernel=3, stride=2, outputs=10, activation="relu")
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2)
    >>> statistics = TensorStatistics(spec)
    >>> AccuracyPredictor(spec, statistics, statistics.numbers, [16], 0.0, canonicalize=True)(networks).shape
    torch.Size([2])
    """

    def __init__(
        self,
        spec: NetworkSpec,
        features: nn.Module | None,
        numbers: int,
        head: Sequence[int],
        dropout: float,
        canonicalize: bool,
        statistics: Sequence[str] = (),
        members: int = 1,
        bounded: bool = True,
    ) -> None:
        super().__init__()
        self.spec = spec
        self.canonicalize = canonicalize
        self.bounded = bounded
        self.features = features
        self.statistics = InvariantStatistics(spec, statistics) if statistics else None
        numbers += self.statistics.numbers if self.statistics else 0
        arguments = (numbers, head, 1, dropout)
        self.head = Ensemble(members, *arguments) if members > 1 else mlp_head(*arguments)

    def forward(self, features: WeightSpaceFeatures) -> Tensor:
        """Return predicted numbers, ``(batch,)``."""
        found = [] if self.features is None else [in_chunks(self.features, self._prepared(features))]
        found += [] if self.statistics is None else [self.statistics(features)]
        logits = self.head(torch.cat(found, dim=1)).squeeze(1)
        logits = logits.to(next(self.head.parameters()).dtype)  # mixed precision would leave three digits
        return torch.sigmoid(logits) if self.bounded else logits

    def prepare(self, features: WeightSpaceFeatures) -> None:
        """Fit every ``Standardize`` layer, and the statistics, on the training networks.

        With ``canonicalize`` the layers are fitted on canonical weights. Means and deviations of the weights as they
        come would depend on the scale of every neuron, and the prediction would no longer be invariant.

        Args:
            features: raw weights of all training networks, ``(networks, 1, ...)``.
        """
        if self.statistics is not None:
            self.statistics.fit(features)
        layers = [module for module in self.modules() if isinstance(module, Standardize)]
        prepared = self._prepared(features) if layers else features
        for layer in layers:
            layer.fit(prepared)

    def _prepared(self, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        return canonicalize(features, self.spec)[0] if self.canonicalize else features


def in_chunks(function: Callable[[WeightSpaceFeatures], Tensor], features: WeightSpaceFeatures) -> Tensor:
    """Return ``function(features)``, on a CPU computed from ``NUMBERS_TOGETHER`` weights at a time.

    The chunks come and go in memory that the process already has. What a large batch needs for a moment the system
    would map, clear and take back at every layer, which can take as long as the layer.

    Args:
        function: a map of ``(batch, ...)`` to ``(batch, numbers)`` in which no network depends on the others.
        features: the networks.
    """
    together = max(1, NUMBERS_TOGETHER // sum(tensor[0].numel() for tensor in features.tensors()))
    alone = torch.compiler.is_exporting() or features.device.type != "cpu" or features.batch <= together
    if alone or isinstance(function, BlockwiseInvariant):  # which takes each block in chunks of its own
        return function(features)
    starts = range(0, features.batch, together)
    return torch.cat([function(features.select(slice(start, start + together))) for start in starts])
