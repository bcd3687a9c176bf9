"""The flat multilayer perceptron: the baseline that knows no symmetry."""

from collections.abc import Sequence

from torch import Tensor, nn

from mnfn_cli.nn.head import mlp_head
from mnfn_cli.nn.scaling import LearnedScale
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec


class MlpClassifier(nn.Module):
    """Classify the picture inside an INR from its flattened weights.

    Args:
        spec: the weight space.
        hidden: the widths of the hidden layers.
        classes: the number of classes.
        dropout: the probability with which a hidden unit is dropped.

    Shapes:
        in raw weights, one channel; out logits ``(batch, classes)``.
    """

    def __init__(self, spec: NetworkSpec, hidden: Sequence[int], dropout: float, classes: int = 10) -> None:
        super().__init__()
        self.mlp = mlp_head(spec.num_parameters, hidden, classes, dropout)

    def forward(self, features: WeightSpaceFeatures) -> Tensor:
        """Return logits."""
        logits: Tensor = self.mlp(features.flatten())
        return logits


class MlpEditor(nn.Module):
    """Return a change of weights from the flattened weights, with a learned scale for each tensor.

    Args:
        spec: the weight space.
        hidden: the widths of the hidden layers.

    Shapes:
        in and out raw weights, one channel.
    """

    def __init__(self, spec: NetworkSpec, hidden: Sequence[int]) -> None:
        super().__init__()
        self.mlp = mlp_head(spec.num_parameters, hidden, spec.num_parameters)
        self.scale = LearnedScale(spec)

    def forward(self, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        """Return the change."""
        change: WeightSpaceFeatures = self.scale(features.unflatten(self.mlp(features.flatten())))
        return change
