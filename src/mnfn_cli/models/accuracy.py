"""The base class of all models that predict accuracy: features of a network's weights, an MLP, a number in [0, 1]."""

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
        spec: the weight space of the networks.
        features: a module that maps raw weights (``WeightSpaceFeatures`` with one channel) to ``(batch, numbers)``.
        numbers: the number of features of each network.
        head: the widths of the hidden layers of the MLP that maps the features to one logit.
        dropout: the dropout probability of the MLP's hidden units.
        canonicalize: whether each network is first brought to its canonical form (``weightspace.canonical``). Then the
            prediction is invariant to the scaling or sign group, whatever the features are.

    Shapes:
        The input is raw weights, ``(batch, 1, out, in, *kernel)`` and ``(batch, 1, out)``; the output is ``(batch,)``,
        in [0, 1].
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
        """Return predicted accuracies, ``(batch,)``."""
        return torch.sigmoid(self.head(self.features(self._prepared(features)))).squeeze(1)

    def prepare(self, features: WeightSpaceFeatures) -> None:
        """Fit every ``Standardize`` layer on the training networks.

        With ``canonicalize`` the layers are fitted on canonical weights. Means and deviations of the weights as they
        come would depend on the scale of every neuron, and the prediction would no longer be invariant.

        Args:
            features: raw weights of all training networks, ``(networks, 1, ...)``.
        """
        layers = [module for module in self.features.modules() if isinstance(module, Standardize)]
        prepared = self._prepared(features) if layers else features
        for layer in layers:
            layer.fit(prepared)

    def _prepared(self, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        return canonicalize(features, self.spec)[0] if self.canonicalize else features
