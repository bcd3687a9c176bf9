"""Mean-field statistics: what a network would do to Gaussian inputs, computed from its weights alone."""

import numpy as np
import torch
from numpy.polynomial.hermite_e import hermegauss
from torch import Tensor, nn

from mnfn_cli.nn.canonical_statistics import FLOOR, bounded, matrices, off_diagonal, root_mean_square
from mnfn_cli.nn.quantiles import QUANTILES, quantiles
from mnfn_cli.weightspace.canonical import canonicalize
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.forward_pass import activate
from mnfn_cli.weightspace.spec import NetworkSpec

LENGTHS = (0.4, 1.5, float("inf"))
"""The correlation lengths, in pixels, of the Gaussian inputs: noise, smooth pictures, pictures of one grey."""

INPUT_MEAN, INPUT_DEVIATION = 0.3, 0.35
"""The mean and the deviation of every pixel of the inputs, those of drawings on [0, 1]."""

_NODES, _WEIGHTS = hermegauss(21)
_SMALLEST = 1e-30
_SMALLEST_RATIO = 0.03
_SPECTRAL_FLOOR = 1e-3
_LARGEST = 10.0


class MeanFieldStatistics(nn.Module):
    """Follow the mean and the covariance of Gaussian inputs through a network, and describe them in each layer.

    With a mean ``m`` and a covariance ``C`` of the neurons of a layer, the next layer has before its activation

        mu = W m + b,    Sigma = W C W^T,

    where kernel entries at a distance ``d`` are correlated by ``exp(-d^2 / 2 length^2)``. For Gaussian values the
    activation ``phi`` gives the mean ``E phi(x)`` and the variance ``Var phi(x)`` of each neuron, by Gauss-Hermite
    quadrature, and to first order the covariances ``E phi'(x_j) E phi'(x_k) Sigma_jk``. Feature maps are taken as
    stationary; pooling and the number of pixels are not read. No picture and no forward pass is needed.

    Every number that is returned is invariant to permutations of hidden neurons and to positive scales (ReLU) or sign
    flips (tanh, sin): the propagation commutes with the group, since the nodes of the quadrature are symmetric, and
    what a sign would change is returned as its absolute value.

    For each correlation length and hidden layer: quantiles of ``mu / sigma``, of ``sigma``, of the correlations
    between neurons and, for the sign group, of ``E phi'`` and ``E phi^2``; the eigenvalues of the correlations and of
    the covariances, each neuron weighted by the norm of its outgoing weights; quantiles of the neurons' shares in that
    variance, and the ratio of the means to it. For the outputs: their means, deviations, correlations and eigenvalues
    relative to their joint size, the probability that one exceeds another, and the expected softmax.

    Args:
        spec: the weight space.

    Attributes:
        numbers: the length of the output. It does not depend on the widths of hidden layers.

    Shapes:
        The input is raw weights with one channel, ``(batch, 1, out, in, *kernel)`` and ``(batch, 1, out)``, of any
        dtype; the output is ``(batch, numbers)`` in float64, and finite if the weights are.

    Source:
        Mean-field theory of deep networks: Poole et al. 2016, Schoenholz et al. 2017; a layer's numbers are ours.

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures
    >>> from mnfn_cli.nn import MeanFieldStatistics
    >>> spec = NetworkSpec.cnn([1, 4, 4], kernel=3, stride=2, outputs=10, activation="relu")
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2)
    >>> statistics = MeanFieldStatistics(spec)
    >>> statistics(networks).shape == (2, statistics.numbers)
    True
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.spec = spec
        levels = len(QUANTILES)
        hidden = 6 * levels + 5 + (2 * levels if spec.group == "sign" else 0)
        outputs = 4 * levels + 3 + 5 * spec.widths[-1]
        self.numbers = len(LENGTHS) * ((spec.num_layers - 1) * hidden + outputs)

    def forward(self, features: WeightSpaceFeatures) -> Tensor:
        """Return the statistics for every correlation length, concatenated."""
        canonical = canonicalize(features.to(dtype=torch.float64), self.spec)[0].map(bounded)
        weights, biases = matrices(canonical), [bias[:, 0] for bias in canonical.biases]
        return torch.cat([self._follow(weights, biases, length) for length in LENGTHS], dim=1)

    def _follow(self, weights: list[Tensor], biases: list[Tensor], length: float) -> Tensor:
        spec, first = self.spec, weights[0]
        mean, covariance = self._inputs(first.shape[0], first.device, length)
        found: list[Tensor] = []
        for i, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            spread = weight @ _root(_correlation(self._kernel(i), length, first.device))
            mu = (weight.sum(dim=3) @ mean[:, :, None])[:, :, 0] + bias
            sigma = torch.einsum("bonk,bnm,bpmk->bop", spread, covariance, spread)
            if i == len(weights) - 1:
                return torch.cat([*found, *_of_outputs(mu, sigma)], dim=1)
            deviation, size = _deviation(mu, sigma)
            values = activate(mu[:, :, None] + deviation[:, :, None] * _constant(_NODES, first.device), spec)
            expect = _constant(_WEIGHTS, first.device)
            mean, square = values @ expect, values.square() @ expect
            gain = (values * _constant(_NODES, first.device)) @ expect / deviation
            variance = (values - mean[:, :, None]).square() @ expect
            covariance = gain[:, :, None] * gain[:, None] * sigma
            covariance = covariance + torch.diag_embed(variance - covariance.diagonal(dim1=1, dim2=2))
            outgoing = weights[i + 1].square().sum(dim=(1, 3)).sqrt()
            flips = spec.groups[i] == "sign"
            ratio = mu / deviation
            found += [
                quantiles((ratio.abs() if flips else ratio).clamp(-_LARGEST, _LARGEST)),
                quantiles((deviation / size).log()),
                size.log(),
                *([quantiles(gain), quantiles(square)] if spec.group == "sign" else []),
                *_of_hidden(
                    mean * outgoing, covariance * outgoing[:, :, None] * outgoing[:, None], square, outgoing, flips
                ),
            ]
        raise AssertionError("a network has an output layer")

    def _inputs(self, batch: int, device: torch.device, length: float) -> tuple[Tensor, Tensor]:
        """Return the mean and the covariance of the inputs, ``(batch, n_0)`` and ``(batch, n_0, n_0)``."""
        spec = self.spec
        channels, pixels = spec.widths[0], 1
        correlation = torch.ones(1, 1, dtype=torch.float64, device=device)
        if not spec.kernels and spec.input_size is not None:
            channels, grid = spec.input_size[0], spec.input_size[1:]
            correlation = _correlation(grid, length, device)
            pixels = len(correlation)
        own = torch.eye(channels, dtype=torch.float64, device=device)
        means = own.new_tensor(spec.input_mean or (0.0,)).expand(channels).repeat_interleave(pixels)
        deviations = own.new_tensor(spec.input_std or (1.0,)).expand(channels).repeat_interleave(pixels)
        covariance = (
            torch.kron(own, correlation) * (INPUT_DEVIATION / deviations[:, None]) * (INPUT_DEVIATION / deviations)
        )
        return ((INPUT_MEAN - means) / deviations).expand(batch, -1), covariance.expand(batch, -1, -1)

    def _kernel(self, layer: int) -> tuple[int, ...]:
        return self.spec.weight_shapes[layer][2:]


def _constant(numbers: np.ndarray, device: torch.device) -> Tensor:
    scale = 1.0 if numbers is _NODES else 1 / np.sqrt(2 * np.pi)
    return torch.tensor(numbers * scale, dtype=torch.float64, device=device)


def _correlation(grid: tuple[int, ...], length: float, device: torch.device) -> Tensor:
    """Return the correlations of the places of a grid, ``(places, places)``; a grid without axes has one place."""
    axes = [torch.arange(size, dtype=torch.float64, device=device) for size in grid]
    places = torch.cartesian_prod(*axes).view(-1, len(grid)) if axes else torch.zeros(1, 1, device=device)
    squares = (places[:, None] - places[None]).square().sum(dim=2).double()
    return (-squares / (2 * length**2)).exp()


def _root(correlation: Tensor) -> Tensor:
    """Return a matrix whose product with its own transpose is ``correlation``."""
    values, vectors = torch.linalg.eigh(correlation)
    return vectors * values.clamp_min(0).sqrt()


def _deviation(mu: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
    """Return the deviations of neurons, at least a share of the layer's size, and this size, ``(batch, 1)``."""
    variance = sigma.diagonal(dim1=1, dim2=2).clamp_min(0)
    size = (mu.square() + variance).mean(dim=1, keepdim=True).sqrt().clamp_min(_SMALLEST)
    return variance.sqrt().maximum(_SMALLEST_RATIO * size), size


