"""The multilayer perceptron at the end of a functional."""

from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import nn


def mlp_head(
    inputs: int,
    hidden: Sequence[int],
    outputs: int,
    dropout: float = 0.0,
    activation: Callable[[], nn.Module] = nn.ReLU,
) -> nn.Sequential:
    """Build a multilayer perceptron: linear layer, activation and dropout for each hidden width, then a linear layer.

    Args:
        inputs: the number of features of the input ``(batch, inputs)``.
        hidden: the widths of the hidden layers.
        outputs: the number of features of the output ``(batch, outputs)``.
        dropout: the probability with which a hidden unit is set to 0 in training; with 0 there is no dropout layer.
        activation: a class or function that returns the activation after every linear layer but the last.
    """
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise([inputs, *hidden]):
        layers += [nn.Linear(n_in, n_out), activation()]
        if dropout > 0:
            layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers, nn.Linear([inputs, *hidden][-1], outputs))
