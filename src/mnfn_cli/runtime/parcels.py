"""Values as one block of bytes, as one process of a job sends them to another.

The bytes of tensors are copied once, into the block, and not again where it is opened: the tensors that come out are
views of it. Blocks are opened only by processes of the job that packed them.
"""

import pickle
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Any

import torch
from torch import Tensor

ALIGNMENT = 64
"""The bytes at whose multiples each part of a block begins."""


class _Packer(pickle.Pickler):
    """Hands the bytes of tensors to the callback, where numpy has their type."""

    def reducer_override(self, value: Any) -> Any:
        if type(value) is not Tensor or value.dtype == torch.bfloat16:
            return NotImplemented
        return torch.from_numpy, (value.detach().contiguous().numpy(),)


def packed(value: Any) -> Tensor:
    """Return a block of bytes that holds a value, ``(bytes,)``. Tensors must be on the CPU.

    >>> from mnfn_cli.runtime.parcels import packed, unpacked
    >>> unpacked(packed({"weights": torch.arange(3)}))
    {'weights': tensor([0, 1, 2])}
    """
    stream = BytesIO()
    buffers: list[Any] = []
    _Packer(stream, protocol=5, buffer_callback=buffers.append).dump(value)
    parts = [memoryview(stream.getvalue()), *(buffer.raw() for buffer in buffers)]
    sizes = torch.tensor([len(parts), *(len(part) for part in parts)])
    begins = list(_begins(sizes.tolist()))
    block = torch.empty(begins[-1], dtype=torch.uint8)
    block[: sizes.nbytes] = sizes.view(torch.uint8)
    bytes_of = block.numpy().data
    for begin, part in zip(begins, parts, strict=False):
        bytes_of[begin : begin + len(part)] = part
    return block


def unpacked(block: Tensor) -> Any:
    """Return the value that ``packed`` has put into a block, whose tensors are views of it."""
    count = int(block[:8].view(torch.int64))
    sizes = block[: 8 * (count + 1)].view(torch.int64).tolist()
    bytes_of = block.numpy().data
    content, *buffers = (bytes_of[begin : begin + size] for begin, size in zip(_begins(sizes), sizes[1:], strict=False))
    return pickle.loads(content, buffers=buffers)


def _begins(sizes: Sequence[int]) -> Iterator[int]:
    """Yield where each part begins, and then where the last one ends; the first of ``sizes`` is their number."""
    end = 8 * len(sizes)
    for size in sizes[1:]:
        begin = -(-end // ALIGNMENT) * ALIGNMENT
        yield begin
        end = begin + size
    yield end
