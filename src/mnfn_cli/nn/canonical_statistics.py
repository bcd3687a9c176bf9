"""Statistics of canonical weights: numbers about a network that no element of its monomial group changes."""

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


class CanonicalStatistics(nn.Module):
    """Compute statistics that are invariant to permutations, and to positive scales or sign flips, of hidden neurons.

    They are taken in float64 from the canonical form of the weights (``weightspace.canonical``), which has no freedom
    of scale left. Where the group flips signs, a number that a flip would change is replaced by its absolute value, so
    the choice of the canonical sign is never read. Every divisor is at least ``FLOOR`` times the root mean square of
    its layer, which scales as it does. So the statistics of silent neurons and of layers of zeros are finite, and
    rounding errors are not divided by rounding errors.

    For every weight and bias tensor, relative to its root mean square: the mean, the standard deviation and quantiles,
    and the logarithm of the root mean square. For every weight, as a matrix with a row for each neuron: quantiles of
    the logarithms of its singular values, their participation ratio, quantiles of the logarithms of the norms of its
    rows and of its columns (all kernel entries of an input channel), quantiles of the cosines between its rows, and the
    share of each kernel entry in its energy. For each output, the logarithm of the sum over all paths that lead to it
    of the product of absolute weights, ``|W(L)| ... |W(1)| 1``, sorted.

    Args:
        spec: the weight space.

    Attributes:
        numbers: the length of the output. It does not depend on the widths of hidden layers.

    Shapes:
        The input is raw weights with one channel, ``(batch, 1, out, in, *kernel)`` and ``(batch, 1, out)``, of any
        dtype; the output is ``(batch, numbers)`` in float64, and finite if the weights are.

    >>> spec = NetworkSpec.cnn([1, 16, 16, 16], stride=2, outputs=10)
    >>> CanonicalStatistics(spec)(WeightSpaceFeatures.zeros(spec, 2)).shape
    torch.Size([2, 233])
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.spec = spec
        kernels = sum(entries for entries in spec.kernel_entries if entries > 1)
        each = 2 * (3 + len(QUANTILES)) + 4 * len(QUANTILES) + 1
        self.numbers = spec.num_layers * each + kernels + spec.widths[-1]

    def forward(self, features: WeightSpaceFeatures) -> Tensor:
        """Return the statistics of all layers, concatenated, and those of the paths."""
        canonical = canonicalize(features.to(dtype=torch.float64), self.spec)[0].map(_bounded)
        flips = [False, *(group == "sign" for group in self.spec.groups), False]
        found = []
        for i, (weight, bias) in enumerate(zip(canonical.weights, canonical.biases, strict=True)):
            entries = weight[:, 0].flatten(3) if weight.dim() > 4 else weight[:, 0, :, :, None]
            found.append(_of_entries(entries.flatten(1), flips[i] or flips[i + 1]))
            found.append(_of_entries(bias[:, 0], flips[i + 1]))
            found += _of_matrix(entries, flips[i + 1])
        return torch.cat([*found, _path_norms(canonical)], dim=1)


def quantiles(numbers: Tensor) -> Tensor:
    """Return the quantiles ``QUANTILES`` of each row of ``(batch, numbers)``, linearly interpolated; 0 of none."""
    last = numbers.shape[1] - 1
    if last < 0:
        return numbers.new_zeros(len(numbers), len(QUANTILES))
    places = torch.tensor(QUANTILES, dtype=numbers.dtype, device=numbers.device) * last
    below = places.floor().long()
    ordered = numbers.sort(dim=1).values
    return torch.lerp(ordered[:, below], ordered[:, (below + 1).clamp_max(last)], places - below)


def _bounded(tensor: Tensor) -> Tensor:
    return tensor.nan_to_num(0.0, _LARGEST, -_LARGEST).clamp(-_LARGEST, _LARGEST)


def _root_mean_square(numbers: Tensor) -> Tensor:
    """Return the root mean square over the last axis, which is kept with size 1."""
    return numbers.square().mean(dim=-1, keepdim=True).sqrt()


def _logarithm(norms: Tensor) -> Tensor:
    """Return the logarithms of each row of norms ``(batch, norms)``, relative to their root mean square."""
    return (norms / _root_mean_square(norms).clamp_min(_SMALLEST)).clamp_min(FLOOR).log()


def _of_entries(numbers: Tensor, flips: bool) -> Tensor:
    """Return the statistics of each row of ``(batch, numbers)``; of absolute values if signs can flip."""
    size = _root_mean_square(numbers).clamp_min(_SMALLEST)
    relative = (numbers.abs() if flips else numbers) / size
    spread = relative.std(dim=1, correction=0, keepdim=True)
    return torch.cat([size.log(), relative.mean(dim=1, keepdim=True), spread, quantiles(relative)], dim=1)


def _of_matrix(entries: Tensor, flips: bool) -> list[Tensor]:
    """Return the statistics of a weight ``(batch, out, in, kernel)`` as a matrix; ``flips``: of its rows' signs."""
    batch, outputs, _, positions = entries.shape
    size = _root_mean_square(entries.flatten(1)).clamp_min(_SMALLEST)
    rows = (entries / size[:, :, None, None]).flatten(2)
    energies = rows.square().unflatten(2, entries.shape[2:])
    singular = torch.linalg.svdvals(rows) / rows[0].numel() ** 0.5
    spectrum = quantiles((singular.square() + SPECTRAL_FLOOR**2).sqrt().log())
    participation = energies.flatten(1).mean(dim=1, keepdim=True).square() / singular.pow(4).sum(
        1, keepdim=True
    ).clamp_min(FLOOR)
    norms = energies.sum(dim=(2, 3)).sqrt()
    directions = rows / norms.clamp_min(FLOOR * rows.shape[2] ** 0.5)[:, :, None]
    above = torch.triu_indices(outputs, outputs, 1, device=rows.device)
    cosines = (directions @ directions.transpose(1, 2))[:, above[0], above[1]]
    found = [
        spectrum,
        participation,
        quantiles(_logarithm(norms)),
        quantiles(_logarithm(energies.sum(dim=(1, 3)).sqrt())),
        quantiles(cosines.abs() if flips else cosines),
    ]
    return [*found, energies.sum(dim=(1, 2)) / energies[0].numel()] if positions > 1 else found


def _path_norms(canonical: WeightSpaceFeatures) -> Tensor:
    """Return the sorted logarithms of the sums over paths, ``(batch, n_L)``."""
    first = canonical.weights[0]
    sums = first.new_ones(first.shape[0], first.shape[3], 1)
    scale = first.new_zeros(first.shape[0], 1)
    for weight in canonical.weights:
        sums = weight[:, 0].abs().flatten(3).sum(dim=3) @ sums if weight.dim() > 4 else weight[:, 0].abs() @ sums
        size = _root_mean_square(sums[:, :, 0]).clamp_min(_SMALLEST)
        sums, scale = sums / size[:, :, None], scale + size.log()
    return (_logarithm(sums[:, :, 0]) + scale).sort(dim=1).values
