"""Pooling between the convolutions of a network, and which symmetries it leaves."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mnfn_cli.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

_FORM = re.compile(r"(max|avg)([1-9]\d{0,2})(?:/([1-9]\d{0,2}))?(:before)?", re.ASCII)


@dataclass(frozen=True)
class Pooling:
    """Pooling over square windows of a feature map, without padding, after a convolution.

    Average pooling commutes with every factor on a channel. Max pooling commutes with positive factors only:
    ``max(-x)`` is not ``-max(x)``, so a channel that is max-pooled cannot flip its sign.

    Args:
        kind: ``max`` for the largest value of each window, ``avg`` for the average.
        size: the height and width of a window in pixels.
        stride: the distance between windows in pixels.
        before: whether the pooling stands before the activation of its convolution instead of after it.

    >>> str(Pooling.parse("max2")), Pooling.parse("avg3/2:before")
    ('max2', Pooling(kind='avg', size=3, stride=2, before=True))
    """

    kind: Literal["max", "avg"]
    size: int
    stride: int
    before: bool = False

    @classmethod
    def parse(cls, text: str) -> "Pooling | None":
        """Read ``none``, ``maxK``, ``avgK``, or ``maxK/S`` with a stride other than ``K``; then maybe ``:before``.

        Raises:
            UsageError: the text has another form.
        """
        if text == "none":
            return None
        found = _FORM.fullmatch(text)
        if found is None:
            raise UsageError("pooling", f"'{text}'; write none, max2, avg2, max3/2 (stride 2) or max2:before")
        kind, size, stride, before = found.groups()
        return cls("max" if kind == "max" else "avg", int(size), int(stride or size), bool(before))

    def __str__(self) -> str:
        stride = "" if self.stride == self.size else f"/{self.stride}"
        return f"{self.kind}{self.size}{stride}{':before' if self.before else ''}"

    def shrink(self, length: int) -> int:
        """Return the side of the map after the pooling, from its side before it; 0 if no window fits."""
        return max((length - self.size) // self.stride + 1, 0)

    def __call__(self, maps: "Tensor") -> "Tensor":
        """Return ``(..., channels, height, width)`` after the pooling; the last two axes shrink."""
        import torch.nn.functional as F

        pool = F.max_pool2d if self.kind == "max" else F.avg_pool2d
        return pool(maps.flatten(0, -4), self.size, self.stride).unflatten(0, maps.shape[:-3])
