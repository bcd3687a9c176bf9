"""The multilayer perceptron at the end of a functional."""

from collections.abc import Sequence
from itertools import pairwise

from torch import nn


def mlp_head(inputs: int, hidden: Sequence[int], outputs: int, dropout: float = 0.0) -> nn.Sequential:
    """Build Linear, ReLU, [dropout], ..., Linear.

    Args:
        inputs: size of the first axis's vectors ``(batch, inputs)``.
        hidden: widths of the hidden layers.
        outputs: size of the result ``(batch, outputs)``.
        dropout: probability with which a hidden unit is dropped; 0 leaves the layer out.
    """
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise([inputs, *hidden]):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
        if dropout > 0:
            layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers, nn.Linear([inputs, *hidden][-1], outputs))
