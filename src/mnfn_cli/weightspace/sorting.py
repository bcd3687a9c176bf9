"""Sorting of numbers whose places are not asked for."""

import numpy as np
import torch
from torch import Tensor


def ascending(numbers: Tensor) -> Tensor:
    """Return a tensor sorted along its last axis, as ``numbers.sort().values`` is.

    On a CPU numpy sorts several numbers at a time where the processor can, and a tenth of torch's time suffices, which
    also keeps track of places. An exported program has torch's sort, since numpy is no part of it.
    """
    if numbers.device.type == "cpu" and not (numbers.requires_grad or torch.compiler.is_exporting()):
        return torch.from_numpy(np.sort(numbers.numpy(), axis=-1))
    return numbers.sort(dim=-1).values
