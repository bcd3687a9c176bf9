"""Find the order of a checkpoint's layers from their shapes, without guessing.

An order fits if every layer reads what the layer before it gives, and if layers whose names differ in one number only,
such as ``features.0`` and ``features.3``, stand in the order of these numbers. It is taken if no other order fits.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice, pairwise

from mnfn_cli.errors import DataError
from mnfn_cli.weightspace.naming import Module, Shape, UnsettledError, bare_name

MOST_ORDERS = 1000
"""The number of orders up to which they are counted."""

_MOST_STEPS = 100_000
_MOST_LAYERS = 200

Fits = Callable[[Module | None, int, Module], bool]
"""A function that tells whether a layer fits behind another one (None before the first), at a position from 0."""


class OrderError(UnsettledError):
    """The shapes allow several orders of a checkpoint's layers.

    The key ``orders`` of ``details`` holds the names of the layers in each order that fits, up to ``MOST_ORDERS``.
    """


def order_layers(layers: Sequence[Module], where: str, expected: Sequence[Shape] | None = None) -> list[Module]:
    """Return the layers in the only order that fits.

    Args:
        layers: the dense layers and convolutions of a checkpoint, in the natural order of their names.
        where: the name of the checkpoint for errors.
        expected: the shape of every weight, in order, where the weight space is known. A dense layer on a flattened map
            may have its shape ``(out, channels * height * width)`` or that of a convolution.

    Raises:
        DataError: no order fits.
        OrderError: several orders fit.
    """
    if expected is not None and len(layers) != len(expected):
        raise DataError(where, f"{len(layers)} layers, expected {len(expected)}")
    if len(layers) > _MOST_LAYERS:
        raise DataError(where, f"{len(layers)} layers; at most {_MOST_LAYERS} are read")
    search = _Search(layers, chains if expected is None else _at_positions(expected))
    found = list(islice(search.orders(), MOST_ORDERS))
    if not found and search.given_up:
        raise UnsettledError(where, "its layers fit in too many ways to try; say their order with --layers")
    if not found:
        raise _misfit(layers, where, expected)
    if len(found) > 1:
        count = f"{MOST_ORDERS} orders or more" if len(found) == MOST_ORDERS else f"{len(found)} orders"
        first, second = (", ".join(module.name for module in order) for order in found[:2])
        error = OrderError(
            where, f"{count} of its layers fit, such as {first} or {second}; say which is right with --layers"
        )
        error.details = {"orders": [[module.name for module in order] for order in found]}
        raise error
    return found[0]


def named_order(modules: Sequence[Module], names: Sequence[str], where: str) -> list[Module]:
    """Return the layers with these names, in this order.

    Args:
        modules: the dense layers and convolutions of a checkpoint.
        names: the name of every layer, with or without wrappers such as ``model.``.
        where: the name of the checkpoint for errors.

    Raises:
        DataError: a name is no layer of the checkpoint or stands twice, a layer is not named, or a layer does not read
            what the one before it gives.
    """
    by_name = {module.name: module for module in modules}
    wanted = [bare_name(name) for name in names]
    for name in wanted:
        if name not in by_name:
            raise DataError(where, f"has no layer '{name}'; its layers are {', '.join(by_name)}")
    if missing := [name for name in by_name if name not in wanted]:
        raise DataError(where, f"--layers leaves out {', '.join(missing)}; all layers must be named")
    if len(set(wanted)) < len(wanted):
        raise DataError(where, "--layers names a layer twice")
    order = [by_name[name] for name in wanted]
    for a, b in pairwise(order):
        if not chains(a, 1, b):
            raise DataError(where, f"layer '{b.name}' {_shape(b)} does not fit behind '{a.name}' {_shape(a)}")
    return order


def chains(before: Module | None, position: int, module: Module) -> bool:
    """Return whether a layer can read what the layer before it gives, whatever its position.

    A convolution stands first or behind a convolution. A dense layer behind a convolution reads one number of each
    channel (global average pooling), or all pixels of each channel (a flattened map).
    """
    shape = module.weight_shape
    if before is None:
        return True
    given = before.weight_shape[0]
    if len(before.weight_shape) == 4 and len(shape) == 2:
        pixels, rest = divmod(shape[1], given)
        return rest == 0 and pixels > 0
    return len(before.weight_shape) == len(shape) and shape[1] == given


def _at_positions(expected: Sequence[Shape]) -> Fits:
    def fits(before: Module | None, position: int, module: Module) -> bool:
        return same_weight(module.weight_shape, expected[position])

    return fits


def same_weight(found: Shape, expected: Shape) -> bool:
    """Return whether a weight has the expected shape, or is the same weight on a flattened map."""
    flat = (expected[0], expected[1] * expected[2] * expected[3]) if len(expected) == 4 else None
    return found in (expected, flat)


class _Search:
    """A search for the orders that fit, which gives up after a bounded number of steps."""

    def __init__(self, layers: Sequence[Module], fits: Fits) -> None:
        self._layers, self._fits = layers, fits
        self._earlier = _numbered_before(layers)
        self._steps = 0

    @property
    def given_up(self) -> bool:
        return self._steps > _MOST_STEPS

    def orders(self) -> Iterator[list[Module]]:
        """Yield the orders that fit, those first that are nearest to the order of the layers that were given."""
        return self._extend([], tuple(range(len(self._layers))))

    def _extend(self, order: list[Module], rest: tuple[int, ...]) -> Iterator[list[Module]]:
        self._steps += 1
        if not rest:
            yield order
        waiting = set(rest)
        for i in rest:
            if self.given_up:
                return
            last = order[-1] if order else None
            if not self._earlier[i] & waiting and self._fits(last, len(order), self._layers[i]):
                yield from self._extend([*order, self._layers[i]], tuple(j for j in rest if j != i))


def _numbered_before(layers: Sequence[Module]) -> list[set[int]]:
    """Return for each layer those that stand before it because their names differ in one number only, a smaller one."""
    families: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for i, module in enumerate(layers):
        for number in re.finditer(r"[0-9]{1,9}", module.name):
            around = (module.name[: number.start()], module.name[number.end() :])
            families.setdefault(around, []).append((int(number[0]), i))
    earlier: list[set[int]] = [set() for _ in layers]
    for family in families.values():
        for (_, i), (_, j) in pairwise(sorted(family)):
            earlier[j].add(i)
    return earlier


def _misfit(layers: Sequence[Module], where: str, expected: Sequence[Shape] | None) -> DataError:
    if expected is None:
        found = ", ".join(f"{module.name} {_shape(module)}" for module in layers)
        return DataError(where, f"its layers form no chain, in which each reads what the one before gives: {found}")
    for module, shape in zip(layers, expected, strict=True):
        if not same_weight(module.weight_shape, shape):
            return DataError(f"{where}:{module.tensors['weight']}", f"shape {module.weight_shape}, expected {shape}")
    return DataError(where, "the numbers in the names of its layers contradict their shapes; say --layers")


def _shape(module: Module) -> str:
    return _text(module.weight_shape)


def _text(shape: Shape) -> str:
    return "x".join(map(str, shape))
