"""Statistics of canonical weights: numbers about a network that no element of its monomial group changes."""

from collections.abc import Sequence
from itertools import pairwise
from math import prod

import torch
from torch import Tensor, nn

from mnfn_cli.nn.layer_sums import LayerSums, norms
from mnfn_cli.nn.quantiles import QUANTILES, Sample, of_equal_shapes, with_quantiles
from mnfn_cli.weightspace.canonical import canonicalize
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.sorting import ascending
from mnfn_cli.weightspace.spec import NetworkSpec

FLOOR = 1e-6
"""The smallest divisor, and the smallest norm whose logarithm is taken, as a share of its layer's root mean square."""

SPECTRAL_FLOOR = 1e-3
"""The share of a layer's norm below which singular values count as rounding errors of float32."""

_LARGEST = 1e60
_SMALLEST = 1e-30
_LARGEST_BIAS = 100.0

_NUMBERS_AT_ONCE = 2**17
"""Weights of networks are read so many of a layer at a time: their copies stay in the processor's cache."""


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

    Source:
        mnfn's own.

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

    @torch.no_grad()
    def forward(self, features: WeightSpaceFeatures) -> Tensor:
        """Return the statistics of all layers, then those of pairs of layers, then those of the paths."""
        chunks = [self._read(chunk) for chunk in _in_chunks(features)]
        layers = [_Layer.cat(parts) for parts in zip(*chunks, strict=True)]
        spectra = of_equal_shapes(
            _spectrum,
            [layer.spectrum() for layer in layers] + [_spectrum_of_product(*pair) for pair in pairwise(layers)],
        )
        found: list[Tensor | Sample] = []
        for layer, squares in zip(layers, spectra, strict=False):
            found += [*layer.of_entries(), *_of_spectrum(squares), *layer.of_rows_and_columns()]
        for pair, squares in zip(pairwise(layers), spectra[len(layers) :], strict=True):
            norm = (squares.sum(dim=1, keepdim=True).sqrt() + SPECTRAL_FLOOR).log()
            found += [*_of_pair(*pair), *_of_spectrum(squares), norm]
        return torch.cat([*with_quantiles(found), _path_norms(layers)], dim=1)

    def _read(self, features: WeightSpaceFeatures) -> list["_Layer"]:
        """Return what is read of each layer of some networks."""
        canonical = canonicalize(features.to(dtype=torch.float64), self.spec)[0].map(bounded)
        flips = [False, *(group == "sign" for group in self.spec.groups), False]
        weights = matrices(canonical)
        before: list[Tensor | None] = [None, *weights[:-1]]
        tensors = zip(weights, before, canonical.biases, pairwise(flips), strict=True)
        return [
            _Layer(LayerSums.of(weight, previous, any(flip)), bias[:, 0], *flip)
            for weight, previous, bias, flip in tensors
        ]


