"""Public checks of symmetry, for our layers and for yours.

A check draws random weights and group elements, compares, and fails with an AssertionError that gives the largest
relative difference. ``assert_breaks`` is the negative: a wrong element must change the output, so that a constant
layer cannot pass.

>>> from mnfn_cli import MonomialLinear, NetworkSpec
>>> spec = NetworkSpec.mlp([2, 5, 4, 3], activation="sin")
>>> assert_equivariant(MonomialLinear(spec, 2, 3).double(), spec, channels=2)
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.weightspace.spec import NetworkSpec

TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-4}
"""Largest relative difference that rounding explains, with factors up to 10,000."""

Output = WeightSpaceFeatures | Tensor
Functional = Callable[[WeightSpaceFeatures], Output]


def relative_difference(a: Output, b: Output) -> float:
    """Return the largest of max |a - b| / max |b| over all tensors and all rows of their batch axis."""
    pairs = zip(_tensors(a), _tensors(b), strict=True)
    return max(max(map(_row_difference, rows_a, rows_b)) for rows_a, rows_b in pairs)


def assert_equivariant(
    layer: Functional,
    spec: NetworkSpec,
    *,
    channels: int = 1,
    batch: int = 4,
    scale: tuple[float, float] = (1.0, 1e4),
    seed: int = 0,
    element: MonomialElement | None = None,
) -> None:
    """Assert ``layer(g x) = g layer(x)`` for random weights ``x`` and group elements ``g``.

    Args:
        layer: takes and returns features; its parameters' dtype chooses the tolerance.
        spec: the weight space.
        channels: the number of channels that the layer takes.
        batch: the number of pairs of weights and elements.
        scale: the interval of the factors, for the scaling group.
        seed: the seed of everything drawn.
        element: this ``g`` instead of random ones.
    """
    features, element = _draw(layer, spec, channels, batch, scale, seed, element)
    with torch.no_grad():
        after, before = layer(element.act(features)), layer(features)
    assert isinstance(before, WeightSpaceFeatures), "an equivariant layer returns features"
    _assert_close(after, element.act(before), "equivariant")


def assert_invariant(
    layer: Functional,
    spec: NetworkSpec,
    *,
    channels: int = 1,
    batch: int = 4,
    scale: tuple[float, float] = (1.0, 1e4),
    seed: int = 0,
    element: MonomialElement | None = None,
) -> None:
    """Assert ``layer(g x) = layer(x)``; arguments as in ``assert_equivariant``."""
    features, element = _draw(layer, spec, channels, batch, scale, seed, element)
    with torch.no_grad():
        after, before = layer(element.act(features)), layer(features)
    _assert_close(after, before, "invariant")


def assert_breaks(
    layer: Functional,
    spec: NetworkSpec,
    wrong: MonomialElement,
    *,
    channels: int = 1,
    seed: int = 0,
    least: float = 1e-2,
) -> None:
    """Assert that a wrong element is noticed: ``layer(w x)`` is neither ``layer(x)`` nor ``w layer(x)``.

    Args:
        layer: equivariant or invariant under the right group.
        spec: the weight space.
        wrong: elements outside of the group, one for each network to draw.
        channels: the number of channels that the layer takes.
        seed: the seed of the weights.
        least: the smallest relative difference that counts as noticed.
    """
    features, wrong = _draw(layer, spec, channels, wrong.scales[0].shape[0], (1.0, 1.0), seed, wrong)
    with torch.no_grad():
        after, before = layer(wrong.act(features)), layer(features)
    expected = wrong.act(before) if isinstance(before, WeightSpaceFeatures) else before
    difference = relative_difference(after, expected)
    assert difference >= least, f"a wrong group element changed the output by {difference:.1e} only"


def _draw(
    layer: Functional,
    spec: NetworkSpec,
    channels: int,
    batch: int,
    scale: tuple[float, float],
    seed: int,
    element: MonomialElement | None,
) -> tuple[WeightSpaceFeatures, MonomialElement]:
    parameter = next(layer.parameters(), None) if isinstance(layer, nn.Module) else None
    dtype = torch.float64 if parameter is None else parameter.dtype
    generator = torch.Generator().manual_seed(seed)
    features = WeightSpaceFeatures.randn(spec, batch, channels, generator=generator, dtype=dtype)
    return features, element or MonomialElement.sample(spec, batch, scale, generator=generator)


def _assert_close(found: Output, expected: Output, property_name: str) -> None:
    difference = relative_difference(found, expected)
    tolerance = TOLERANCE[next(iter(_tensors(expected))).dtype]
    assert difference <= tolerance, f"not {property_name}: largest relative difference {difference:.1e}"


def _tensors(output: Output) -> list[Tensor]:
    return list(output.tensors()) if isinstance(output, WeightSpaceFeatures) else [output]


def _row_difference(a: Tensor, b: Tensor) -> float:
    difference, size = float((a - b).abs().max()), float(b.abs().max())
    return 0.0 if difference == 0 else difference / size if size > 0 else float("inf")
