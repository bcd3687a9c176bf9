"""The proof that networks with other weights compute the same functions as their sources."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mnfn_cli.errors import NumericError, UsageError
from mnfn_cli.storage.tensors import map_tensors
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.probes import (
    REAL,
    TOLERANCE,
    compare_outputs,
    input_shape,
    network_outputs,
    output_difference,
    proof_inputs,
    some_pixels,
)
from mnfn_cli.zoo.store import Zoo

if TYPE_CHECKING:
    import polars as pl

KEPT_OUTPUTS = 2**23
"""The largest number of outputs of the source's networks that are kept for the next copy, 64 MiB in float64."""

CERTAIN = 0.1
"""The part of the tolerance up to which float32 decides: far more than what rounding does to the outputs of most
networks, and far less than the tolerance. All others run in float64."""


def overflowed(networks: WeightSpaceFeatures) -> Tensor:
    """Return which networks hold a number that is not finite, ``(networks,)``, on the CPU."""
    # The sum of finite numbers is hardly ever infinite; only then each of them is looked at.
    if all(tensor.sum().isfinite() for tensor in networks.tensors()):
        return torch.zeros(networks.batch, dtype=torch.bool)
    finite = torch.stack([tensor.flatten(1).isfinite().all(dim=1) for tensor in networks.tensors()])
    return ~finite.all(dim=0).cpu()


class SourceFunctions:
    """What the networks of a zoo compute on some inputs, as far as that is kept in memory from one copy to the next.

    Args:
        spec: the weight space of the networks.
        inputs: the inputs on which networks are compared, ``(inputs, *input shape)``.
        again: whether the same networks are compared once more, so that it pays to keep anything.
    """

    def __init__(self, spec: NetworkSpec, inputs: Tensor, again: bool) -> None:
        self._spec, self._inputs = spec, inputs
        self._kept: dict[int, Tensor] = {}
        self._room = KEPT_OUTPUTS if again else 0

    def compare(self, start: int, before: WeightSpaceFeatures, after: WeightSpaceFeatures) -> tuple[Tensor, Tensor]:
        """Compare networks with those of the zoo from row ``start`` on, ``before``.

        Networks of less than 64 bits run in float32 first. Where that finds a difference near the tolerance, or an
        output that hardly changes, they run again in float64, whose answer counts.

        Returns:
            the largest relative error of each network, in float64, and whether its output is constant, on the CPU.
        """
        dtype = torch.promote_types(before.dtype, torch.float32)
        f = self._kept.get(start)
        if f is None:
            f = network_outputs(self._spec, before, [self._inputs], dtype)
            if f.numel() <= self._room:
                self._kept[start] = f
                self._room -= f.numel()
        g = f if after is before else network_outputs(self._spec, after, [self._inputs], dtype)
        found = output_difference(f, g)
        relative, constant = found.relative.double().cpu(), found.constant.cpu()
        doubtful = ((relative > CERTAIN * TOLERANCE[before.dtype]) | constant).nonzero()[:, 0]
        if dtype != torch.float64 and len(doubtful):
            rows = doubtful.to(before.device)
            exact = compare_outputs(self._spec, before.select(rows), after.select(rows), [self._inputs])
            relative[doubtful], constant[doubtful] = exact.relative.cpu(), exact.constant.cpu()
        return relative, constant


def inputs_of_proof(zoo: Zoo, seed: int, device: torch.device) -> Tensor:
    """Return inputs to compare networks on: some real ones if the zoo holds them, and random ones."""
    pictures = zoo.path / "images.safetensors"
    real = map_tensors(pictures).get("inputs") if pictures.exists() else None
    if "size" in (facts := zoo.record.fit):
        real = some_pixels(facts["size"], REAL)
    shape = input_shape(zoo.spec) if real is None else real.shape[1:]
    if shape is None:
        raise UsageError("--no-verify", f"no size of pictures is known that the networks of {zoo.path} read; add it")
    return proof_inputs(shape, real, seed).to(device)


@dataclass(frozen=True)
class Proof:
    """What is known of some networks, by the rows of the new table.

    Args:
        rows: the rows.
        overflowed: which networks hold a number that is not finite, ``(rows,)``.
        errors, constant: what the comparison with their sources found, ``(rows,)``; None if they were not compared.
        tolerance: the largest error that rounding may cause.
    """

    rows: NDArray[np.int64]
    overflowed: Tensor
    errors: Tensor | None = None
    constant: Tensor | None = None
    tolerance: float = 0.0


class Proofs:
    """The proofs of all networks of the new zoo, in its order.

    They lie in two arrays: many small tensors would keep apart the memory that is freed between them.

    Args:
        networks: the number of networks of the new zoo.
    """

    def __init__(self, networks: int) -> None:
        self.errors, self.constant = np.zeros(networks), np.zeros(networks, dtype=bool)
        self._changed: dict[int, float] = {}
        self._overflowed: list[int] = []

    def add(self, proof: Proof) -> None:
        """Add what is known of some networks."""
        self._overflowed += proof.rows[proof.overflowed.numpy()].tolist()
        if proof.errors is None or proof.constant is None:
            return
        self.errors[proof.rows], self.constant[proof.rows] = proof.errors.numpy(), proof.constant.numpy()
        too_far = proof.rows[self.errors[proof.rows] > proof.tolerance]
        self._changed |= dict.fromkeys(too_far.tolist(), proof.tolerance)

    def require_finite(self, table: "pl.DataFrame", where: Path) -> None:
        """Raise NumericError if a number of a network, by its row in the new table, is not finite."""
        if self._overflowed:
            problem = "a moved weight is too large for the dtype of the zoo; take factors nearer to 1 (--scale)"
            raise NumericError.together(
                NumericError(f"{where}:{table['id'][row]}", problem) for row in sorted(self._overflowed)
            )

    def onto(self, table: "pl.DataFrame", where: Path) -> "pl.DataFrame":
        """Return the new table with the columns of the proofs; raises NumericError if a function changed."""
        import polars as pl

        if self._changed:
            raise NumericError.together(
                NumericError(
                    f"{where}:{table['id'][row]}",
                    f"function changed: max |f - g| / max |f| = {self.errors[row]:.1e}, more than {tolerance:g}",
                )
                for row, tolerance in sorted(self._changed.items())
            )
        return table.with_columns(pl.Series("relative_error", self.errors), pl.Series("constant", self.constant))
