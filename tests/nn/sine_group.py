"""The full group of a SIREN's hidden neurons, written out by hand: flips, shifts by half turns, permutations."""

from math import pi

import torch

from mnfn_cli.nn.graded_features import GradedFeatures
from mnfn_cli.weightspace.features import WeightSpaceFeatures


class SineElement:
    """Flips ``d``, shifts ``k`` and orders ``p`` for each hidden layer: ``(batch, n_i)``, and ``(n_i,)`` for ``p``."""

    def __init__(self, spec, batch, shifts=40, seed=0, dtype=torch.float64):
        g = torch.Generator().manual_seed(seed)
        widths = spec.hidden_widths
        self.omega = spec.omega
        self.d = [torch.randint(0, 2, (batch, n), generator=g) for n in widths]
        self.k = [torch.randint(-shifts, shifts + 1, (batch, n), generator=g) for n in widths]
        self.p = [torch.randperm(n, generator=g) for n in widths]
        self.dtype = dtype

    def act(self, x):
        """Move weights."""
        weights, biases = list(x.weights), list(x.biases)
        for i, (d, k, p) in enumerate(zip(self.d, self.k, self.p, strict=True)):
            into, out = self._sign(d), self._sign(d + k)
            shift = pi / self.omega * k.to(self.dtype)
            weights[i] = (weights[i] * into[:, None, :, None])[:, :, p]
            biases[i] = (biases[i] * into[:, None] + shift[:, None])[:, :, p]
            weights[i + 1] = (weights[i + 1] * out[:, None, None])[:, :, :, p]
        return WeightSpaceFeatures(weights, biases)

    def act_on_graded(self, x):
        """Multiply every feature by the sign that its character says."""
        nodes, signs = [], []
        for node, d, k, p in zip(x.nodes, self.d, self.k, self.p, strict=True):
            by_character = [self._sign(a * d + c * k) for c in (0, 1) for a in (0, 1)][: len(node)]
            nodes.append(tuple((part * sign[..., None])[:, p] for part, sign in zip(node, by_character, strict=True)))
            incoming, outgoing = (self._sign(d), self._sign(d + k)) if len(node) == 4 else (self._sign(d),) * 2
            signs.append((incoming[:, p], outgoing[:, p]))
        edges = []
        for i, (even, odd) in enumerate(x.edges):
            below, above = self.p[i], self.p[i + 1]
            sign = signs[i + 1][0][:, :, None] * signs[i][1][:, None]
            edges.append((even[:, above][:, :, below], odd[:, above][:, :, below] * sign[..., None]))
        return GradedFeatures(tuple(nodes), tuple(edges), x.outputs)

    def _sign(self, exponent):
        return (1 - 2 * (exponent % 2)).to(self.dtype)


def tensors(x):
    """Return all tensors of graded features."""
    return [part for parts in (*x.nodes, *x.edges) for part in parts] + [x.outputs]


def largest_difference(a, b):
    """Return the largest max |a - b| / max |b| over pairs of tensors."""
    pairs = zip(a, b, strict=True)
    return max(float((x - y).abs().max() / y.abs().max()) for x, y in pairs)