def _correlations(covariance: Tensor, least: Tensor) -> Tensor:
    """Return a covariance as correlations; deviations are taken as at least ``least``, ``(batch, 1)``."""
    deviation = covariance.diagonal(dim1=1, dim2=2).clamp_min(0).sqrt().maximum(least)
    return covariance / deviation[:, :, None] / deviation[:, None]


def _spectrum(covariance: Tensor, least: Tensor) -> list[Tensor]:
    """Return quantiles of the logarithms of eigenvalues, relative to their sum, and their participation ratio."""
    values = torch.linalg.eigvalsh(covariance).clamp_min(0)
    shares = values / values.sum(dim=1, keepdim=True).maximum(least)
    return [quantiles((shares + _SPECTRAL_FLOOR).log()), shares.square().sum(dim=1, keepdim=True)]


def _of_hidden(mean: Tensor, covariance: Tensor, square: Tensor, outgoing: Tensor, flips: bool) -> list[Tensor]:
    """Return the statistics of a hidden layer, each neuron weighted by the norm of its outgoing weights.

    Args:
        mean, covariance: of the weighted neurons, ``(batch, neurons)`` and ``(batch, neurons, neurons)``.
        square: the mean squares of the neurons, which set the size below which a variance counts as rounding.
        outgoing: the norms, ``(batch, neurons)``.
        flips: whether signs of neurons can flip.
    """
    energy = (square * outgoing.square()).sum(dim=1, keepdim=True).clamp_min(_SMALLEST)
    least = _SMALLEST_RATIO * root_mean_square(square.sqrt() * outgoing).clamp_min(_SMALLEST)
    correlations = _correlations(covariance, least)
    pairs = off_diagonal(correlations)
    variances = covariance.diagonal(dim1=1, dim2=2).clamp_min(0)
    total = variances.sum(dim=1, keepdim=True).maximum(FLOOR * energy)
    return [
        quantiles(pairs.abs() if flips else pairs),
        *_spectrum(correlations, torch.full_like(energy, _SPECTRAL_FLOOR)),
        *_spectrum(covariance, FLOOR * energy),
        (mean.square().sum(dim=1, keepdim=True) / total + _SPECTRAL_FLOOR).log(),
        total.log(),
        quantiles((variances / total + _SPECTRAL_FLOOR).log()),
    ]


