"""The multilayer perceptron at the end of a functional."""

from collections.abc import Sequence
from itertools import pairwise

from torch import nn


def mlp_head(inputs: int, hidden: Sequence[int], outputs: int, dropout: float = 0.0) -> nn.Sequential:
    """Build a multilayer perceptron: a linear layer, ReLU and dropout for each hidden width, and a last linear layer.

    Args:
        inputs: the number of features of the input ``(batch, inputs)``.
        hidden: the widths of the hidden layers.
        outputs: the number of features of the output ``(batch, outputs)``.
        dropout: the probability with which a hidden unit is set to 0 in training; with 0 there is no dropout layer.
    """
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise([inputs, *hidden]):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
        if dropout > 0:
            layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers, nn.Linear([inputs, *hidden][-1], outputs))
