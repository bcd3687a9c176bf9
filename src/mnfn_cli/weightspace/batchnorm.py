"""Fold batch normalisation into the layer before it, and write it back as an identity."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mnfn_cli.errors import DataError
from mnfn_cli.weightspace.naming import Module, UnsettledError, bare_name

if TYPE_CHECKING:
    from torch import Tensor

EPSILON = 1e-5
"""What torch adds to the variance unless told otherwise; a file does not record it."""


@dataclass(frozen=True)
class BatchNormNames:
    """The tensors of a batch normalisation in evaluation mode.

    Args:
        name: the name that its tensors share.
        tensors: the full name of each tensor by ``weight``, ``bias``, ``running_mean``, ``running_var`` and
            ``num_batches_tracked``; the first two are missing without learned factors. The last one is not used.
    """

    name: str
    tensors: Mapping[str, str]

    def fold(self, state_dict: "Mapping[str, Tensor]", weight: "Tensor", bias: "Tensor") -> "list[Tensor]":
        """Return the weight and the bias of the one layer that equals the layer and the batch normalisation behind it.

        The layer gives ``a = W x + b``, and the normalisation ``g (a - m) / sqrt(v + epsilon) + c``. Together they are
        a layer with the weight ``s W`` and the bias ``s (b - m) + c``, where ``s = g / sqrt(v + epsilon)``. The numbers
        are computed in float64 and rounded once. Zero padding stays what it is, since it belongs to ``x``. All tensors
        may have the same axes for networks in front.
        """
        held = {kind: state_dict[name].double() for kind, name in self.tensors.items()}
        scale = (held["running_var"] + EPSILON).rsqrt() * held.get("weight", 1.0)
        shifted = scale * (bias.double() - held["running_mean"]) + held.get("bias", 0.0)
        scaled = weight.double() * scale.reshape(*scale.shape, *(1,) * (weight.dim() - scale.dim()))
        return [scaled.to(weight.dtype), shifted.to(bias.dtype)]

    def identity(self, shift: "Tensor") -> "dict[str, Tensor]":
        """Return the tensors of a batch normalisation that adds ``shift`` to every channel and does nothing else."""
        zeros, ones = shift.new_zeros(shift.shape), shift.new_ones(shift.shape)
        plain = {
            "weight": ones,
            "bias": shift,
            "running_mean": zeros if "bias" in self.tensors else -shift,
            "running_var": ones - EPSILON,
            "num_batches_tracked": shift.new_zeros(()).long(),
        }
        return {name: plain[kind] for kind, name in self.tensors.items()}


def assign_batchnorms(
    layers: Sequence[Module], norms: Sequence[Module], named: Mapping[str, str], where: str
) -> dict[str, Module]:
    """Find the layer that each batch normalisation follows.

    A normalisation follows a layer of its own width. If there are as many normalisations of a width as layers, they
    follow them in order, provided that their names have an order too: they differ in one number only.

    Args:
        layers: the layers, in the order in which the network applies them.
        norms: the batch normalisations, in the natural order of their names.
        named: the names of normalisations by the names of their layers, where the user says them.
        where: the name of the file for errors.

    Returns:
        normalisations by the names of the layers that they follow.

    Raises:
        DataError: the user names a normalisation that is not there or has another width than its layer, or leaves one
            out; or nobody says which layer one follows, and the widths do not tell.
    """
    if named:
        return _as_named(layers, norms, named, where)
    assigned: dict[str, Module] = {}
    for width in sorted({_width(norm) for norm in norms}):
        hosts = [layer for layer in layers if layer.weight_shape[0] == width]
        guests = [norm for norm in norms if _width(norm) == width]
        if len(guests) != len(hosts) and hosts and hosts[-1] is layers[-1]:
            hosts = hosts[:-1]  # nothing follows the last layer of most networks
        if len(guests) != len(hosts) or (len(guests) > 1 and not _numbered(guests)):
            names = ", ".join(norm.name for norm in guests)
            raise UnsettledError(
                where,
                f"found {names}: nothing tells which of the layers of width {width} each batch normalisation follows; "
                "say it with --layers, as in conv1+bn1,conv2+bn2,fc",
            )
        assigned |= {layer.name: norm for layer, norm in zip(hosts, guests, strict=True)}
    return assigned


def _as_named(
    layers: Sequence[Module], norms: Sequence[Module], named: Mapping[str, str], where: str
) -> dict[str, Module]:
    by_name = {norm.name: norm for norm in norms}
    wanted = {layer: bare_name(norm) for layer, norm in named.items()}
    for norm in wanted.values():
        if norm not in by_name:
            raise DataError(where, f"has no batch normalisation '{norm}'; it has {', '.join(by_name) or 'none'}")
    if sorted(wanted.values()) != sorted(by_name):
        raise DataError(where, "--layers must name every batch normalisation once, or none")
    widths_of_layers = {layer.name: layer.weight_shape[0] for layer in layers}
    for name, norm in wanted.items():
        if (width := _width(by_name[norm])) != widths_of_layers[name]:
            widths = f"'{norm}' of width {width} cannot follow '{name}' of {widths_of_layers[name]}"
            raise DataError(where, f"batch normalisation {widths}; say --layers otherwise")
    return {layer: by_name[norm] for layer, norm in wanted.items()}


def _width(norm: Module) -> int:
    return norm.shapes["running_mean"][0]


def _numbered(norms: Sequence[Module]) -> bool:
    digits = str.maketrans("0123456789", "##########")
    return len({norm.name.translate(digits).replace("##", "#") for norm in norms}) == 1
