"""How a checkpoint file holds a network: which tensors are which layer, in which shapes, with what folded into them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isqrt
from typing import TYPE_CHECKING

from mnfn_cli.weightspace.batchnorm import BatchNormNames, assign_batchnorms
from mnfn_cli.weightspace.layer_order import named_order, order_layers
from mnfn_cli.weightspace.naming import Module, Shape, UnsettledError, bare_name, find_modules

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class LayerNames:
    """The tensors of a file that are one layer.

    Args:
        name: the name that its tensors share.
        weight: the name of the weight.
        bias: the name of the bias; None if the layer has none, which reads as a bias of 0.
        shape: the shape of the weight in the file; ``(out, channels * height * width)`` on a flattened map.
        batchnorm: the batch normalisation that is folded into the layer; None if there is none.
    """

    name: str
    weight: str
    bias: str | None
    shape: Shape
    batchnorm: BatchNormNames | None = None

    @property
    def tensors(self) -> tuple[str, ...]:
        """The names of the layer's tensors in the file."""
        own = (self.weight,) if self.bias is None else (self.weight, self.bias)
        return own if self.batchnorm is None else (*own, *self.batchnorm.tensors.values())


@dataclass(frozen=True)
class Layout:
    """The tensors of a file, layer by layer in the order in which the network applies them."""

    layers: tuple[LayerNames, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the layers, as ``--layers`` takes them."""
        return tuple(f"{la.name}+{la.batchnorm.name}" if la.batchnorm else la.name for la in self.layers)

    @property
    def tensors(self) -> tuple[str, ...]:
        """The names of all tensors of the file, in the order of the layers."""
        return tuple(name for layer in self.layers for name in layer.tensors)

    def weight_shapes(self, where: str, map_size: tuple[int, int] | None = None) -> tuple[Shape, ...]:
        """Return the shape ``(out, in, *kernel)`` of each layer's weight in the weight space.

        A dense layer behind a convolution that reads several numbers of each channel reads a flattened map. It is a
        convolution whose kernel covers the map.

        Args:
            where: the name of the file for errors.
            map_size: the (height, width) of the map, where it is known; otherwise it must be a square.

        Raises:
            DataError: the layer does not fit ``map_size``, or the map is no square.
        """
        shapes = [layer.shape for layer in self.layers]
        for i, (before, layer) in enumerate(pairwise(self.layers), 1):
            if len(before.shape) == 4 and len(layer.shape) == 2 and layer.shape[1] > before.shape[0]:
                channels, pixels = before.shape[0], layer.shape[1] // before.shape[0]
                height, width = map_size or (isqrt(pixels), isqrt(pixels))
                if height * width != pixels:
                    seen = f"{height}x{width}" if map_size else "no square"
                    raise UnsettledError(
                        f"{where}:{layer.weight}",
                        f"reads {pixels} pixels of each channel, and the map before it is {seen}; say --input-size",
                    )
                shapes[i] = (layer.shape[0], channels, height, width)
        return tuple(shapes)

    def describes(self, shapes: Mapping[str, Shape]) -> bool:
        """Return whether a file with these tensors is laid out in this way."""
        return set(shapes) == set(self.tensors) and all(
            shapes[name] == (layer.shape if name == layer.weight else layer.shape[:1])
            for layer in self.layers
            for name in layer.tensors
            if not name.endswith("num_batches_tracked")
        )

    def read(self, state_dict: "Mapping[str, Tensor]") -> "list[Tensor]":
        """Return the tensors W(1), b(1), W(2), ... in the shapes of the file, with batch normalisations folded in.

        All tensors may have the same axes for networks in front.
        """
        found = []
        for layer in self.layers:
            weight = state_dict[layer.weight]
            neurons = weight.shape[: weight.dim() - len(layer.shape) + 1]
            bias = weight.new_zeros(neurons) if layer.bias is None else state_dict[layer.bias]
            found += [weight, bias] if layer.batchnorm is None else layer.batchnorm.fold(state_dict, weight, bias)
        return found

    def write(self, tensors: "Sequence[Tensor]") -> "dict[str, Tensor]":
        """Return a state dict with the names and the shapes of the file.

        A batch normalisation becomes an identity, except that it takes over the bias of a layer without one. A layer
        with neither keeps no bias as long as its bias is 0; otherwise the state dict has a tensor more.

        Args:
            tensors: W(1), b(1), W(2), ... of one network.
        """
        state_dict: dict[str, Tensor] = {}
        for layer, weight, bias in zip(self.layers, tensors[0::2], tensors[1::2], strict=True):
            state_dict[layer.weight] = weight.reshape(layer.shape)
            if layer.bias is not None:
                state_dict[layer.bias] = bias
            if layer.batchnorm is not None:
                state_dict |= layer.batchnorm.identity(bias if layer.bias is None else bias.new_zeros(bias.shape))
            elif layer.bias is None and bool(bias.any()):
                state_dict[layer.weight.removesuffix("weight") + "bias"] = bias
        return state_dict


@dataclass(frozen=True)
class Reading:
    """What the user says about files that their tensors do not tell.

    Args:
        layers: the names of the layers in order; a batch normalisation is added to its layer with a plus sign, as in
            ``conv1+bn1``. Empty where shapes settle the order.
        batchnorm: whether every batch normalisation directly follows its layer, before activation and pooling.

    >>> from mnfn_cli.weightspace import Reading, WeightSpaceFeatures
    >>> import torch
    >>> shapes = {"a.weight": (3, 3), "a.bias": (3,), "b.weight": (3, 3), "b.bias": (3,)}
    >>> file = {name: torch.zeros(shape) for name, shape in shapes.items()}
    >>> features = WeightSpaceFeatures.from_state_dicts([file], reading=Reading(layers=("b", "a")))
    >>> len(features)
    2
    """

    layers: tuple[str, ...] = ()
    batchnorm: bool = False


def find_layout(
    shapes: Mapping[str, Shape],
    where: str,
    expected: Sequence[Shape] | None = None,
    reading: Reading = Reading(),
) -> Layout:
    """Find which tensors of a file are which layer.

    Args:
        shapes: the shape of every tensor by its name.
        where: the name of the file for errors.
        expected: the shape of every layer's weight, in order, where the weight space is known.
        reading: what the user says about the file.

    Raises:
        DataError: a tensor belongs to no layer, the layers form no chain or have other shapes, or a batch normalisation
            is there and ``reading`` does not say where it stands.
        OrderError: several orders of the layers fit, and ``reading`` does not name one.
    """
    modules = find_modules(shapes, where)
    layers = [module for module in modules if not module.is_batchnorm]
    norms = [module for module in modules if module.is_batchnorm]
    pairs = [entry.partition("+")[::2] for entry in reading.layers]
    named = {bare_name(layer): norm for layer, norm in pairs if norm}
    if reading.layers:
        layers = named_order(layers, [name for name, _ in pairs], where)
        if expected is not None:
            order_layers_as_given(layers, where, expected)
    else:
        layers = order_layers(layers, where, expected)
    if norms and not reading.batchnorm and not named:
        raise UnsettledError(
            where,
            f"found '{norms[0].name}': weights do not tell where a batch normalisation stands; if each directly "
            "follows its layer, before activation and pooling, say --batchnorm after-layer",
        )
    assigned = assign_batchnorms(layers, norms, named, where)
    return Layout(tuple(_layer_names(layer, assigned.get(layer.name)) for layer in layers))


def order_layers_as_given(layers: Sequence[Module], where: str, expected: Sequence[Shape]) -> None:
    """Raise ``DataError`` if the layers do not have the expected shapes in the order in which they stand."""
    numbered = [Module(str(i), module.tensors, module.shapes) for i, module in enumerate(layers)]
    order_layers(numbered, where, expected)


def _layer_names(module: Module, norm: Module | None) -> LayerNames:
    return LayerNames(
        module.name,
        module.tensors["weight"],
        module.tensors.get("bias"),
        module.weight_shape,
        None if norm is None else BatchNormNames(norm.name, dict(norm.tensors)),
    )
