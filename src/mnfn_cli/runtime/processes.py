"""The processes that share a job: what engines ask of them, whether there is one or there are many.

Every process runs the same command. Work on blocks of networks is dealt out (``map``), gradients are added up
(``add``), and what is written is written by rank 0 (``on_first``). With one process each of these is the plain call.
"""

import os
import pickle
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol, TypeVar, cast

import torch
from torch import Tensor

from mnfn_cli.errors import MnfnError, ProcessError
from mnfn_cli.runtime.place import TIMEOUT, Place, timeout
from mnfn_cli.runtime.watch import Hub, LostError, Spoke, Watch

Item = TypeVar("Item")
Result = TypeVar("Result")

JOINING = 300.0
"""The largest number of seconds that the first process waits for the last one to start."""
_MARGIN = 60.0
"""Seconds by which a collective operation outlasts the watch, which has more to say."""


class Signals(Protocol):
    """What processes agree on: a signal that came to some of them."""

    @property
    def number(self) -> int:
        """The number of the signal; 0 if there was none."""

    def adopt(self, number: int) -> None:
        """Behave as if this signal had come."""


@dataclass(frozen=True)
class Processes:
    """The processes that share a job. The default is this process alone.

    Args:
        place: the place of this process among them.
        watch: what ends all of them when one fails; None for a single process.
    """

    place: Place = field(default_factory=Place)
    watch: Watch | None = None

    @property
    def rank(self) -> int:
        """The number of this process, from 0."""
        return self.place.rank

    @property
    def count(self) -> int:
        """The number of processes."""
        return self.place.world_size

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.place.rank == 0

    def share(self, value: Result) -> Result:
        """Return the value that rank 0 gave, on every rank."""
        if self.count == 1:
            return value
        held = [value if self.first else None]
        self._together(lambda: _distributed().broadcast_object_list(held, src=0))
        return cast(Result, held[0])

    def on_first(self, function: Callable[[], Result]) -> Result:
        """Call a function on rank 0, alone, and return what it returns on every rank."""
        if self.count == 1:
            return function()
        if not self.first:
            return self.share(cast(Result, None))
        with alone():
            found = function()
        return self.share(found)

    @contextmanager
    def entered_by_first(self, manager: Callable[[], AbstractContextManager[Result]]) -> Iterator[Result]:
        """Enter a context manager on rank 0, inside the block, and yield there what it yields to every rank."""
        if self.first:
            with manager() as value:
                yield self.share(value)
        else:
            yield self.share(cast(Result, None))
        self.meet()

    def gather(self, value: Result) -> list[Result]:
        """Return the values of all ranks, in their order, on every rank."""
        if self.count == 1:
            return [value]
        held: list[Any] = [None] * self.count
        self._together(lambda: _distributed().all_gather_object(held, value))
        return held

    def meet(self) -> None:
        """Wait until all processes have come here."""
        if self.count > 1:
            self._together(lambda: _distributed().barrier())

    def agree(self, signals: Signals) -> None:
        """Make all processes know of a signal that came to some of them, so that all act on it at the same place."""
        if self.count > 1:
            signals.adopt(max(self.gather(signals.number)))

    def add(self, tensor: Tensor) -> None:
        """Replace a tensor by the sum of those of all processes, in place."""
        if self.count > 1:
            self._together(lambda: self._add(tensor))

    def _add(self, tensor: Tensor) -> None:
        if tensor.device.type == "cpu" or _distributed().get_backend_config().count("nccl"):
            _distributed().all_reduce(tensor)
            return
        held = tensor.cpu()  # several processes on one GPU
        _distributed().all_reduce(held)
        tensor.copy_(held)

    def each(self, function: Callable[[Item], None], items: Sequence[Item]) -> None:
        """Call a function for every item on one of the processes, which take the next one whenever they are free.

        An error of one process ends the dealing, and all raise it when the others have done what they began.
        """
        if self.count == 1:
            for item in items:
                function(item)
            return
        self.meet()  # no process still takes from an earlier deal
        if self.first:
            _stores[self.place].set("dealt", "0")
        self.meet()
        error = None
        while (number := _stores[self.place].add("dealt", 1)) <= len(items) and error is None:
            with alone():
                try:
                    function(items[number - 1])
                except MnfnError as fault:
                    error = fault
                    _stores[self.place].add("dealt", len(items))
        self._raise_together(error)

    def own(self, items: Sequence[Item]) -> Sequence[Item]:
        """Return the items that this process computes, of work that every process can divide by itself."""
        return items[self.rank :: self.count]

    def in_order(self, found: list[Result]) -> list[Result]:
        """Return on every rank what all found for the items of ``own``, in the order of the items."""
        if self.count == 1:
            return found
        parts = self.gather(found)
        return [part[n] for n in range(max(map(len, parts))) for part in parts if n < len(part)]

    @contextmanager
    def folder_for_first(self, path: Path) -> Iterator[Path]:
        """Yield the folder that rank 0 writes into; the other ranks write into one that is thrown away."""
        if self.first:
            yield path
            return
        with TemporaryDirectory() as thrown_away:
            yield Path(thrown_away)

    def map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        """Yield on rank 0 what a function returns for every item, in order; the others compute their share of it.

        Which process computes an item turns from round to round, so that large and small ones that alternate are
        shared evenly. A process computes its next item while the one before waits for rank 0.

        Args:
            function: a function that, for the same item, returns the same on every rank.
            items: its arguments, the same on every rank.
        """
        if self.count == 1:
            yield from map(function, items)
            return
        sent: list[Any] = []
        for number, item in enumerate(items):
            owner = (number + number // self.count) % self.count
            if self.rank == owner:
                with alone():
                    found = function(item)
                if self.first:
                    yield found
                else:
                    self._finish(sent)
                    sent = self._send(found)
            elif self.first:
                yield self._receive(owner)
        self._finish(sent)

    def _finish(self, sent: Sequence[Any]) -> None:
        self._together(lambda: [work.wait() for work in sent])

    def _send(self, value: Any) -> list[Any]:
        """Begin to send a value to rank 0; return the operations that the next one has to wait for."""
        content = torch.frombuffer(bytearray(pickle.dumps(value)), dtype=torch.uint8)
        size = torch.tensor([len(content)])
        return [_distributed().isend(tensor, dst=0) for tensor in (size, content)]

    def _receive(self, source: int) -> Any:
        size = torch.zeros(1, dtype=torch.int64)
        self._together(lambda: _distributed().recv(size, src=source))
        content = torch.empty(int(size), dtype=torch.uint8)
        self._together(lambda: _distributed().recv(content, src=source))
        return pickle.loads(content.numpy().tobytes())  # from a process of the same job

    def _raise_together(self, error: MnfnError | None) -> None:
        for fault in self.gather(error):
            if fault is not None:
                raise fault

    def _together(self, operation: Callable[[], Any]) -> None:
        assert self.watch is not None
        self.watch.wait(True)
        try:
            operation()
        except RuntimeError as error:
            raise LostError(f"rank {self.rank}", f"lost another process: {error}") from error
        finally:
            self.watch.wait(False)


_current: ContextVar[Processes | None] = ContextVar("processes", default=None)


def current() -> Processes:
    """Return the processes that share what is being computed here."""
    return _current.get() or Processes()


@contextmanager
def sharing(processes: Processes) -> Iterator[None]:
    """Say inside the block that these processes all compute it."""
    token = _current.set(processes)
    try:
        yield
    finally:
        _current.reset(token)


def alone() -> AbstractContextManager[None]:
    """Say inside the block that this process computes it alone."""
    return sharing(Processes())


def join(place: Place, say: Callable[[MnfnError], None]) -> Processes:
    """Meet the other processes of the job, and watch each other from here on.

    Args:
        place: the place of this process.
        say: a function that prints the error that ended the job, on one of the processes.

    Raises:
        ProcessError: some processes did not come.
    """
    patience = min(timeout(), JOINING)
    try:
        store = _store(place, patience)
        if place.rank == 0:
            watch: Watch = Hub(place, say, lambda text: store.set("mnfn-watch", text))
        else:
            watch = Spoke(place, say, store.get("mnfn-watch").decode())
    except (RuntimeError, OSError) as error:
        if isinstance(error, MnfnError):
            raise
        problem = f"did not meet rank 0 at {place.address}:{place.port} in {patience:g} s ({TIMEOUT} sets how long)"
        raise ProcessError(f"rank {place.rank}", f"{problem}: {error}") from error
    return Processes(place, watch)


def connect(processes: Processes, device: torch.device) -> None:
    """Prepare the collective operations of processes that have joined, on the CPU and on a GPU of their own.

    Args:
        processes: what ``join`` returned.
        device: the device of this process.
    """
    place = processes.place
    if place.local:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    assert processes.watch is not None
    store = _store(place, min(timeout(), JOINING))
    devices = _devices(store, place, device)
    own_gpus = device.type == "cuda" and len(set(devices)) == len(devices)
    if own_gpus:
        torch.cuda.set_device(device)
    processes.watch.wait(True)
    try:
        _distributed().init_process_group(
            "cpu:gloo,cuda:nccl" if own_gpus else "gloo",
            store=store,
            rank=place.rank,
            world_size=place.world_size,
            timeout=timedelta(seconds=timeout() + _MARGIN),
        )
    except RuntimeError as error:
        raise LostError(f"rank {place.rank}", f"lost another process: {error}") from error
    finally:
        processes.watch.wait(False)


def part(processes: Processes) -> None:
    """Take leave of the other processes, all of which have done their part."""
    processes.meet()
    if processes.watch is not None:
        processes.watch.close()
        _distributed().destroy_process_group()


_stores: dict[Place, Any] = {}


def _store(place: Place, seconds: float) -> Any:
    """Return the key-value store of the job, which torchrun or rank 0 keeps."""
    if place not in _stores:
        span = timedelta(seconds=seconds)
        launcher = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
        if place.rank or launcher:
            store = _distributed().TCPStore(place.address, place.port, None, False, span, wait_for_workers=False)
        else:
            # torch listens on all interfaces unless it is given a socket.
            server = socket.create_server(("127.0.0.1" if place.local else "", place.port), backlog=place.world_size)
            store = _distributed().TCPStore(
                place.address,
                place.port,
                None,
                True,
                span,
                wait_for_workers=False,
                master_listen_fd=server.detach(),
            )
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        _stores[place] = _distributed().PrefixStore(f"mnfn-{attempt}", store)
    _stores[place].set_timeout(timedelta(seconds=seconds))
    return _stores[place]


def _devices(store: Any, place: Place, device: torch.device) -> list[str]:
    """Return the machine and device of every process.

    Raises:
        ProcessError: a process does not come.
    """
    store.set(f"device-{place.rank}", f"{socket.gethostname()} {device}")
    found = []
    for rank in range(place.world_size):
        try:
            found.append(store.get(f"device-{rank}").decode())
        except RuntimeError as error:
            problem = f"did not come in {store.timeout.total_seconds():g} s ({TIMEOUT} sets how long)"
            raise ProcessError(f"rank {rank}", problem) from error
    return found


def _distributed() -> Any:
    import torch.distributed

    return torch.distributed
