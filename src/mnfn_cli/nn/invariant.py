"""From equivariant features to invariant numbers: first remove scales or signs, then average over permuted axes.

Source: paper, Theorem 5.3.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from mnfn_cli.nn.blocks import Part, parts_of
from mnfn_cli.nn.entries import SummedFeatures
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec


class NormalizeEntries(nn.Module):
    """Normalise the vector of channels and kernel entries of every entry to length 1, which removes scaling.

    The output is ``gain * x / |x| + offset``. Gain and offset are learned, one of each for every tensor, channel and
    kernel entry, the same for all neurons, and initialised from a standard normal distribution. For a zero vector
    ``x / |x|`` is 0, with gradient 0. ``b(L)``, on which the group does not act, is returned unchanged.

    Args:
        spec: the weight space.
        channels: the number of channels of the features.

    Shapes:
        The input and the output are ``(batch, channels, out, in, *kernel)`` and ``(batch, channels, out)``.

    Source:
        paper, Theorem 5.3.

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures
    >>> from mnfn_cli.nn import NormalizeEntries
    >>> spec = NetworkSpec.mlp([2, 5, 4, 3], activation="relu")
    >>> from mnfn_cli.testing import assert_invariant
    >>> from mnfn_cli.nn import MeanPool
    >>> import torch
    >>> layer, pool = NormalizeEntries(spec, 6).double(), MeanPool(spec, 6)
    >>> assert_invariant(torch.nn.Sequential(layer, pool), spec, channels=6)
    """

    def __init__(self, spec: NetworkSpec, channels: int) -> None:
        super().__init__()
        weights, biases = parts_of(spec)
        self._lengths = {part.name: channels * part.kernel_entries for part in (*weights, *biases[:-1])}
        sizes = [(channels, *part.shape[2:]) for part in weights]
        self.weight_gains = nn.ParameterList(torch.randn(size) for size in sizes)
        self.weight_offsets = nn.ParameterList(torch.randn(size) for size in sizes)
        self.bias_gains = nn.ParameterList(torch.randn(channels) for _ in biases[:-1])
        self.bias_offsets = nn.ParameterList(torch.randn(channels) for _ in biases[:-1])

    def forward(self, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        """Return the normalised features."""
        weights = []
        for weight, gain, offset in zip(features.weights, self.weight_gains, self.weight_offsets, strict=True):
            kernel_axes = tuple(range(-gain.dim() + 1, 0))
            # (batch, out, in, channels, *kernel): the axes of one entry's vector come last.
            entries = weight.movedim(1, 3)
            weights.append(torch.addcmul(offset, gain, _unit(entries, (3, *kernel_axes))).movedim(3, 1))
        biases = []
        for bias, gain, offset in zip(features.biases[:-1], self.bias_gains, self.bias_offsets, strict=True):
            biases.append(torch.addcmul(offset, gain, _unit(bias.movedim(1, 2), (2,))).movedim(2, 1))
        return WeightSpaceFeatures(weights, [*biases, features.biases[-1]])

    def mean(self, name: str, values: Tensor) -> Tensor:
        """Return the mean of ``x / |x|`` over positions, ``(batch, entries * channels)``; of ``b(L)`` that of ``x``.

        Args:
            name: the name of a tensor.
            values: its features, ``(batch, positions, entries * channels)``.
        """
        if name not in self._lengths:
            return values.mean(dim=1)
        mean: Tensor = _MeanDirection.apply(values.unflatten(2, (-1, self._lengths[name])))
        return mean.flatten(1)

    def finish(self, means: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the means of the normalised features from what ``mean`` returns for each tensor, by its name.

        The mean of ``gain * x / |x| + offset`` is ``gain`` times the mean of ``x / |x|``, plus ``offset``; so the
        normalised features are never written.
        """
        names = list(self._lengths)
        sizes = [means[name].shape[1] for name in names]
        gains, offsets = (
            torch.cat([each.flatten().repeat(size // each.numel()) for each, size in zip(learned, sizes, strict=True)])
            for learned in ([*self.weight_gains, *self.bias_gains], [*self.weight_offsets, *self.bias_offsets])
        )
        # One product and one sum for all tensors: there are few numbers in each.
        joined = torch.addcmul(offsets, gains, torch.cat([means[name] for name in names], dim=1))
        return {**means, **dict(zip(names, joined.split(sizes, dim=1), strict=True))}


def _unit(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Divide ``x`` by its length along ``axes``; a zero vector stays zero, with gradient 0.

    The largest entry is divided out first: a length of 1e30 or 1e-30 would overflow or vanish when squared, and the
    floor of 1e-12 under the length is then relative, so that it does not break the scaling symmetry. The quotient
    does not depend on that divisor, so its gradient is that of ``x / |x|`` although the divisor is held constant.
    """
    largest = x.detach().abs().amax(dim=axes, keepdim=True)
    scaled = x / torch.where(largest > 0, largest, torch.inf)
    return scaled / torch.linalg.vector_norm(scaled, dim=axes, keepdim=True).clamp_min(1e-12)


class _MeanDirection(torch.autograd.Function):
    """Map ``x``, ``(batch, positions, free, numbers)``, to the mean of ``x / |x|`` over positions.

    With ``u = x / |x|``, ``P`` positions and the gradient ``g`` of the mean, the gradient of ``x`` is
    ``(g - u (u . g)) / (P |x|)``. It is computed from ``x``, which a layer before has kept anyway. Automatic
    differentiation would keep two more tensors of this size and write six.

    ``RescalePositions`` stands before the layers, so lengths are of a moderate size whatever the weights are, and need
    no divisor of their own (compare ``_unit``). A vector whose squares vanish counts as zero.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        length = torch.linalg.vector_norm(x, dim=3, keepdim=True)
        length.masked_fill_(length < torch.finfo(x.dtype).tiny ** 0.5, torch.inf)
        ctx.save_for_backward(x, length)
        shares = (x.shape[1] * length).reciprocal_()
        return (shares.permute(0, 2, 3, 1) @ x.transpose(1, 2))[:, :, 0]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        x, length = ctx.saved_tensors
        gradient = gradient / x.shape[1]
        direction = x / length
        along = (direction.transpose(1, 2) @ gradient[..., None]).transpose(1, 2)
        # The difference comes before the division: of a vector of one number it is exactly 0.
        return torch.addcmul(gradient[:, None], direction, along, value=-1, out=direction).div_(length)


class AbsoluteValue(nn.Module):
    """Take the absolute value of every entry, which removes signs; also that of ``b(L)``, as published.

    Args:
        args, kwargs: those of ``torch.nn.Module``; there are none of its own.

    Shapes:
        The input and the output are ``(batch, channels, out, in, *kernel)`` and ``(batch, channels, out)``.

    Source:
        paper, Theorem 5.3.

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures
    >>> from mnfn_cli.nn import AbsoluteValue
    >>> spec = NetworkSpec.mlp([2, 5, 4, 3], activation="tanh")
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2)
    >>> bool((AbsoluteValue()(networks).flatten() >= 0).all())
    True
    """

    def forward(self, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        """Return the absolute values."""
        return features.map(torch.abs)

    def mean(self, name: str, values: Tensor) -> Tensor:
        """Return the mean over positions of the absolute values of ``(batch, positions, entries * channels)``."""
        return values.abs().mean(dim=1)

    def finish(self, means: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return the means of all tensors, which are complete."""
        return means


class MeanPool(nn.Module):
    """Average over every permuted axis, which is invariant to permutations of hidden neurons.

    The input axis of ``W(1)``, the output axis of ``W(L)`` and ``b(L)``, and the kernel axes are kept.

    Args:
        spec: the weight space.
        channels: the number of channels of the features.

    Attributes:
        numbers: the length of the output.

    Shapes:
        The input is ``(batch, channels, out, in, *kernel)`` and ``(batch, channels, out)``, the output
        ``(batch, numbers)``.

    Source:
        paper, Theorem 5.3.

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures
    >>> from mnfn_cli.nn import MeanPool
    >>> spec = NetworkSpec.cnn([1, 4, 4], kernel=3, stride=2, outputs=10, activation="relu")
    >>> pool = MeanPool(spec, channels=6)
    >>> pool(WeightSpaceFeatures.randn(spec, batch=2, channels=6)).shape, pool.numbers
    (torch.Size([2, 240]), 240)
    """

    def __init__(self, spec: NetworkSpec, channels: int) -> None:
        super().__init__()
        weights, biases = parts_of(spec)
        self.parts: list[Part] = [*weights, *biases]
        self.numbers = channels * sum(part.entries for part in self.parts)

    def forward(self, features: WeightSpaceFeatures) -> Tensor:
        """Return the averages of all tensors, concatenated."""
        return self.join({part.name: _mean(part, features) for part in self.parts})

    def join(self, means: Mapping[str, Tensor]) -> Tensor:
        """Return the averages of all tensors, which are given by name, concatenated."""
        return torch.cat([means[part.name] for part in self.parts], dim=1)


def _mean(part: Part, features: WeightSpaceFeatures) -> Tensor:
    """Return the mean of a tensor over its positions, ``(batch, entries * channels)``, from its sums if they are there.

    The gradient of a sum that a layer has computed is added up by that layer, and never written for every entry.
    """
    if part.kind == "b" or not isinstance(features, SummedFeatures):
        return part.take(features).mean(dim=1)
    n_out, n_in, *_ = part.shape
    if part.free_output:
        return features.over_inputs[part.layer - 1].flatten(1) / n_in
    total = features.over_outputs[part.layer - 1]
    return total.flatten(1) / n_out if part.free_input else total.sum(dim=1) / (n_out * n_in)
