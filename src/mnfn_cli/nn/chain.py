"""Linear maps one after another, each followed by an activation, as one function with a gradient of its own."""

from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from mnfn_cli.nn.activation import FUNCTIONS

Maps = Sequence[tuple[Tensor, Tensor | None]]
"""For each linear map its matrix ``(outputs, inputs)`` and its constant ``(outputs,)`` or None."""


def _relu_gradient(gradient: Tensor, output: Tensor, into: Tensor) -> Tensor:
    return torch.ops.aten.threshold_backward(gradient, output, 0, grad_input=into)  # type: ignore[no-any-return]


def _tanh_gradient(gradient: Tensor, output: Tensor, into: Tensor) -> Tensor:
    return torch.ops.aten.tanh_backward(gradient, output, grad_input=into)  # type: ignore[no-any-return]


_FROM_OUTPUT: Mapping[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor, Tensor, Tensor], Tensor]]] = {
    "relu": (torch.relu_, _relu_gradient),
    "tanh": (torch.tanh_, _tanh_gradient),
}
"""The functions whose gradient is computed from their output: the function in place, and its gradient."""


def chain(x: Tensor, maps: Maps, functions: Sequence[str]) -> Tensor:
    """Return ``x`` after all linear maps, each followed by an activation; after the last one there may be none.

    Activations whose gradient is computed from their output overwrite their input, and backwards the gradient. So a map
    leaves one tensor in memory, and writes one backwards. Only first derivatives exist then.

    Args:
        x: a tensor ``(batch, positions, inputs)``.
        maps: the linear maps.
        functions: the activations, names in ``nn.activation.FUNCTIONS``.
    """
    rows = x.flatten(0, 1)
    if all(name in _FROM_OUTPUT for name in functions):
        rows = _Chain.apply(rows, functions, *(tensor for each in maps for tensor in each))
    else:
        for each, name in zip_longest(maps, functions):
            rows = F.linear(rows, *each)
            rows = FUNCTIONS[name](rows) if name else rows
    return rows.unflatten(0, x.shape[:2])


class _Chain(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, functions: Sequence[str], *parameters: Tensor | None) -> Tensor:
        weights, constants = parameters[0::2], parameters[1::2]
        outputs = [x]
        for weight, constant, name in zip_longest(weights, constants, functions):
            y = F.linear(outputs[-1], weight, constant)
            outputs.append(_FROM_OUTPUT[name][0](y) if name else y)
        ctx.functions, ctx.with_constants = functions, [constant is not None for constant in constants]
        ctx.save_for_backward(*weights, *outputs)
        return outputs[-1]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        count = len(ctx.with_constants)
        weights, outputs = ctx.saved_tensors[:count], ctx.saved_tensors[count:]
        found: list[Tensor | None] = []
        own = False  # the gradient that autograd hands over is not to be overwritten
        for number in reversed(range(count)):
            if number < len(ctx.functions):
                into = gradient if own else torch.empty_like(gradient)
                gradient = _FROM_OUTPUT[ctx.functions[number]][1](gradient, outputs[number + 1], into)
            # Mixed precision casts the factors of products; the gradient has the precision of the output.
            x, weight = outputs[number].to(gradient.dtype), weights[number].to(gradient.dtype)
            found += [gradient.sum(dim=0) if ctx.with_constants[number] else None, _gradient_of_matrix(gradient, x)]
            if number > 0 or ctx.needs_input_grad[0]:
                gradient, own = gradient @ weight, True
        return gradient if ctx.needs_input_grad[0] else None, None, *reversed(found)


def _gradient_of_matrix(gradient: Tensor, x: Tensor) -> Tensor:
    """Return ``gradient^T x``. The product is up to twice as fast with the narrower factor first."""
    if x.shape[1] < gradient.shape[1]:
        return (x.t() @ gradient).t()
    return gradient.t() @ x
