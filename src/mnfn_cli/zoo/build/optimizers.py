"""Optimizers that update many networks at once, each with its own learning rate and weight decay.

All numbers of all networks stand in one matrix ``(networks, numbers)``, so that an update is a handful of
operations however many layers there are. The updates are those of ``torch.optim``, to rounding.
"""

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

MOMENTUM = 0.9
ADAM_BETAS = (0.9, 0.999)
RMSPROP_ALPHA = 0.99
EPSILON = 1e-8


class BatchedOptimizer(Protocol):
    """Moves the rows of a matrix of parameters against their gradients.

    Args:
        parameters: ``(networks, numbers)``; changed in place by ``step``.
        learning_rates: ``(networks,)``.
        weight_decays: ``(networks,)``, the factor of an L2 penalty as in ``torch.optim`` (not AdamW's).
    """

    def __init__(self, parameters: Tensor, learning_rates: Tensor, weight_decays: Tensor) -> None: ...

    def step(self, gradients: Tensor) -> None:
        """Update the first ``active`` rows with gradients ``(active, numbers)``, which are used up.

        ``active`` may shrink from call to call but not grow: the rows behind it have finished.
        """


class Adam:
    """Adam (Kingma & Ba, 2015), as ``torch.optim.Adam`` with its default betas; see ``BatchedOptimizer``."""

    def __init__(self, parameters: Tensor, learning_rates: Tensor, weight_decays: Tensor) -> None:
        self._parameters = parameters
        self._learning_rates = learning_rates[:, None]
        self._weight_decays = weight_decays[:, None]
        self._mean = torch.zeros_like(parameters)
        self._square = torch.zeros_like(parameters)
        self._steps = 0

    def step(self, gradients: Tensor) -> None:
        """Update the first rows; see ``BatchedOptimizer.step``."""
        active = len(gradients)
        mean, square, parameters = self._mean[:active], self._square[:active], self._parameters[:active]
        beta1, beta2 = ADAM_BETAS
        self._steps += 1
        gradients.addcmul_(parameters, self._weight_decays[:active])
        mean.lerp_(gradients, 1 - beta1)
        square.mul_(beta2).addcmul_(gradients, gradients, value=1 - beta2)
        denominator = square.sqrt().div_((1 - beta2**self._steps) ** 0.5).add_(EPSILON)
        update = torch.div(mean, denominator, out=denominator)
        parameters.addcmul_(update, self._learning_rates[:active], value=-1 / (1 - beta1**self._steps))


class Momentum:
    """Stochastic gradient descent with momentum 0.9, as ``torch.optim.SGD``; see ``BatchedOptimizer``."""

    def __init__(self, parameters: Tensor, learning_rates: Tensor, weight_decays: Tensor) -> None:
        self._parameters = parameters
        self._learning_rates = learning_rates[:, None]
        self._weight_decays = weight_decays[:, None]
        self._velocity = torch.zeros_like(parameters)

    def step(self, gradients: Tensor) -> None:
        """Update the first rows; see ``BatchedOptimizer.step``."""
        active = len(gradients)
        velocity, parameters = self._velocity[:active], self._parameters[:active]
        gradients.addcmul_(parameters, self._weight_decays[:active])
        velocity.mul_(MOMENTUM).add_(gradients)
        parameters.addcmul_(velocity, self._learning_rates[:active], value=-1)


class RMSprop:
    """RMSprop, as ``torch.optim.RMSprop`` with its default smoothing 0.99; see ``BatchedOptimizer``."""

    def __init__(self, parameters: Tensor, learning_rates: Tensor, weight_decays: Tensor) -> None:
        self._parameters = parameters
        self._learning_rates = learning_rates[:, None]
        self._weight_decays = weight_decays[:, None]
        self._square = torch.zeros_like(parameters)

    def step(self, gradients: Tensor) -> None:
        """Update the first rows; see ``BatchedOptimizer.step``."""
        active = len(gradients)
        square, parameters = self._square[:active], self._parameters[:active]
        gradients.addcmul_(parameters, self._weight_decays[:active])
        square.mul_(RMSPROP_ALPHA).addcmul_(gradients, gradients, value=1 - RMSPROP_ALPHA)
        update = gradients.div_(square.sqrt().add_(EPSILON))
        parameters.addcmul_(update, self._learning_rates[:active], value=-1)


OPTIMIZERS: Mapping[str, type[BatchedOptimizer]] = {"adam": Adam, "sgd": Momentum, "rmsprop": RMSprop}
"""The optimizer of every name that ``Hyperparameters.optimizer`` may have."""
