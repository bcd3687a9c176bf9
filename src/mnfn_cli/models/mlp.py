"""MLPs on all weights and biases of an INR in one vector: the baselines that have no symmetry."""

from collections.abc import Sequence

from torch import Tensor, nn

from mnfn_cli.nn.head import mlp_head
from mnfn_cli.nn.scaling import LearnedScale
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec


class MlpClassifier(nn.Module):
    """Classify the picture inside an INR from its flattened weights.

    Args:
        spec: the weight space of the INRs.
        hidden: the widths of the hidden layers.
        dropout: the dropout probability of hidden units.
        classes: the number of classes.

    Shapes:
        The input is raw weights, ``(batch, 1, out, in)`` and ``(batch, 1, out)``; the output is logits,
        ``(batch, classes)``.

    Source:
        Zhou et al. 2023 (their baseline).

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures, build_model
    >>> spec = NetworkSpec.mlp([2, 8, 8, 1], activation="sin", omega=15.0)
    >>> model = build_model("classification/mlp", spec)
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2)
    >>> model(networks).shape
    torch.Size([2, 10])
    """

    def __init__(self, spec: NetworkSpec, hidden: Sequence[int], dropout: float, classes: int = 10) -> None:
        super().__init__()
        self.mlp = mlp_head(spec.num_parameters, hidden, classes, dropout)

    def forward(self, features: WeightSpaceFeatures) -> Tensor:
        """Return logits, ``(batch, classes)``."""
        logits: Tensor = self.mlp(features.flatten())
        return logits


class MlpEditor(nn.Module):
    """Map the flattened weights of an INR to a change of its weights, with a learned scale for each tensor.

    Args:
        spec: the weight space of the INRs.
        hidden: the widths of the hidden layers.

    Shapes:
        The input and the output are ``(batch, 1, out, in)`` and ``(batch, 1, out)``.

    Source:
        Zhou et al. 2023 (their baseline).

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures, build_model
    >>> spec = NetworkSpec.mlp([2, 8, 8, 1], activation="sin", omega=15.0)
    >>> model = build_model("editing/mlp", spec)
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2)
    >>> model(networks).weights[1].shape
    torch.Size([2, 1, 8, 8])
    """

    def __init__(self, spec: NetworkSpec, hidden: Sequence[int]) -> None:
        super().__init__()
        self.mlp = mlp_head(spec.num_parameters, hidden, spec.num_parameters)
        self.scale = LearnedScale(spec)

    def forward(self, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        """Return the change, which the caller adds to the weights."""
        change: WeightSpaceFeatures = self.scale(features.unflatten(self.mlp(features.flatten())))
        return change