def _in_chunks(features: WeightSpaceFeatures) -> list[WeightSpaceFeatures]:
    """Return features in chunks of about ``_NUMBERS_AT_ONCE`` numbers of the largest weight."""
    if torch.compiler.is_exporting():
        return [features]
    some = max(_NUMBERS_AT_ONCE // max(weight[0].numel() for weight in features.weights), 1)
    starts = range(0, max(features.batch, 1), some)
    return [features.select(slice(start, start + some)) for start in starts]


def matrices(features: WeightSpaceFeatures) -> list[Tensor]:
    """Return the weights of features with one channel, each as ``(batch, out, in, kernel)``."""
    return [weight[:, 0].unsqueeze(3).flatten(3) for weight in features.weights]


def bounded(tensor: Tensor) -> Tensor:
    """Return a tensor without infinities: canonical weights of very deep networks can exceed float64."""
    return tensor.clamp(-_LARGEST, _LARGEST).nan_to_num_(0.0)


def off_diagonal(pairs: Tensor) -> Tensor:
    """Return the entries above the diagonal of ``(batch, n, n)`` as ``(batch, n (n - 1) / 2)``."""
    rows, columns = torch.triu_indices(pairs.shape[1], pairs.shape[1], 1, device=pairs.device)
    return pairs.flatten(1).gather(1, (rows * pairs.shape[1] + columns).expand(pairs.shape[0], -1))


def root_mean_square(numbers: Tensor) -> Tensor:
    """Return the root mean square over the last axis, which is kept with size 1."""
    return numbers.square().mean(dim=-1, keepdim=True).sqrt()


def _divisor(numbers: Tensor) -> Tensor:
    return root_mean_square(numbers).clamp_min(_SMALLEST)


def _logarithm(norms: Tensor) -> Tensor:
    """Return the logarithms of each row of norms ``(batch, norms)``, relative to their root mean square."""
    return (norms / _divisor(norms)).clamp_min(FLOOR).log()


class _Layer:
    """The statistics of one layer.

    Args:
        weight: sums and products of its weight.
        bias: its bias, ``(batch, out)``.
        columns_flip, rows_flip: whether signs of neurons can flip in the layer that is read, and in this one.

    Attributes:
        size: the root mean square of the weight, ``(batch, 1)``, or ``_SMALLEST`` if it is less.
        shape: the shape of the weight, ``(out, in, kernel)``.
        rows, columns: the norms of the rows and of the columns of the weight, divided by ``size``.
    """

    def __init__(self, weight: LayerSums, bias: Tensor, columns_flip: bool, rows_flip: bool) -> None:
        self.weight, self.bias, self.columns_flip, self.rows_flip = weight, bias, columns_flip, rows_flip
        rows, columns = norms(weight.rows), norms(weight.columns)
        self.shape = (rows.shape[1], columns.shape[1], weight.kernels.shape[1])
        total = rows.square().sum(dim=1, keepdim=True)
        self.size = (total / prod(self.shape)).sqrt().clamp_min(_SMALLEST)
        self.rows, self.columns = rows / self.size, columns / self.size

    @classmethod
    def cat(cls, parts: Sequence["_Layer"]) -> "_Layer":
        """Return a layer of several batches of networks as one of all of them."""
        weight, bias = LayerSums.cat([part.weight for part in parts]), torch.cat([part.bias for part in parts])
        return cls(weight, bias, parts[0].columns_flip, parts[0].rows_flip)

    def spectrum(self) -> Tensor:
        """Return what has the squares of the singular values as eigenvalues, relative to the norm of the weight.

        They are rounded in units of the largest one, far below the square of ``SPECTRAL_FLOOR``.
        """
        return self.weight.smaller / (self.size.square() * prod(self.shape))[:, :, None]

    def of_entries(self) -> list[Tensor | Sample]:
        """Return the statistics of the weights and of the biases; of absolute values if signs can flip."""
        weights = [part / self.size for part in (self.weight.mean, self.weight.spread, self.weight.levels)]
        size = _divisor(self.bias)
        biases = (self.bias.abs() if self.rows_flip else self.bias) / size
        mean = biases.mean(dim=1, keepdim=True)
        return [self.size.log(), *weights, size.log(), mean, root_mean_square(biases - mean), Sample(biases)]

    def of_rows_and_columns(self) -> list[Tensor | Sample]:
        """Return the statistics of norms of rows and columns, of their cosines, and of kernels."""
        offsets = self.bias / self.size / self.rows.clamp_min(FLOOR)
        area = self.size.square()[:, :, None]
        found = [
            Sample(_logarithm(self.rows)),
            Sample(_logarithm(self.columns)),
            Sample(_cosines(self.weight.rows / area, self.rows, self.rows_flip)),
            Sample(_cosines(self.weight.columns / area, self.columns, self.columns_flip)),
            Sample((offsets.abs() if self.rows_flip else offsets).clamp(-_LARGEST_BIAS, _LARGEST_BIAS)),
        ]
        entries = self.shape[2]
        if entries == 1:
            return [*found]
        kernels = self.weight.kernels / (area * prod(self.shape))
        summed = kernels.sum(dim=(1, 2)).clamp_min(0)[:, None] / entries
        return [*found, kernels.diagonal(dim1=1, dim2=2), summed]


def _spectrum(gram: Tensor) -> Tensor:
    """Return the squares of singular values from products of rows, ``(batch, n)``."""
    return torch.linalg.eigvalsh(gram).clamp_min(0)


def _of_spectrum(squares: Tensor) -> list[Tensor | Sample]:
    """Return quantiles of the logarithms of singular values, and their participation ratio."""
    total = squares.sum(dim=1, keepdim=True).square()
    participation = total / squares.square().sum(dim=1, keepdim=True).clamp_min(_SMALLEST)
    return [Sample((squares + SPECTRAL_FLOOR**2).log() / 2), participation]


def _cosines(gram: Tensor, norms: Tensor, flips: bool) -> Tensor:
    """Return the cosines between vectors with these products ``(batch, n, n)`` and norms ``(batch, n)``."""
    floored = norms.maximum(FLOOR * _divisor(norms))
    cosines = off_diagonal(gram / floored[:, :, None] / floored[:, None, :])
    return cosines.abs() if flips else cosines


def _of_pair(first: _Layer, second: _Layer) -> list[Tensor | Sample]:
    """Return the statistics of the norms of neurons between two layers."""
    incoming, outgoing = first.rows * first.size, second.columns * second.size
    incoming, outgoing = incoming / _divisor(incoming), outgoing / _divisor(outgoing)
    deviations = [norms - norms.mean(dim=1, keepdim=True) for norms in (incoming, outgoing)]
    sizes = [root_mean_square(deviation).clamp_min(SPECTRAL_FLOOR * 10) for deviation in deviations]
    correlation = (deviations[0] * deviations[1]).mean(dim=1, keepdim=True) / (sizes[0] * sizes[1])
    return [Sample(_logarithm(incoming * outgoing)), correlation]


def _spectrum_of_product(first: _Layer, second: _Layer) -> Tensor:
    """Return what ``_Layer.spectrum`` returns, of the product of two weights relative to the product of their norms."""
    outputs, neurons, entries = second.shape
    numbers = outputs * prod(first.shape[1:]) * neurons * entries
    return second.weight.paths / ((first.size * second.size).square() * numbers)[:, :, None]


def _path_norms(layers: Sequence[_Layer]) -> Tensor:
    """Return the sorted logarithms of the sums over paths, ``(batch, n_L)``."""
    first = layers[0].weight.absolute
    sums, scale = first.new_ones(first.shape[0], first.shape[2], 1), first.new_zeros(first.shape[0], 1)
    for layer in layers:
        sums = layer.weight.absolute @ sums
        size = _divisor(sums[:, :, 0])
        sums, scale = sums / size[:, :, None], scale + size.log()
    return ascending(_logarithm(sums[:, :, 0]) + scale)
