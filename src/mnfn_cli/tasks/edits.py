"""The picture edits that editors learn. OpenCV computes them, as in all published comparisons."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Picture = NDArray[np.uint8]


def dilate(picture: Picture) -> Picture:
    """Dilate once with a 3x3 kernel: every pixel of ``(height, width, 3)`` becomes the maximum of its neighbourhood."""
    import cv2

    return np.asarray(cv2.dilate(picture, np.ones((3, 3), np.uint8), iterations=1), dtype=np.uint8)


def contrast(picture: Picture) -> Picture:
    """Raise the contrast of ``(height, width, 3)``: CLAHE with clip limit 1.0 and 3x3 tiles on the L channel of LAB."""
    import cv2

    lab = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB)
    lab[:, :, 0] = cv2.createCLAHE(clipLimit=1.0, tileGridSize=(3, 3)).apply(lab[:, :, 0])
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), dtype=np.uint8)


EDITS: Mapping[str, Callable[[Picture], Picture]] = {"dilate": dilate, "contrast": contrast}


def edit_pictures(name: str, pictures: Tensor) -> Tensor:
    """Apply an edit to pictures.

    OpenCV works on 8 bits, so pictures are rounded to 256 levels first.

    Args:
        name: the edit, a key of ``EDITS``.
        pictures: pictures on [-1, 1], ``(count, 1 or 3, height, width)``; numbers outside are clipped.

    Returns:
        the edited pictures, float32 on [-1, 1], in the same shape.
    """
    levels = ((pictures.detach().double().cpu().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    colour = levels.expand(-1, 3, -1, -1).movedim(1, 3).contiguous().numpy()
    edited = np.stack([EDITS[name](picture) for picture in colour]) if len(colour) else colour
    back = torch.from_numpy(edited).movedim(3, 1)[:, : pictures.shape[1]]
    return back.float() / 127.5 - 1


def on_symmetric_range(pictures: Tensor, pixel_range: tuple[float, float]) -> Tensor:
    """Return pictures on [-1, 1] from pictures whose black and white are the two numbers of ``pixel_range``."""
    black, white = pixel_range
    return pictures if (black, white) == (-1.0, 1.0) else (pictures - black) * (2 / (white - black)) - 1
