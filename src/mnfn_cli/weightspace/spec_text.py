"""Network specifications in words, for people."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mnfn_cli.weightspace.spec import NetworkSpec


def describe(spec: "NetworkSpec") -> str:
    """Return everything that a specification says, without what is usual: strides of 1, paddings of 0, no pooling."""
    parts = [_shapes(spec)]
    if {*spec.strides} - {(1, 1)}:
        parts.append(f"strides {_sizes(spec.strides)}")
    if {*spec.paddings} - {(0, 0)}:
        parts.append(f"paddings {_sizes(spec.paddings)}")
    if spec.pools:
        parts.append(f"pooling {', '.join(str(pool or 'none') for pool in spec.pools)}")
    if spec.flatten:
        parts.append("flattened")
    if spec.input_size:
        parts.append(f"pictures {size_text(spec.input_size)}")
    if spec.input_mean or spec.input_std:
        parts.append("normalised inputs")
    if spec.output_offset:
        parts.append(f"output + {spec.output_offset:g}")
    return ", ".join([*parts, _activation(spec)])


def describe_shapes(spec: "NetworkSpec") -> str:
    """Return the text that older files hold, which names neither strides nor paddings."""
    return f"{_shapes(spec)}, {_activation(spec)}"


def size_text(lengths: Sequence[int]) -> str:
    """Return sizes with crosses between them.

    >>> size_text((3, 16, 16))
    '3x16x16'
    """
    return "x".join(map(str, lengths))


def _shapes(spec: "NetworkSpec") -> str:
    widths = " -> ".join(map(str, spec.widths))
    return f"{widths}, kernels {_sizes(spec.kernels)}" if spec.kernels else widths


def _activation(spec: "NetworkSpec") -> str:
    return f"{spec.activation} (omega {spec.omega:g})" if spec.activation == "sin" else spec.activation


def _sizes(pairs: Sequence[Sequence[int]]) -> str:
    return ", ".join(map(size_text, pairs))
