"""Compute sines and cosines fast, for they take a third of the time that fitting SIRENs takes."""

import numpy as np
import torch
from torch import Tensor


def write_sine_and_cosine(angles: Tensor, sine: Tensor, cosine: Tensor, ones: Tensor) -> None:
    """Write the sine and the cosine of ``angles`` into two tensors of the same shape that share no memory with it.

    On a CPU OpenCV computes both of them in one go, as points on the unit circle, in less time than torch or numpy take
    for one after the other, and equally exactly (errors of 2e-7 in float32). Its float64 is not exact to more digits,
    so numpy computes that. The sine of an angle that is not finite, or in float32 beyond 1e6, has no meaning; the
    caller reports networks that diverge.

    Args:
        angles: ``(networks, ...)``, of which each network's numbers lie one after another.
        sine, cosine: of the same shape; they are overwritten.
        ones: a contiguous tensor of as many ones, the radius of the circle.
    """
    if angles.device.type != "cpu":
        torch.sin(angles, out=sine)
        torch.cos(angles, out=cosine)
    elif angles.dtype == torch.float32:
        import cv2

        radius, angle, x, y = (tensor.view(len(angles), -1).numpy() for tensor in (ones, angles, cosine, sine))
        cv2.polarToCart(radius, angle, x, y)
    else:
        with np.errstate(invalid="ignore"):  # numpy warns of infinity
            np.sin(angles.numpy(), out=sine.numpy())
            np.cos(angles.numpy(), out=cosine.numpy())
