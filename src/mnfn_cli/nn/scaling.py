"""Layers that change the sizes of weights and biases: from data, from a formula, learned, or to avoid overflow."""

from collections.abc import Iterable, Sequence
from math import sqrt

import torch
from torch import Tensor, nn

from mnfn_cli.nn.blocks import arrange, equivariant_blocks, restore
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec

SMALLEST_DEVIATION = 1e-5


class Standardize(nn.Module):
    """Map every number ``w`` to ``(w - mean) / std``, with one mean and one deviation for each weight or bias tensor.

    The published code has a mean and a deviation for every entry, which breaks the symmetry under permutations. Here
    ``fit`` computes them from the training networks. They are buffers, saved with the model, and not trained; until
    ``fit`` is called they are 0 and 1.

    Args:
        spec: the weight space.

    Shapes:
        The input and the output are ``(batch, channels, out, in, *kernel)`` and ``(batch, channels, out)``.

    Source:
        the published code has one mean and deviation for each entry.

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures
    >>> from mnfn_cli.nn import Standardize
    >>> spec = NetworkSpec.mlp([2, 5, 4, 3], activation="tanh")
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2)
    >>> layer = Standardize(spec)
    >>> layer.fit(networks)
    >>> round(float(layer(networks).weights[0].std(correction=0)), 3)
    1.0
    """

    means: Tensor
    deviations: Tensor

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.register_buffer("means", torch.zeros(2 * spec.num_layers))
        self.register_buffer("deviations", torch.ones(2 * spec.num_layers))

    @torch.no_grad()
    def fit(self, features: WeightSpaceFeatures) -> None:
        """Compute the mean and the deviation of each tensor over all of ``features``, in float64.

        A deviation below ``SMALLEST_DEVIATION`` is replaced by 1, so that a constant tensor is only shifted to 0.
        """
        for number, tensor in enumerate(features.tensors()):
            deviation, mean = torch.std_mean(tensor.double(), correction=0)
            self.means[number] = mean
            self.deviations[number] = deviation if deviation >= SMALLEST_DEVIATION else 1.0

    def forward(self, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        """Return the standardised features."""
        tensors = [
            (tensor - mean) / deviation
            for tensor, mean, deviation in zip(features.tensors(), self.means, self.deviations, strict=True)
        ]
        return WeightSpaceFeatures(tensors[0::2], tensors[1::2])


class UnitScale(nn.Module):
    """Divide every tensor by the standard deviation that it has in a SIREN before training.

    The first weights of a SIREN are about 10 times as large as its hidden weights. Without this layer, functions of
    single entries, Fourier features above all, would resolve one tensor and not the other. The factors are fixed, one
    for each tensor, and a fixed factor commutes with the sign group.

    Args:
        spec: the weight space of the SIRENs. Before training (Sitzmann et al. 2020) their numbers are uniform between
            plus and minus ``1 / n_0`` for ``W(1)``, ``sqrt(6 / n) / omega`` for the other weights and ``1 / sqrt(n)``
            for biases, where ``n`` is the number of inputs of the layer.

    Shapes:
        The input and the output are ``(batch, channels, out, in)`` and ``(batch, channels, out)``.

    Source:
        Sitzmann et al. 2020, for the start of SIRENs.

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures
    >>> from mnfn_cli.nn import UnitScale
    >>> spec = NetworkSpec.mlp([2, 8, 8, 1], activation="sin", omega=15.0)
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2)
    >>> layer = UnitScale(spec)
    >>> bool((layer(networks).weights[0] == layer.weights[0] * networks.weights[0]).all())
    True
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        inputs = spec.widths[:-1]
        self.weights = [sqrt(3) * n if i == 0 else spec.omega * sqrt(n / 2) for i, n in enumerate(inputs)]
        self.biases = [sqrt(3 * n) for n in inputs]

    def forward(self, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        """Return the features times the fixed factors."""
        return _multiplied(features, self.weights, self.biases)


class LearnedScale(nn.Module):
    """Multiply every weight tensor ``W(i)`` and every bias tensor ``b(i)`` by a learned number of its own.

    It ends an editor: with small numbers to start with, the changes of the weights start small.

    Args:
        spec: the weight space.
        start: the initial value of every learned number.

    Shapes:
        The input and the output are ``(batch, channels, out, in, *kernel)`` and ``(batch, channels, out)``.

    Source:
        Zhou et al. 2023, at the end of an editor.

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures
    >>> from mnfn_cli.nn import LearnedScale
    >>> spec = NetworkSpec.mlp([2, 8, 8, 1], activation="sin", omega=15.0)
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2)
    >>> bool((LearnedScale(spec, start=0.5)(networks).weights[0] == 0.5 * networks.weights[0]).all())
    True
    """

    def __init__(self, spec: NetworkSpec, start: float = 0.01) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.full((spec.num_layers,), start))
        self.biases = nn.Parameter(torch.full((spec.num_layers,), start))

    def forward(self, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        """Return the features times the learned numbers."""
        return _multiplied(features, self.weights, self.biases)


class RescalePositions(nn.Module):
    """Divide the entries at each position of each block (see ``nn.blocks``) by the largest absolute value among them.

    Every layer between this one and ``NormalizeEntries`` treats each position separately and is homogeneous: a positive
    factor on the entries of a position reappears as the same factor in the output, where the normalisation removes it.
    So this layer does not change what a scale-invariant functional computes. It keeps intermediate values and gradients
    in the range of float32 when the weights are as small as 1e-30 or as large as 1e30. ``b(L)``, which is not
    normalised, is returned unchanged.

    Args:
        spec: a weight space with the scaling group.

    Shapes:
        The input and the output are ``(batch, channels, out, in, *kernel)`` and ``(batch, channels, out)``. A position
        whose entries are all 0 stays 0.

    Source:
        mnfn's own.

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures
    >>> from mnfn_cli.nn import RescalePositions
    >>> spec = NetworkSpec.mlp([2, 5, 4, 3], activation="relu")
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2)
    >>> float(RescalePositions(spec)(networks).weights[1].abs().amax())
    1.0
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.blocks = equivariant_blocks(spec, sign_terms=False)

    def forward(self, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        """Return the rescaled features."""
        return restore(self.blocks, self.on_blocks(arrange(self.blocks, features)), features.channels)

    def on_blocks(self, arranged: Sequence[Tensor]) -> list[Tensor]:
        """Return the rescaled features, arranged in blocks (``nn.blocks.arrange``), of which the last is ``b(L)``."""
        *homogeneous, output = arranged
        return [*(_over_largest(values) for values in homogeneous), output]


def _over_largest(values: Tensor) -> Tensor:
    """Divide ``(batch, positions, entries)`` by the largest absolute value at each position, held constant."""
    largest = values.detach().abs().amax(dim=2, keepdim=True)
    return values / torch.where(largest > 0, largest, 1.0)


def _multiplied(
    features: WeightSpaceFeatures, weights: Iterable[Tensor | float], biases: Iterable[Tensor | float]
) -> WeightSpaceFeatures:
    """Return the features with each tensor multiplied by its factor."""
    return WeightSpaceFeatures(
        [weight * factor for weight, factor in zip(features.weights, weights, strict=True)],
        [bias * factor for bias, factor in zip(features.biases, biases, strict=True)],
    )
