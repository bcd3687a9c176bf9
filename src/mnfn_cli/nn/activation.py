"""Activation functions, applied to every entry, and which of them commute with which group; dropout of channels."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from mnfn_cli.errors import UsageError
from mnfn_cli.runtime.rows import whole_batch
from mnfn_cli.symmetry import LAYER_ACTIVATIONS
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec

FUNCTIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "sin": torch.sin,
}
_IN_PLACE: Mapping[str, Callable[[Tensor], Tensor]] = {"relu": torch.relu_, "tanh": torch.tanh_}
"""The functions whose gradient is computed from their output, so that the input need not be kept."""


class EquivariantActivation(nn.Module):
    """Apply an activation function that commutes with the group of the weight space to every entry.

    Args:
        spec: the weight space.
        name: ``relu`` for the scaling group, ``tanh`` or ``sin`` for the sign group.

    Shapes:
        The input and the output are ``(batch, channels, out, in, *kernel)`` and ``(batch, channels, out)``.

    Raises:
        UsageError: the function does not commute with the group.

    Source:
        paper, Section 5.3: positively homogeneous functions keep scales, odd ones keep signs.

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures
    >>> from mnfn_cli.nn import EquivariantActivation
    >>> spec = NetworkSpec.mlp([2, 5, 4, 3], activation="tanh")
    >>> from mnfn_cli.testing import assert_equivariant
    >>> assert_equivariant(EquivariantActivation(spec, "tanh"), spec)
    >>> EquivariantActivation(spec, "relu")
    Traceback (most recent call last):
    mnfn_cli.errors.UsageError: model.activation: relu breaks the sign group of tanh networks; use tanh or sin
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

    def overwrite(self, values: Tensor) -> Tensor:
        """Return the function of every number, which overwrites the numbers where it can.

        They must be the output of an operation that does not need it again, such as a linear map.
        """
        return _IN_PLACE.get(self.name, FUNCTIONS[self.name])(values)

    def extra_repr(self) -> str:
        """Return the text that ``print(module)`` shows for this layer."""
        return self.name


class Pointwise(nn.Module):
    """Apply any function to every entry, which commutes with permutations, but in general not with scaling or signs.

    Args:
        function: a function from a tensor to a tensor of the same shape, such as ``torch.relu``.

    Shapes:
        The input and the output are ``(batch, channels, out, in, *kernel)`` and ``(batch, channels, out)``.

    Source:
        Zhou et al. 2023 (Permutation equivariant neural functionals).

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures
    >>> from mnfn_cli.nn import Pointwise
    >>> spec = NetworkSpec.mlp([2, 5, 4, 3], activation="tanh")
    >>> import torch
    >>> bool((Pointwise(torch.relu)(WeightSpaceFeatures.randn(spec, batch=2)).flatten() >= 0).all())
    True
    """

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    @property
    def rectifies(self) -> bool:
        """Whether the function is ReLU."""
        return self.function is torch.relu

    def forward(self, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        """Return the features with the function applied to every entry."""
        return features.map(self.function)

    def extra_repr(self) -> str:
        """Return the text that ``print(module)`` shows for this layer."""
        return self.function.__name__


class ChannelDropout(nn.Module):
    """Set random channels to 0 in training, a whole channel of a tensor of a network at a time.

    The other channels are divided by ``1 - probability``, so that the expectation stays. In evaluation nothing changes.

    Args:
        probability: the probability with which a channel is set to 0, below 1.

    Shapes:
        The input and the output are ``(batch, channels, out, in, *kernel)`` and ``(batch, channels, out)``.

    Source:
        mnfn's own.

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures
    >>> from mnfn_cli.nn import ChannelDropout
    >>> spec = NetworkSpec.mlp([2, 5, 4, 3], activation="tanh")
    >>> features = WeightSpaceFeatures.randn(spec, batch=2, channels=8)
    >>> ChannelDropout(0.5).eval()(features).channels
    8
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        """Return the features with random channels set to 0."""
        return features.map(self._drop) if self.training else features

    def factors(self, values: Tensor, channels: int) -> Tensor | None:
        """Return a factor for each channel of each network, ``(batch, channels)``, drawn anew; None in evaluation.

        Args:
            values: a tensor of the batch, which says its size, dtype and device.
            channels: the number of channels.
        """
        if not self.training:
            return None
        total, own = whole_batch(len(values))
        return values.new_empty(total, channels).bernoulli_(1 - self.probability)[own].div_(1 - self.probability)

    def _drop(self, x: Tensor) -> Tensor:
        factors = self.factors(x, x.shape[1])
        return x if factors is None else x * factors.view(*factors.shape, *(1,) * (x.dim() - 2))

    def extra_repr(self) -> str:
        """Return the text that ``print(module)`` shows for this layer."""
        return str(self.probability)
