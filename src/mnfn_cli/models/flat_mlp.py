"""An MLP on the flat weights, for predicting generalisation: what a model without symmetry does."""

from collections.abc import Sequence

from torch import Tensor, nn

from mnfn_cli.models.accuracy import AccuracyPredictor
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec


class FlatMlp(AccuracyPredictor):
    """An MLP on all weights: it knows no symmetry.

    Args:
        spec, head, dropout, canonicalize: see ``AccuracyPredictor``.
    """

    def __init__(
        self, spec: NetworkSpec, head: Sequence[int], dropout: float = 0.0, canonicalize: bool = False
    ) -> None:
        super().__init__(spec, _Flatten(), spec.num_parameters, head, dropout, canonicalize)


class _Flatten(nn.Module):
    def forward(self, features: WeightSpaceFeatures) -> Tensor:
        return features.flatten()
