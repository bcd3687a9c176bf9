"""What the processes of a job send to rank 0: any value, as one block of bytes.

The bytes of tensors are copied once, into the block, and not again where it is opened: the tensors that come out are
views of it. Blocks are opened only by processes of the job that packed them.
"""

import pickle
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from itertools import islice
from typing import Any

import torch
from torch import Tensor, distributed

AHEAD = 2
"""How many values of a process may wait for rank 0, and how many rank 0 receives before it asks for them."""

ALIGNMENT = 64
"""The bytes at whose multiples each part of a block begins."""


def send(value: Any) -> list[Any]:
    """Begin to send a value to rank 0; return the operations whose ends the sender has to wait for."""
    block = packed(value)
    return [distributed.isend(tensor, dst=0) for tensor in (torch.tensor([len(block)]), block)]


def received(sources: Sequence[int], wait: Callable[[Callable[[], Tensor]], Tensor]) -> Generator[Any, None, None]:
    """Yield on rank 0 the value that each of these ranks sends, in order. A thread receives the next ones meanwhile.

    Args:
        sources: the ranks.
        wait: calls a function that waits for others, and returns what it returns.
    """
    thread, upcoming = ThreadPoolExecutor(1), iter(sources)
    coming = deque(thread.submit(_receive, source) for source in islice(upcoming, AHEAD))
    try:
        while coming:
            yield unpacked(wait(coming.popleft().result))
            coming.extend(thread.submit(_receive, source) for source in islice(upcoming, 1))
    finally:
        # Nobody waits for what will not come; the thread ends when the other process does.
        thread.shutdown(wait=False, cancel_futures=True)


def _receive(source: int) -> Tensor:
    size = torch.zeros(1, dtype=torch.int64)
    distributed.recv(size, src=source)
    block = torch.empty(int(size), dtype=torch.uint8)
    distributed.recv(block, src=source)
    return block


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
