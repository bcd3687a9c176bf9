"""Functions of single entries that keep a group."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from mnfn_cli.errors import UsageError
from mnfn_cli.symmetry import LAYER_ACTIVATIONS
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec

FUNCTIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "sin": torch.sin,
}


class EquivariantActivation(nn.Module):
    """Apply a function to every entry, one that commutes with the spec's group.

    Args:
        spec: the weight space.
        name: ``relu`` for the scaling group, ``tanh`` or ``sin`` for the sign group.

    Raises:
        UsageError: the function breaks the group.
    """

    def __init__(self, spec: NetworkSpec, name: str) -> None:
        super().__init__()
        fitting = LAYER_ACTIVATIONS[spec.group]
        if name not in fitting:
            raise UsageError(
                "model.activation",
                f"{name} breaks the {spec.group} group of {spec.activation} networks; use {' or '.join(fitting)}",
            )
        self.name = name

    def forward(self, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        """Apply the function."""
        return features.map(FUNCTIONS[self.name])

    def extra_repr(self) -> str:
        """Describe the layer."""
        return self.name


class Pointwise(nn.Module):
    """Apply any function to every entry: it keeps permutations, and as a rule nothing else.

    Args:
        function: of a tensor.
    """

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        """Apply the function."""
        return features.map(self.function)

    def extra_repr(self) -> str:
        """Describe the layer."""
        return self.function.__name__
