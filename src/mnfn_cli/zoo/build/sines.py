"""Compute sines and cosines fast, for they take two thirds of the time that fitting SIRENs takes."""

import numpy as np
import torch
from torch import Tensor


def write_sine_and_cosine(angles: Tensor, sine: Tensor, cosine: Tensor) -> None:
    """Write the sine and the cosine of ``angles`` into two tensors of the same shape that share no memory with it.

    On a CPU numpy computes them in less than half the time that torch takes, with one thread, and equally exactly
    (errors of 1e-7 in float32).
    """
    if angles.device.type != "cpu":
        torch.sin(angles, out=sine)
        torch.cos(angles, out=cosine)
        return
    # The sine of infinity is NaN, of which numpy warns; the caller reports networks that diverge.
    with np.errstate(invalid="ignore"):
        np.sin(angles.numpy(), out=sine.numpy())
        np.cos(angles.numpy(), out=cosine.numpy())
