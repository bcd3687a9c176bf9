"""Check that the fields of a network specification fit each other, and that pictures fit a network."""

from math import isfinite, prod
from typing import TYPE_CHECKING

from mnfn_cli.errors import UsageError
from mnfn_cli.symmetry import GROUP_OF_ACTIVATION
from mnfn_cli.weightspace.spec_text import size_text

if TYPE_CHECKING:
    from mnfn_cli.weightspace.spec import NetworkSpec


def check_layers(spec: "NetworkSpec") -> None:
    """Raise ``UsageError`` unless the layers, their steps and their poolings are those of a network."""
    if spec.num_layers < 2:
        raise UsageError("network spec", f"{spec.num_layers} layers; a weight space needs at least 2")
    if spec.activation not in GROUP_OF_ACTIVATION:
        known = ", ".join(GROUP_OF_ACTIVATION)
        raise UsageError("network spec", f"unknown activation '{spec.activation}'; known: {known}")
    if not len(spec.kernels) == len(spec.strides) == len(spec.paddings) <= spec.num_layers:
        raise UsageError("network spec", "kernels, strides and paddings need one entry for each convolution")
    sizes = [*spec.widths, *(size for pair in (*spec.kernels, *spec.strides) for size in pair)]
    if min(sizes) < 1 or any(size < 0 for pair in spec.paddings for size in pair):
        raise UsageError("network spec", "widths, kernels and strides must be positive, paddings not negative")
    if spec.pools and len(spec.pools) != len(spec.kernels):
        raise UsageError("network spec", f"{len(spec.pools)} poolings for {len(spec.kernels)} convolutions")
    if spec.flatten and (not spec.kernels or spec.strides[-1] != (1, 1) or spec.paddings[-1] != (0, 0)):
        raise UsageError("network spec", "flatten needs a convolution of stride 1 and padding 0 that covers the map")


def check_inputs(spec: "NetworkSpec") -> None:
    """Raise ``UsageError`` unless the input size and normalisation and the numbers on the way fit the layers."""
    if (size := spec.input_size) is not None:
        if min(size, default=0) < 1 or len(size) != (2 if spec.kernels else 3):
            wanted = "(height, width)" if spec.kernels else "(channels, height, width)"
            raise UsageError("network spec", f"input size {size}; it is {wanted}")
        if not spec.kernels and prod(size) != spec.widths[0]:
            raise UsageError("network spec", f"pictures {size_text(size)} are no {spec.widths[0]} inputs")
        if spec.kernels:
            check_input_size(spec, (size[0], size[1]))
    channels = spec.widths[0] if spec.kernels else (spec.input_size or spec.widths)[0]
    for name, values in (("mean", spec.input_mean), ("std", spec.input_std)):
        if len(values) not in (0, 1, channels) or not all(map(isfinite, values)):
            raise UsageError("network spec", f"input {name} {values}; it is one number, or one for each channel")
    if any(value <= 0 for value in spec.input_std):
        raise UsageError("network spec", "the deviations of the input must be positive")
    if not isfinite(spec.output_offset) or not isfinite(spec.omega) or spec.omega == 0:
        raise UsageError("network spec", "omega and the output offset must be finite, and omega not 0")


def check_input_size(spec: "NetworkSpec", image_size: tuple[int, int]) -> None:
    """Raise ``UsageError`` unless a network with convolutions can read pictures of this (height, width)."""
    sizes = spec.feature_map_sizes(image_size)
    if min(map(min, sizes)) < 1:
        raise UsageError("inputs", f"{size_text(image_size)} pictures are too small for {spec}")
    if spec.flatten and sizes[-1] != (1, 1):
        before = sizes[-2] if len(sizes) > 1 else image_size
        problem = f"{size_text(image_size)} pictures give maps of {size_text(before)}; the dense layer after the"
        raise UsageError("inputs", f"{problem} convolutions reads {size_text(spec.kernels[-1])}")


def is_inr(spec: "NetworkSpec") -> bool:
    """Return whether networks are INRs of pictures: SIRENs from two coordinates to one or three colour values."""
    return spec.activation == "sin" and not spec.kernels and spec.widths[0] == 2 and spec.widths[-1] in (1, 3)
