"""One pass over the entries of a weight: a linear map, vectors spread along rows and columns, ReLU, dropout and sums.

The entries of ``W(i)`` are most of what NP and HNP layers compute, and there are many more numbers than a cache holds.
Computed one after another, each of these steps reads and writes all of them from memory. Here a few networks at a time
go through all steps, forward and backward, so that only what is read and what is kept crosses the memory.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from mnfn_cli.runtime.precision import for_products
from mnfn_cli.weightspace.features import WeightSpaceFeatures

NUMBERS_TOGETHER = 2**20
"""The numbers of a tensor that go through all steps together."""


class SummedFeatures(WeightSpaceFeatures):
    """Features that come with the sums of their weights, which the layer behind needs.

    What ``map`` and the other methods of ``WeightSpaceFeatures`` return comes without.

    Args:
        weights, biases: the tensors, as of ``WeightSpaceFeatures``.
        over_outputs: the sums of each weight over its output axis, ``(batch, in, numbers)``, where ``numbers`` is
            channels times kernel entries.
        over_inputs: the sums of each weight over its input axis, ``(batch, out, numbers)``.
    """

    __slots__ = ("over_inputs", "over_outputs")

    def __init__(
        self,
        weights: Sequence[Tensor],
        biases: Sequence[Tensor],
        over_outputs: Sequence[Tensor],
        over_inputs: Sequence[Tensor],
    ) -> None:
        super().__init__(weights, biases)
        self.over_outputs = tuple(over_outputs)
        self.over_inputs = tuple(over_inputs)

    def replaced(self, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> "SummedFeatures":
        """Return features with other tensors. Only weights that are not those of before are summed."""
        sums = [
            (outputs, inputs) if new is old else with_sums(new.movedim(1, 3).flatten(3))[1:]
            for new, old, outputs, inputs in zip(
                weights, self.weights, self.over_outputs, self.over_inputs, strict=True
            )
        ]
        return SummedFeatures(weights, biases, *zip(*sums, strict=True))


@dataclass(frozen=True)
class SpreadMap:
    """The map ``y[j, k] = entry(values[j, k]) + at_outputs[j] + at_inputs[k]``, not computed yet.

    Args:
        entry: a linear map from ``n`` to ``e`` numbers.
        values: the entries, ``(batch, out, in, n)``.
        at_outputs: a vector for each output neuron ``j``, ``(batch, out, e)``.
        at_inputs: a vector for each input neuron ``k``, ``(batch, in, e)``.
    """

    entry: nn.Linear
    values: Tensor
    at_outputs: Tensor
    at_inputs: Tensor

    def compute(self) -> Tensor:
        """Return ``y``, ``(batch, out, in, e)``.

        The matrix product adds to the spread vectors. Adding them in place to what ``entry`` returns, a view, would
        make autograd copy the whole gradient twice for each of them.
        """
        spread = (self.at_outputs + self.entry.bias)[:, :, None] + self.at_inputs[:, None]
        return torch.addmm(spread.flatten(0, 2), self.values.flatten(0, 2), self.entry.weight.t()).view(spread.shape)

    def rectify(self, factors: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Return ``relu(y)`` times ``factors`` and its sums.

        Args:
            factors: factors that are not negative, ``(batch, e)``, as dropout of channels draws them; None for 1.

        Returns:
            the result, ``(batch, out, in, e)``, its sums over output neurons, ``(batch, in, e)``, and over input
            neurons, ``(batch, out, e)``.
        """
        if torch.compiler.is_exporting():
            return with_sums(scaled(self.compute().relu(), factors))
        at_outputs = self.at_outputs + self.entry.bias
        tensors = for_products(self.values, self.entry.weight, at_outputs, self.at_inputs)
        summed: tuple[Tensor, Tensor, Tensor] = _RectifiedMap.apply(*tensors, factors)
        return summed


