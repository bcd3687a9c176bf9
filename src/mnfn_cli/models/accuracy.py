"""What all models for predicting generalisation share: features of a network's weights, an MLP, a number in [0, 1]."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mnfn_cli.models.functional import Functional
from mnfn_cli.nn.head import mlp_head
from mnfn_cli.nn.scaling import Standardize
from mnfn_cli.weightspace.canonical import canonicalize
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec


class AccuracyPredictor(Functional):
    """Predict a network's accuracy from its weights.

    Args:
        spec: the weight space.
        features: the module that maps raw weights to ``(batch, numbers)``.
        numbers: the number of features of each network.
        head: the widths of the MLP's hidden layers.
        dropout: the probability with which a hidden unit of the MLP is dropped.
        canonicalize: bring each network to its canonical form first, which makes any features invariant to scaling or
            signs.

    Shapes:
        in raw weights, one channel; out ``(batch,)``, in [0, 1].
    """

    def __init__(
        self,
        spec: NetworkSpec,
        features: nn.Module,
        numbers: int,
        head: Sequence[int],
        dropout: float,
        canonicalize: bool,
    ) -> None:
        super().__init__()
        self.spec = spec
        self.canonicalize = canonicalize
        self.features = features
        self.head = mlp_head(numbers, head, 1, dropout)

    def forward(self, features: WeightSpaceFeatures) -> Tensor:
        """Predict."""
        return torch.sigmoid(self.head(self.features(self._prepared(features)))).squeeze(1)

    def prepare(self, features: WeightSpaceFeatures) -> None:
        """Let every ``Standardize`` among the features take its mean and deviation from the training networks.

        They are taken from canonical weights where the features read those: otherwise the scales in which the training
        networks happen to come would reach the predictions after all.
        """
        layers = [module for module in self.features.modules() if isinstance(module, Standardize)]
        prepared = self._prepared(features) if layers else features
        for layer in layers:
            layer.fit(prepared)

    def _prepared(self, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        return canonicalize(features, self.spec)[0] if self.canonicalize else features
