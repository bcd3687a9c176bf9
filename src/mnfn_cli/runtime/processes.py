"""The processes that share a job: what engines ask of them, whether there is one or there are many.

Every process runs the same command. Work on blocks of networks is dealt out (``map``), gradients are added up
(``add``), and what is written is written by rank 0 (``on_first``). With one process each of these is the plain call.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol, TypeVar, cast

from torch import Tensor, distributed

from mnfn_cli.errors import MnfnError
from mnfn_cli.runtime.parcels import AHEAD, received, send
from mnfn_cli.runtime.place import Place
from mnfn_cli.runtime.watch import LostError, Watch

Item = TypeVar("Item")
Result = TypeVar("Result")


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
        store: the key-value store that they share; None for a single process.
    """

    place: Place = field(default_factory=Place)
    watch: Watch | None = None
    store: Any = None

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
        self._together(lambda: distributed.broadcast_object_list(held, src=0))
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
        self._together(lambda: distributed.all_gather_object(held, value))
        return held

    def meet(self) -> None:
        """Wait until all processes have come here."""
        if self.count > 1:
            self._together(lambda: distributed.barrier())

    def agree(self, signals: Signals) -> None:
        """Make all processes know of a signal that came to some of them, so that all act on it at the same place."""
        if self.count > 1:
            signals.adopt(max(self.gather(signals.number)))

    def add(self, tensor: Tensor) -> None:
        """Replace a tensor by the sum of those of all processes, in place."""
        if self.count > 1:
            self._together(lambda: self._add(tensor))

    def _add(self, tensor: Tensor) -> None:
        if tensor.device.type == "cpu" or distributed.get_backend_config().count("nccl"):
            distributed.all_reduce(tensor)
            return
        held = tensor.cpu()  # several processes on one GPU
        distributed.all_reduce(held)
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
            self.store.set("dealt", "0")
        self.meet()
        error = None
        while (number := self.store.add("dealt", 1)) <= len(items) and error is None:
            with alone():
                try:
                    function(items[number - 1])
                except MnfnError as fault:
                    error = fault
                    self.store.add("dealt", len(items))
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

    def map(
        self, function: Callable[[Item], Result], items: Sequence[Item], period: int | None = None
    ) -> Iterator[Result]:
        """Yield on rank 0 what a function returns for every item, in order; the others compute their share of it.

        A process computes its next items while up to ``AHEAD`` before them wait for rank 0.

        Args:
            function: a function that, for the same item, returns the same on every rank.
            items: its arguments, the same on every rank.
            period: the number of items after which alike ones follow, for a function that keeps what it found out
                about one for the next: the same process computes both, unless others would have less to do.
        """
        if self.count == 1:
            yield from map(function, items)
            return
        owners = [self.owner(number, period or len(items)) for number in range(len(items))]
        if self.first:
            with closing(received([owner for owner in owners if owner], self._together)) as from_others:
                for item, owner in zip(items, owners, strict=True):
                    if owner:
                        yield next(from_others)
                        continue
                    with alone():
                        found = function(item)
                    yield found
            return
        sent: deque[list[Any]] = deque()
        for item, owner in zip(items, owners, strict=True):
            if owner == self.rank:
                with alone():
                    found = function(item)
                if len(sent) == AHEAD:
                    self._finish(sent.popleft())
                sent.append(send(found))
        while sent:
            self._finish(sent.popleft())

    def owner(self, number: int, period: int) -> int:
        """Return the rank that computes an item of ``map``, in turns.

        Who begins changes, so that large and small items that alternate are shared evenly. The last items of a period
        that are too few for all processes go round with the periods.

        >>> two = Processes(Place(0, 2))
        >>> [two.owner(number, 3) for number in range(9)]
        [0, 1, 0, 0, 1, 1, 0, 1, 0]
        """
        turn, place = divmod(number, period)
        whole = period // self.count * self.count
        if place >= whole:
            return (turn * (period - whole) + place - whole) % self.count
        return (place + place // self.count) % self.count

    def _finish(self, sent: Sequence[Any]) -> None:
        self._together(lambda: [work.wait() for work in sent])

    def _raise_together(self, error: MnfnError | None) -> None:
        for fault in self.gather(error):
            if fault is not None:
                raise fault

    def _together(self, operation: Callable[[], Result]) -> Result:
        assert self.watch is not None
        self.watch.wait(True)
        try:
            return operation()
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
