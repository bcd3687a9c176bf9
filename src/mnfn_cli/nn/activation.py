"""Activation functions, applied to every entry, and which of them commute with which group."""

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
    """Apply an activation function that commutes with the group of the weight space to every entry.

    Args:
        spec: the weight space.
        name: ``relu`` for the scaling group, ``tanh`` or ``sin`` for the sign group.

    Raises:
        UsageError: the function does not commute with the group.
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
        """Return the features with the function applied to every entry."""
        return features.map(FUNCTIONS[self.name])

    def extra_repr(self) -> str:
        """Return the text that ``print(module)`` shows for this layer."""
        return self.name


class Pointwise(nn.Module):
    """Apply any function to every entry, which commutes with permutations, but in general not with scaling or signs.

    Args:
        function: a function from a tensor to a tensor of the same shape, such as ``torch.relu``.
    """

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        """Return the features with the function applied to every entry."""
        return features.map(self.function)

    def extra_repr(self) -> str:
        """Return the text that ``print(module)`` shows for this layer."""
        return self.function.__name__
