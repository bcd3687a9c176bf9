"""Compare two networks: whether they compute the same function, and whether they are the same up to the group."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mnfn_cli.errors import NumericError
from mnfn_cli.symmetry import GROUP_NAMES, Group
from mnfn_cli.weightspace.alignment import Alignment, align
from mnfn_cli.weightspace.rendering import pixel_grid
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.weightspace.spec_checks import is_inr
from mnfn_cli.zoo.pair import Pair
from mnfn_cli.zoo.probes import TOLERANCE, OutputDifference, compare_outputs, input_shape, random_inputs

GRID = (32, 32)
"""The (height, width) in pixels of the grid on which INRs are compared."""


@dataclass(frozen=True)
class LayerMove:
    """How the alignment moves the neurons of one hidden layer.

    Args:
        group: the group of the layer.
        permutation: the place to which each neuron of A moves.
        factors: the factor of the neuron that comes to each place.
        shifts: its shift in units of ``pi / omega``, for a sine; None for others.
    """

    group: Group
    permutation: list[int]
    factors: list[float]
    shifts: list[int] | None = None

    @property
    def moved(self) -> int:
        """The number of neurons that change their place."""
        return sum(place != neuron for neuron, place in enumerate(self.permutation))

    @property
    def flipped(self) -> int:
        """The number of neurons that change their sign."""
        return sum(factor < 0 for factor in self.factors)

    def to_json(self) -> dict[str, Any]:
        """Return the move as a JSON object, with the key ``shifts`` for a sine alone."""
        document = {"group": self.group, "permutation": self.permutation, "factors": self.factors}
        return document if self.shifts is None else document | {"shifts": self.shifts}


@dataclass(frozen=True)
class Comparison:
    """The result of ``compare_pair`` for networks A and B.

    Args:
        spec: their weight space.
        alignment: the group element that takes A nearest to B, and the distances, of a batch of one pair.
        outputs: how much the outputs differ; None if they were not compared.
        inputs: the number of inputs on which they were compared.
        tolerance: the largest relative difference of outputs that rounding explains.
        inconclusive: why the outputs do not show whether the functions are the same; empty if they do.
    """

    spec: NetworkSpec
    alignment: Alignment
    outputs: OutputDifference | None
    inputs: int
    tolerance: float
    inconclusive: str

    @property
    def twins(self) -> bool:
        """Whether A and B are the same network up to the group."""
        return bool(self.alignment.twins[0])

    @property
    def same_function(self) -> bool | None:
        """Whether the outputs agree on all inputs, up to rounding; None if that is inconclusive."""
        if self.outputs is None or self.inconclusive:
            return None
        return float(self.outputs.relative[0]) <= self.tolerance

    @property
    def layers(self) -> list[LayerMove]:
        """How the alignment moves the neurons of every hidden layer."""
        element, groups = self.alignment.element, self.spec.groups
        shifts = [element.shifts[i][0].tolist() if periodic else None for i, periodic in enumerate(self.spec.periodic)]
        return [
            LayerMove(group, permutation[0].tolist(), factors[0].tolist(), shift)
            for group, permutation, factors, shift in zip(
                groups, element.permutations, element.scales, shifts, strict=True
            )
        ]

    @property
    def verdict(self) -> str:
        """What was found, in one sentence."""
        group = f"permutations and {GROUP_NAMES[self.spec.group]}"
        group = GROUP_NAMES["permutation"] if self.spec.group == "permutation" else group
        group = "permutations, sign flips and shifts" if any(self.spec.periodic) else group
        if float(self.alignment.before[0]) == 0:
            return "A and B hold the same weights"
        if self.twins:
            return f"A and B are the same network up to {group}"
        function = {
            True: "compute the same function on all inputs that were tried",
            False: "compute different functions",
            None: f"cannot be said to compute the same function or not ({self.inconclusive})",
        }[self.same_function]
        return f"A and B are not the same network up to {group}; they {function}"

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as a JSON object, with the whole group element."""
        outputs: dict[str, Any] = {"same": self.same_function, "inputs": self.inputs, "tolerance": self.tolerance}
        if self.outputs is not None:
            outputs |= {
                "largest_difference": float(self.outputs.absolute[0]),
                "relative_difference": float(self.outputs.relative[0]),
                "constant": bool(self.outputs.constant[0]),
            }
        if self.inconclusive:
            outputs["inconclusive"] = self.inconclusive
        return {
            "verdict": self.verdict,
            "twins": self.twins,
            "spec": self.spec.to_json(),
            "outputs": outputs,
            "distance": {
                "before": float(self.alignment.before[0]),
                "after": float(self.alignment.after[0]),
                "canonical_before": float(self.alignment.residual_before[0]),
                "canonical_after": float(self.alignment.residual[0]),
                "tolerance": self.alignment.tolerance,
            },
            "layers": [layer.to_json() for layer in self.layers],
        }


def compare_pair(pair: Pair) -> Comparison:
    """Compare the outputs of two networks, and find the group element that takes one nearest to the other.

    The outputs are compared in float64 on random inputs, for INRs also on a grid of pixels.

    Raises:
        NumericError: the weights are too large to be brought into canonical form in float64.
    """
    shape = input_shape(pair.spec)
    outputs, probes, inconclusive = None, [], ""
    if not pair.complete:
        inconclusive = "nobody says stride, padding and pooling"
    elif shape is None:
        inconclusive = "no inputs of that shape"
    else:
        probes = [random_inputs(shape)]
        if is_inr(pair.spec):
            probes.append(pixel_grid(GRID, dtype=torch.float64))
        outputs = compare_outputs(pair.spec, pair.a, pair.b, probes)
        if not torch.isfinite(outputs.absolute).all():
            inconclusive = "outputs are not finite"
    dtypes = {tensor.dtype for features in (pair.a, pair.b) for tensor in features.tensors()}
    tolerance = max(TOLERANCE[dtype] for dtype in dtypes)
    return Comparison(
        pair.spec, align(pair.spec, pair.a, pair.b), outputs, sum(map(len, probes)), tolerance, inconclusive
    )


def write_aligned(pair: Pair, alignment: Alignment, target: Path) -> None:
    """Write A, moved by the alignment as near to B as it comes, with the names, dtypes and metadata of its own file.

    Raises:
        NumericError: a weight exceeds the range of its dtype.
        StorageError: the file cannot be written.
    """
    moved = alignment.element.act(pair.a.to(dtype=torch.float64))
    limit = min(torch.finfo(dtype).max for dtype in pair.file_a.dtypes.values() if dtype.is_floating_point)
    if any(float(tensor.abs().max()) > limit for tensor in moved.tensors()):
        raise NumericError(target, f"a weight exceeds {limit:g}, the range of the dtype of {pair.file_a.path}")
    pair.file_a.write(moved, target)
