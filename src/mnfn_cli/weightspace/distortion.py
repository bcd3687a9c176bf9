"""Affine maps of the coordinates that an INR reads, done in its first layer: its picture moves, turns and shears."""

import torch
from torch import Tensor

from mnfn_cli.runtime.rows import whole_batch
from mnfn_cli.weightspace.features import WeightSpaceFeatures


def distort(features: WeightSpaceFeatures, deviation: float) -> WeightSpaceFeatures:
    """Return networks that compute ``f(x + M x + s)`` where the given ones compute ``f(x)``, with random M and s.

    The first layer ``W x + b`` becomes ``(W + W M) x + b + W s``, and nothing else changes. Elements of the monomial
    group commute with this.

    Args:
        features: raw weights of dense networks, ``(batch, 1, ...)``.
        deviation: that of the entries of ``M`` and ``s``, which are normal and drawn for each network from torch's
            global random state.

    Returns:
        the networks ``(batch, 1, ...)``.

    >>> from mnfn_cli.weightspace import NetworkSpec, WeightSpaceFeatures, distort
    >>> spec = NetworkSpec.mlp([2, 8, 8, 1], activation="sin", omega=15.0)
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2)
    >>> moved = distort(networks, 0.1)
    >>> [bool((a == b).all()) for a, b in zip(moved.weights, networks.weights)]
    [False, True, True]
    """
    weight, bias = features.weights[0], features.biases[0]
    inputs = weight.shape[3]
    total, own = whole_batch(features.batch)
    drawn: Tensor = deviation * torch.randn(total, 1, inputs, inputs + 1, device=bias.device, dtype=bias.dtype)[own]
    moved = weight @ drawn
    weights = (weight + moved[..., :inputs], *features.weights[1:])
    biases = (bias + moved[..., inputs], *features.biases[1:])
    return WeightSpaceFeatures(weights, biases)
