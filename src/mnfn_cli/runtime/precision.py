"""In which precision training computes: all in one dtype, or products in bfloat16 and everything else in float32."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def mixed_precision(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Return a context in which a training step computes its loss.

    With ``bf16``, torch's automatic mixed precision rounds the factors of products of matrices to bfloat16. Parameters,
    their gradients and the optimizer stay float32.

    Args:
        device: the device that computes.
        precision: ``bf16``, ``fp32`` or ``fp64``, as in a recipe.
    """
    return torch.autocast(device.type, torch.bfloat16) if precision == "bf16" else nullcontext()


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """Return a context in which nothing is rounded to bfloat16, for what would suffer from it in a training step."""
    return nullcontext() if device.type == "meta" else torch.autocast(device.type, enabled=False)


def for_products(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Return tensors as automatic mixed precision gives them to products, for what it does not see."""
    device = tensors[0].device.type
    if device == "meta" or not torch.is_autocast_enabled(device):
        return tensors
    return tuple(tensor.to(torch.get_autocast_dtype(device)) for tensor in tensors)
