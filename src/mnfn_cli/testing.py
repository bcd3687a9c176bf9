"""Assertions that a layer is equivariant or invariant, for tests.

Each draws random weights and group elements, and raises an AssertionError with the largest relative difference if the
layer fails. ``assert_breaks`` checks the opposite for elements outside of the group, which a constant layer fails.

>>> from mnfn_cli import MonomialLinear, NetworkSpec
>>> spec = NetworkSpec.mlp([2, 5, 4, 3], activation="sin")
>>> assert_equivariant(MonomialLinear(spec, 2, 3).double(), spec, channels=2)
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn

from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.store import Zoo
from mnfn_cli.zoo.writer import save_zoo

__all__ = ["assert_breaks", "assert_equivariant", "assert_invariant", "example_zoo", "relative_difference"]

TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-4}
"""By dtype, the largest relative difference that rounding may cause, for factors up to 10,000."""

Output = WeightSpaceFeatures | Tensor
Functional = Callable[[WeightSpaceFeatures], Output]


def relative_difference(a: Output, b: Output) -> float:
    """Return the largest max |a - b| / max |b|, taken for each tensor and each entry of its batch axis.

    Args:
        a, b: tensors ``(batch, ...)``, or features of the same shapes.

    Returns:
        the difference; 0 where both are 0, and infinity where only ``b`` is.

    >>> import torch
    >>> from mnfn_cli.testing import relative_difference
    >>> relative_difference(torch.tensor([[1.0, 2.5]]), torch.tensor([[1.0, 2.0]]))
    0.25
    """
    pairs = zip(_tensors(a), _tensors(b), strict=True)
    return max(max(map(_row_difference, rows_a, rows_b)) for rows_a, rows_b in pairs)


def assert_equivariant(
    layer: Functional,
    spec: NetworkSpec,
    *,
    channels: int = 1,
    batch: int = 4,
    scale: tuple[float, float] = (1.0, 1e4),
    shifts: int = 0,
    seed: int = 0,
    element: MonomialElement | None = None,
) -> None:
    """Assert ``layer(g x) = g layer(x)`` for random weights ``x`` and group elements ``g``.

    Args:
        layer: a map from ``WeightSpaceFeatures`` to ``WeightSpaceFeatures``. The dtype of its parameters, float64
            without any, is that of the weights and chooses the tolerance.
        spec: the weight space of the networks.
        channels: the number of channels of the layer's input.
        batch: the number of pairs ``x`` and ``g`` to draw.
        scale: for the scaling group, the interval (low, high) of the factors.
        shifts: for sine networks, the largest shift ``k`` of biases by ``k pi / omega``. The features that the layer
            returns must then transform as a change of the weights does (``MonomialElement.act_on_change``).
        seed: the seed of the random numbers.
        element: group elements ``g``, one for each of the ``batch`` networks, instead of random ones.

    Raises:
        AssertionError: the relative difference exceeds ``TOLERANCE``.

    >>> import torch
    >>> from mnfn_cli import MonomialElement, MonomialLinear, NetworkSpec
    >>> from mnfn_cli.testing import assert_equivariant
    >>> spec = NetworkSpec.mlp([2, 5, 4, 3], activation="relu")
    >>> assert_equivariant(MonomialLinear(spec, 2, 3).double(), spec, channels=2)
    """
    features, element = _draw(layer, spec, channels, batch, scale, seed, element, shifts)
    with torch.no_grad():
        after, before = layer(element.act(features)), layer(features)
    assert isinstance(before, WeightSpaceFeatures), "an equivariant layer returns features"
    _assert_close(after, element.act_on_change(before), "equivariant")


def assert_invariant(
    layer: Functional,
    spec: NetworkSpec,
    *,
    channels: int = 1,
    batch: int = 4,
    scale: tuple[float, float] = (1.0, 1e4),
    shifts: int = 0,
    seed: int = 0,
    element: MonomialElement | None = None,
) -> None:
    """Assert ``layer(g x) = layer(x)`` for random weights ``x`` and group elements ``g``.

    Args:
        layer: a map from ``WeightSpaceFeatures`` to ``WeightSpaceFeatures`` or to a tensor ``(batch, ...)``.
        spec, channels, batch, scale, shifts, seed, element: as of ``assert_equivariant``.

    Raises:
        AssertionError: the relative difference exceeds ``TOLERANCE``.

    >>> from mnfn_cli import NetworkSpec, build_model
    >>> from mnfn_cli.testing import assert_invariant
    >>> spec = NetworkSpec.mlp([2, 5, 4, 3], activation="relu")
    >>> assert_invariant(build_model("generalization/monomial", spec).double(), spec)
    """
    features, element = _draw(layer, spec, channels, batch, scale, seed, element, shifts)
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
    """Assert that a layer is not equivariant (or not invariant) to an element ``w`` outside of its group.

    Args:
        layer: a map from ``WeightSpaceFeatures`` to ``WeightSpaceFeatures`` or to a tensor.
        spec: the weight space of the networks.
        wrong: elements ``w`` outside of the group, one for each network to draw.
        channels: the number of channels of the layer's input.
        seed: the seed of the random weights.
        least: the smallest relative difference between ``layer(w x)`` and ``w layer(x)`` (or ``layer(x)``) that passes.

    Raises:
        AssertionError: the relative difference is smaller than ``least``.

    >>> from mnfn_cli import MonomialElement, NetworkSpec
    >>> from mnfn_cli.nn import EquivariantActivation
    >>> from mnfn_cli.testing import assert_breaks
    >>> spec = NetworkSpec.mlp([2, 5, 4, 3], activation="relu")
    >>> wrong = MonomialElement.identity(spec, batch=4)
    >>> wrong = MonomialElement(wrong.permutations, [-scale for scale in wrong.scales])
    >>> assert_breaks(EquivariantActivation(spec, "relu"), spec, wrong)
    """
    features, wrong = _draw(layer, spec, channels, wrong.scales[0].shape[0], (1.0, 1.0), seed, wrong)
    with torch.no_grad():
        after, before = layer(wrong.act(features)), layer(features)
    expected = wrong.act_on_change(before) if isinstance(before, WeightSpaceFeatures) else before
    difference = relative_difference(after, expected)
    assert difference >= least, f"a wrong group element changed the output by {difference:.1e} only"


_FOLDERS: list[TemporaryDirectory[str]] = []


@cache
def example_zoo() -> Zoo:
    """Return a zoo of 12 small untrained classifiers in a temporary folder, which goes when Python ends.

    It is for examples and tests: CNNs of the Small CNN Zoo's architecture with ReLU and made-up accuracies, 8 of them
    to train on, 2 to validate and 2 to test.

    Returns:
        the same zoo at every call.

    >>> zoo = example_zoo()
    >>> len(zoo), zoo.spec.activation, zoo.table["split"].unique(maintain_order=True).to_list()
    (12, 'relu', ['train', 'val', 'test'])
    """
    spec = NetworkSpec.cnn([1, 16, 16, 16], kernel=3, stride=2, outputs=10, activation="relu", input_size=(16, 16))
    weights = WeightSpaceFeatures.randn(spec, batch=12, generator=torch.Generator().manual_seed(0))
    accuracies = [0.1 + 0.05 * row for row in range(12)]
    table = {"id": [f"{row:02d}" for row in range(12)], "split": ["train"] * 8 + ["val"] * 2 + ["test"] * 2}
    table |= {"activation": ["relu"] * 12}
    _FOLDERS.append(TemporaryDirectory(prefix="mnfn-example-"))
    features = weights.map(lambda tensor: 0.2 * tensor)
    return save_zoo(Path(_FOLDERS[-1].name) / "zoo", spec, features, table | {"test_accuracy": accuracies})


def _draw(
    layer: Functional,
    spec: NetworkSpec,
    channels: int,
    batch: int,
    scale: tuple[float, float],
    seed: int,
    element: MonomialElement | None,
    shifts: int = 0,
) -> tuple[WeightSpaceFeatures, MonomialElement]:
    parameter = next(layer.parameters(), None) if isinstance(layer, nn.Module) else None
    dtype = torch.float64 if parameter is None else parameter.dtype
    generator = torch.Generator().manual_seed(seed)
    features = WeightSpaceFeatures.randn(spec, batch, channels, generator=generator, dtype=dtype)
    return features, element or MonomialElement.sample(spec, batch, scale, shifts=shifts, generator=generator)


def _assert_close(found: Output, expected: Output, property_name: str) -> None:
    difference = relative_difference(found, expected)
    tolerance = TOLERANCE[next(iter(_tensors(expected))).dtype]
    assert difference <= tolerance, f"not {property_name}: largest relative difference {difference:.1e}"


def _tensors(output: Output) -> list[Tensor]:
    return list(output.tensors()) if isinstance(output, WeightSpaceFeatures) else [output]


def _row_difference(a: Tensor, b: Tensor) -> float:
    difference, size = float((a - b).abs().max()), float(b.abs().max())
    return 0.0 if difference == 0 else difference / size if size > 0 else float("inf")