def with_sums(values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return ``(batch, out, in, numbers)`` and its sums over the output axis and over the input axis."""
    return values, values.sum(dim=1), values.sum(dim=2)


def scaled(values: Tensor, factors: Tensor | None) -> Tensor:
    """Return ``(batch, ..., numbers)`` times ``factors``, ``(batch, numbers)``; None for 1."""
    return values if factors is None else values * factors.view(len(factors), *(1,) * (values.dim() - 2), -1)


class _RectifiedMap(torch.autograd.Function):
    """``SpreadMap.rectify``, a few networks at a time.

    With ``t`` the gradient of ``y``, which is that of the result and of both sums wherever the result is positive, the
    matrix has the gradient ``sum t values^T``, the values ``t matrix``, and each spread vector a sum of ``t``.
    """

    @staticmethod
    def forward(
        ctx: Any, values: Tensor, matrix: Tensor, at_outputs: Tensor, at_inputs: Tensor, factors: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        values = values.contiguous()
        batch, n_out, n_in, _ = values.shape
        exact = torch.promote_types(values.dtype, torch.float32)
        result = values.new_empty(batch, n_out, n_in, len(matrix))
        over_outputs = values.new_empty(batch, n_in, len(matrix), dtype=exact)
        over_inputs = values.new_empty(batch, n_out, len(matrix), dtype=exact)
        for some in _chunks(values, result):
            y = result[some]
            torch.add(at_outputs[some, :, None], at_inputs[some, None], out=y)
            y.flatten(0, 2).addmm_(values[some].flatten(0, 2), matrix.t()).relu_()
            if factors is not None:
                y.mul_(factors[some, None, None])
            torch.sum(y, 1, dtype=exact, out=over_outputs[some])
            torch.sum(y, 2, dtype=exact, out=over_inputs[some])
        ctx.save_for_backward(values, matrix, result, factors)
        ctx.set_materialize_grads(False)
        return result, over_outputs, over_inputs

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, of_result: Tensor | None, of_outputs: Tensor | None, of_inputs: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        values, matrix, result, factors = ctx.saved_tensors
        batch, n_out, n_in, e = result.shape
        wants_values, wants_matrix, *_ = ctx.needs_input_grad
        of_values = torch.empty_like(values) if wants_values else None
        of_matrix = torch.zeros_like(matrix) if wants_matrix else None
        at_outputs, at_inputs = values.new_empty(batch, n_out, e), values.new_empty(batch, n_in, e)
        of_outputs = torch.zeros_like(at_inputs) if of_outputs is None else of_outputs
        of_inputs = torch.zeros_like(at_outputs) if of_inputs is None else of_inputs
        chunks = list(_chunks(values, result))
        whole = values.new_empty(chunks[0].stop, n_out, n_in, e)
        for some in chunks:
            y = result[some]
            t = whole[: len(y)]
            torch.add(of_inputs[some, :, None], of_outputs[some, None], out=t)
            if of_result is not None:
                t.add_(of_result[some])
            torch.ops.aten.threshold_backward.grad_input(t, y, 0, grad_input=t)
            if factors is not None:
                t.mul_(factors[some, None, None])
            torch.sum(t, 2, out=at_outputs[some])
            torch.sum(t, 1, out=at_inputs[some])
            rows = t.flatten(0, 2)
            if of_matrix is not None:
                of_matrix.addmm_(rows.t(), values[some].flatten(0, 2))
            if of_values is not None:
                torch.mm(rows, matrix, out=of_values[some].flatten(0, 2))
        return of_values, of_matrix, at_outputs, at_inputs, None


def _chunks(values: Tensor, result: Tensor) -> Iterator[slice]:
    """Yield the networks that are computed together, on a CPU those whose entries stay in the cache.

    In bfloat16 all are: the gradient of the matrix would be rounded after each chunk.
    """
    batch, n_out, n_in, _ = result.shape
    numbers = max(values.shape[3], result.shape[3]) * n_out * n_in
    chunked = values.device.type == "cpu" and values.dtype in (torch.float32, torch.float64)
    together = max(1, NUMBERS_TOGETHER // numbers) if chunked else batch
    for start in range(0, batch, together):
        yield slice(start, min(start + together, batch))
