"""Optimizers that update many networks at once, each with its own learning rate and weight decay.

The weights and biases of all networks form one matrix ``(networks, numbers)``, so that an update takes only a few
operations, whatever the number of layers. The updates equal those of ``torch.optim``, to rounding.
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
    """An optimizer of the rows of a matrix of parameters.

    Args:
        parameters: one network in each row, ``(networks, numbers)``; ``step`` changes them in place.
        learning_rates: one for each network, ``(networks,)``.
        weight_decays: the factor of each network's L2 penalty, ``(networks,)``, as in ``torch.optim.Adam`` (not AdamW).
    """

    def __init__(self, parameters: Tensor, learning_rates: Tensor, weight_decays: Tensor) -> None: ...

    def step(self, gradients: Tensor) -> None:
        """Update the first ``active`` rows by their gradients ``(active, numbers)``, which are overwritten.

        ``active`` may become smaller from call to call, but not larger: the training of the other rows has ended.
        """


class Adam:
    """Adam (Kingma & Ba, 2015), like ``torch.optim.Adam`` with its default betas; see ``BatchedOptimizer``."""

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
    """Stochastic gradient descent with momentum 0.9, like ``torch.optim.SGD``; see ``BatchedOptimizer``."""

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
    """RMSprop, like ``torch.optim.RMSprop`` with its default smoothing 0.99; see ``BatchedOptimizer``."""

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
"""The class for every value of ``Hyperparameters.optimizer``."""
