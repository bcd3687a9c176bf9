"""Learned vectors for the inputs and the outputs of a network, so that NP layers can tell them apart."""

import torch
from torch import nn

from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec


class InputOutputEmbedding(nn.Module):
    """Add a learned vector for each input neuron to ``W(1)`` and for each output neuron to ``W(L)`` and ``b(L)``.

    With ``d`` channels: ``(d, *kernel, n_0)`` numbers are added to ``W(1)``, the same for all its neurons,
    ``(d, *kernel, n_L)`` to ``W(L)`` and ``(d, n_L)`` to ``b(L)``. They are initialised from a standard normal
    distribution.

    Args:
        spec: the weight space.
        channels: the number ``d`` of channels of the features.

    Shapes:
        The input and the output are ``(batch, d, out, in, *kernel)`` and ``(batch, d, out)``.
    """

    def __init__(self, spec: NetworkSpec, channels: int) -> None:
        super().__init__()
        n_0, n_L = spec.widths[0], spec.widths[-1]
        self.inputs = nn.Parameter(torch.randn(channels, 1, n_0, *spec.weight_shapes[0][2:]))
        self.outputs = nn.Parameter(torch.randn(channels, n_L, 1, *spec.weight_shapes[-1][2:]))
        self.output_biases = nn.Parameter(torch.randn(channels, n_L))

    def forward(self, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        """Return the features with the learned vectors added."""
        first, *middle, last = features.weights
        weights = [first + self.inputs, *middle, last + self.outputs]
        return WeightSpaceFeatures(weights, [*features.biases[:-1], features.biases[-1] + self.output_biases])
