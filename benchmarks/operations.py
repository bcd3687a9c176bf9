"""Count the operations of a training step: what they read and write, and what they compute."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

FLOPS = {**flop_registry, torch.ops.aten.addmm_: flop_registry[torch.ops.aten.addmm]}
"""How torch counts the operations of a product; that which overwrites what it adds to is missing there."""


class Operations(TorchDispatchMode):
    """Count the operations inside the block; views are none, as they compute nothing.

    Attributes:
        bytes: for each operation the bytes of its tensors, each read or written once.
        flops: for each operation the floating-point operations of its matrix products and convolutions.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bytes: list[int] = []
        self.flops: list[int] = []

    def __torch_dispatch__(
        self, function: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run an operation and count it."""
        kwargs = kwargs or {}
        out = function(*args, **kwargs)
        if not function.is_view:
            tensors = [leaf for leaf in tree_leaves((args, kwargs, out)) if isinstance(leaf, Tensor)]
            count = FLOPS.get(function.overloadpacket)
            self.bytes.append(sum(tensor.numel() * tensor.element_size() for tensor in tensors))
            self.flops.append(count(*args, **kwargs, out_val=out) if count else 0)
        return out

    def seconds(self, to_start: float, bytes_per_second: float, flops_per_second: float) -> float:
        """Return how long the operations take, one after another, each as long as the longest of its three parts."""
        parts = zip(self.bytes, self.flops, strict=True)
        return sum(max(to_start, moved / bytes_per_second, flops / flops_per_second) for moved, flops in parts)


def operations_of(step: Callable[[], None]) -> Operations:
    """Return the operations of a step on the meta device, after one that makes the optimizer's moments."""
    step()
    with Operations() as found:
        step()
    return found
