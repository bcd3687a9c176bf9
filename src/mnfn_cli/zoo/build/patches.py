"""The patches under a convolution's kernel, as rows of a matrix, and the way of their gradients back to the pixels."""

from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor

from mnfn_cli.weightspace.spec import Pair


class Patches:
    """Takes the patches of a layer's input ``(n, b, height, width, in)``, and adds up the gradients of patches.

    Adding up is the transpose of taking patches.

    Args:
        like: a tensor with the shape, dtype and device of the input.
        kernel, stride, padding: of the convolution, ``(height, width)`` each.
    """

    def __init__(self, like: Tensor, kernel: Pair, stride: Pair, padding: Pair) -> None:
        self._padding = padding
        padded = pad(like, padding)
        self._padded_shape = padded.shape
        networks, pictures, *map_size, n_in = padded.shape
        # The pixel that each tap of a picture is taken from. Half as wide indices take a fifth less time.
        pixels = torch.arange(prod(map_size), dtype=torch.int32).view(1, 1, *map_size, 1)
        by_position = windows(pixels, kernel, stride)
        taken = by_position.flatten()
        firsts = torch.arange(networks * pictures, dtype=torch.int32)[:, None]
        self._taken = (firsts * pixels.numel() + taken).flatten().to(like.device)
        self._by_tap = like.new_empty(
            networks, pictures, *by_position.shape[2:4], by_position[0, 0, 0, 0].numel() * n_in
        )
        # The taps of one picture, sorted by the pixel that they were taken from, and the first tap of each pixel.
        counts = taken.bincount(minlength=pixels.numel())
        self._taps = (firsts * len(taken) + taken.argsort(stable=True).int()).flatten().to(like.device)
        self._firsts = (firsts * len(taken) + (counts.cumsum(0) - counts).int()).flatten().to(like.device)

    def take(self, x: Tensor) -> Tensor:
        """Return the patches, ``(n, b, rows, columns, taps * in)``; the next call overwrites them."""
        rows = pad(x, self._padding).reshape(-1, x.shape[-1])
        torch.index_select(rows, 0, self._taken, out=self._by_tap.view(-1, x.shape[-1]))
        return self._by_tap

    def fold(self, gradient: Tensor) -> Tensor:
        """Add the gradients of patches to the input pixels that they were taken from, ``(n, b, height, width, in)``.

        Each pixel is a bag of taps. Summing bags takes a third of the time of adding strided windows.
        """
        sums, *_ = torch.embedding_bag(gradient.view(-1, self._padded_shape[-1]), self._taps, self._firsts)
        (height, width), (ph, pw) = self._padded_shape[2:4], self._padding
        return sums.view(self._padded_shape)[:, :, ph : height - ph, pw : width - pw]


def windows(x: Tensor, kernel: Pair, stride: Pair) -> Tensor:
    """View ``(n, b, height, width, in)`` as ``(n, b, rows, columns, kh, kw, in)``."""
    return x.unfold(2, kernel[0], stride[0]).unfold(3, kernel[1], stride[1]).movedim(4, -1)


def pad(x: Tensor, padding: Pair) -> Tensor:
    """Surround ``(n, b, height, width, in)`` with zeros; ``x`` itself where there is nothing to add."""
    return F.pad(x, (0, 0, padding[1], padding[1], padding[0], padding[0])) if any(padding) else x
