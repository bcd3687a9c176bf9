"""Statistics of canonical weights: numbers about a network that no element of its monomial group changes."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from mnfn_cli.weightspace.canonical import canonicalize
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec

QUANTILES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)

FLOOR = 1e-6
"""The smallest divisor, and the smallest norm whose logarithm is taken, as a share of its layer's root mean square."""

SPECTRAL_FLOOR = 1e-3
"""The share of a layer's norm below which singular values count as rounding errors of float32."""

_LARGEST = 1e60
_SMALLEST = 1e-30
_LARGEST_BIAS = 100.0


class CanonicalStatistics(nn.Module):
    """Compute statistics that are invariant to permutations, and to positive scales or sign flips, of hidden neurons.

    They are taken in float64 from the canonical form of the weights (``weightspace.canonical``), which has no freedom
    of scale left. Where the group flips signs, a number that a flip would change is replaced by its absolute value, so
    the choice of the canonical sign is never read. Every divisor is at least ``FLOOR`` times the root mean square of
    its layer, which scales as it does. So the statistics of silent neurons and of layers of zeros are finite, and
    rounding errors are not divided by rounding errors.

    * Every weight and bias tensor, relative to its root mean square: the mean, the standard deviation and quantiles;
      and the logarithm of the root mean square.
    * Every weight, as a matrix with a row for each neuron: quantiles of the logarithms of its singular values, their
      participation ratio, quantiles of the logarithms of the norms of its rows and of its columns (all kernel entries
      of an input channel), quantiles of the cosines between rows and between columns, quantiles of the biases relative
      to the norms of their rows; and for convolutions the share of each kernel entry in the energy, and the share of
      the kernels' sums in it.
    * Every pair of consecutive layers: quantiles of the logarithms of each neuron's incoming times outgoing norm, the
      correlation of these norms over neurons, and singular values, participation ratio and norm of the product of
      both weights.
    * Every output: the logarithm of the sum over all paths that lead to it of the product of absolute weights,
      ``|W(L)| ... |W(1)| 1``, sorted.

    Args:
        spec: the weight space.

    Attributes:
        numbers: the length of the output. It does not depend on the widths of hidden layers.

    Shapes:
        The input is raw weights with one channel, ``(batch, 1, out, in, *kernel)`` and ``(batch, 1, out)``, of any
        dtype; the output is ``(batch, numbers)`` in float64, and finite if the weights are.

    >>> spec = NetworkSpec.cnn([1, 16, 16, 16], stride=2, outputs=10)
    >>> CanonicalStatistics(spec)(WeightSpaceFeatures.zeros(spec, 2)).shape
    torch.Size([2, 343])
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.spec = spec
        layers, levels = spec.num_layers, len(QUANTILES)
        kernels = sum(entries + 1 for entries in spec.kernel_entries if entries > 1)
        self.numbers = layers * (8 * levels + 7) + (layers - 1) * (2 * levels + 3) + kernels + spec.widths[-1]

    def forward(self, features: WeightSpaceFeatures) -> Tensor:
        """Return the statistics of all layers, then those of pairs of layers, then those of the paths."""
        canonical = canonicalize(features.to(dtype=torch.float64), self.spec)[0].map(bounded)
        weights, biases = matrices(canonical), [bias[:, 0] for bias in canonical.biases]
        flips = [False, *(group == "sign" for group in self.spec.groups), False]
        found = []
        for i, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            found += _of_entries(weight.flatten(1), flips[i] or flips[i + 1])
            found += _of_entries(bias, flips[i + 1])
            found += _of_matrix(weight, bias, flips[i], flips[i + 1])
        for first, second in pairwise(weights):
            found += _of_pair(first, second)
        return torch.cat([*found, _path_norms(weights)], dim=1)


def quantiles(numbers: Tensor) -> Tensor:
    """Return the quantiles ``QUANTILES`` of each row of ``(batch, numbers)``, linearly interpolated; 0 of none."""
    last = numbers.shape[1] - 1
    if last < 0:
        return numbers.new_zeros(len(numbers), len(QUANTILES))
    places = torch.tensor(QUANTILES, dtype=numbers.dtype, device=numbers.device) * last
    below = places.floor().long()
    ordered = numbers.sort(dim=1).values
    return torch.lerp(ordered[:, below], ordered[:, (below + 1).clamp_max(last)], places - below)


def matrices(features: WeightSpaceFeatures) -> list[Tensor]:
    """Return the weights of features with one channel, each as ``(batch, out, in, kernel)``."""
    return [weight[:, 0].unsqueeze(3).flatten(3) for weight in features.weights]


def bounded(tensor: Tensor) -> Tensor:
    """Return a tensor without infinities: canonical weights of very deep networks can exceed float64."""
    return tensor.nan_to_num(0.0, _LARGEST, -_LARGEST).clamp(-_LARGEST, _LARGEST)


def off_diagonal(pairs: Tensor) -> Tensor:
    """Return the entries above the diagonal of ``(batch, n, n)`` as ``(batch, n (n - 1) / 2)``."""
    above = torch.triu_indices(pairs.shape[1], pairs.shape[1], 1, device=pairs.device)
    return pairs[:, above[0], above[1]]


def root_mean_square(numbers: Tensor) -> Tensor:
    """Return the root mean square over the last axis, which is kept with size 1."""
    return numbers.square().mean(dim=-1, keepdim=True).sqrt()


def _divisor(numbers: Tensor) -> Tensor:
    return root_mean_square(numbers).clamp_min(_SMALLEST)


def _logarithm(norms: Tensor) -> Tensor:
    """Return the logarithms of each row of norms ``(batch, norms)``, relative to their root mean square."""
    return (norms / _divisor(norms)).clamp_min(FLOOR).log()


def _of_entries(numbers: Tensor, flips: bool) -> list[Tensor]:
    """Return the statistics of each row of ``(batch, numbers)``; of absolute values if signs can flip."""
    size = _divisor(numbers)
    relative = (numbers.abs() if flips else numbers) / size
    spread = relative.std(dim=1, correction=0, keepdim=True)
    return [size.log(), relative.mean(dim=1, keepdim=True), spread, quantiles(relative)]


def _of_matrix(weight: Tensor, bias: Tensor, columns_flip: bool, rows_flip: bool) -> list[Tensor]:
    """Return the statistics of a weight ``(batch, out, in, kernel)`` as a matrix."""
    size = _divisor(weight.flatten(1))[:, :, None, None]
    relative = weight / size
    energies = relative.square()
    rows, columns = energies.sum(dim=(2, 3)).sqrt(), energies.sum(dim=(1, 3)).sqrt()
    offsets = bias / size[:, :, 0, 0] / rows.clamp_min(FLOOR)
    found = [
        *_of_spectrum(relative.flatten(2) / relative[0].numel() ** 0.5),
        quantiles(_logarithm(rows)),
        quantiles(_logarithm(columns)),
        _cosines(relative.flatten(2), rows, rows_flip),
        _cosines(relative.transpose(1, 2).flatten(2), columns, columns_flip),
        quantiles((offsets.abs() if rows_flip else offsets).clamp(-_LARGEST_BIAS, _LARGEST_BIAS)),
    ]
    if weight.shape[3] > 1:
        found.append(energies.sum(dim=(1, 2)) / relative[0].numel())
        found.append(relative.sum(dim=3).square().flatten(1).mean(dim=1, keepdim=True) / weight.shape[3] ** 2)
    return found


def _of_spectrum(matrix: Tensor) -> list[Tensor]:
    """Return quantiles of the logarithms of singular values of matrices, and their participation ratio."""
    squares = torch.linalg.svdvals(matrix).square()
    total = squares.sum(dim=1, keepdim=True).square()
    participation = total / squares.square().sum(dim=1, keepdim=True).clamp_min(_SMALLEST)
    return [quantiles((squares + SPECTRAL_FLOOR**2).log() / 2), participation]


def _cosines(rows: Tensor, norms: Tensor, flips: bool) -> Tensor:
    """Return quantiles of the cosines between rows ``(batch, rows, columns)`` with these norms ``(batch, rows)``."""
    directions = rows / norms.maximum(FLOOR * _divisor(norms))[:, :, None]
    cosines = off_diagonal(directions @ directions.transpose(1, 2))
    return quantiles(cosines.abs() if flips else cosines)


def _of_pair(first: Tensor, second: Tensor) -> list[Tensor]:
    """Return the statistics of two consecutive weights ``(batch, out, in, kernel)``."""
    incoming, outgoing = first.square().sum(dim=(2, 3)).sqrt(), second.square().sum(dim=(1, 3)).sqrt()
    incoming, outgoing = incoming / _divisor(incoming), outgoing / _divisor(outgoing)
    deviations = [norms - norms.mean(dim=1, keepdim=True) for norms in (incoming, outgoing)]
    sizes = [root_mean_square(deviation).clamp_min(SPECTRAL_FLOOR * 10) for deviation in deviations]
    correlation = (deviations[0] * deviations[1]).mean(dim=1, keepdim=True) / (sizes[0] * sizes[1])
    summed = second / _divisor(second.flatten(1))[:, :, None, None]
    product = summed.sum(dim=3) @ (first / _divisor(first.flatten(1))[:, :, None, None]).flatten(2)
    product = product / (product[0].numel() * first.shape[1] * second.shape[3]) ** 0.5
    norm = (product.flatten(1).norm(dim=1, keepdim=True) + SPECTRAL_FLOOR).log()
    return [quantiles(_logarithm(incoming * outgoing)), correlation, *_of_spectrum(product), norm]


def _path_norms(weights: list[Tensor]) -> Tensor:
    """Return the sorted logarithms of the sums over paths, ``(batch, n_L)``."""
    sums = weights[0].new_ones(len(weights[0]), weights[0].shape[2], 1)
    scale = torch.zeros_like(sums[:, :1, 0])
    for weight in weights:
        sums = weight.abs().sum(dim=3) @ sums
        size = _divisor(sums[:, :, 0])
        sums, scale = sums / size[:, :, None], scale + size.log()
    return (_logarithm(sums[:, :, 0]) + scale).sort(dim=1).values