def _of_outputs(mu: Tensor, sigma: Tensor) -> list[Tensor]:
    """Return the statistics of outputs minus their mean over outputs: of means ``mu`` and covariances ``sigma``."""
    outputs = mu.shape[1]
    raw = _deviation(mu, sigma)[1]
    centre = torch.eye(outputs, dtype=mu.dtype, device=mu.device) - 1 / outputs
    mu, sigma = mu @ centre, centre @ sigma @ centre
    variance = sigma.diagonal(dim1=1, dim2=2).clamp_min(0)
    size = variance.mean(dim=1, keepdim=True).sqrt().maximum(_SMALLEST_RATIO * raw).clamp_min(_SMALLEST)
    whole = (root_mean_square(mu).square() + size.square()).sqrt()
    between = mu[:, :, None] - mu[:, None]
    joint = (variance[:, :, None] + variance[:, None] - 2 * sigma).clamp_min(0).sqrt()
    margins = between / joint.maximum(_SMALLEST_RATIO * size[:, :, None])
    wins = 0.5 + 0.5 * torch.erf(margins.clamp(-_LARGEST, _LARGEST) / 2**0.5)
    found = [
        size.log(),
        (root_mean_square(mu) / size + _SMALLEST_RATIO).log(),
        (mu / whole).sort(dim=1).values,
        (variance.sqrt() / size).sort(dim=1).values,
        *_spectrum(sigma, outputs * size.square() * FLOOR),
        quantiles(off_diagonal(_correlations(sigma, _SMALLEST_RATIO * size))),
        quantiles(off_diagonal(margins.abs()).clamp_max(_LARGEST)),
        quantiles((off_diagonal(joint) / size).clamp_max(_LARGEST)),
        wins.mean(dim=2).sort(dim=1).values,
    ]
    # The softmax of a Gaussian, by the probit approximation, as it is and with outputs of one size.
    for unit in (torch.ones_like(size), 2 / whole):
        damped = (mu * unit) / (1 + torch.pi / 8 * variance * unit.square()).sqrt()
        found.append(damped.softmax(dim=1).sort(dim=1).values)
    return found
