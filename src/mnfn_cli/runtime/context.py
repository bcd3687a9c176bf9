"""The surroundings of a job: its device, progress, interruption, command line and place among processes."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import TYPE_CHECKING, Protocol

import torch

from mnfn_cli.errors import InterruptedRun, UsageError
from mnfn_cli.runtime.place import Place
from mnfn_cli.runtime.processes import Processes

if TYPE_CHECKING:
    from mnfn_cli.runtime.watch import Watch

REPEATED = 3.0
"""Seconds within which a second signal to one of several processes is the launcher's repetition of the first."""


class Progress(Protocol):
    """A listener of one long job. Engines call it; they never print."""

    def start(self, description: str, total: int) -> None:
        """Begin a stage of ``total`` steps; a stage before it ends here."""

    def advance(self, steps: int = 1, **figures: float) -> None:
        """Report ``steps`` more done, with the newest figures (a loss, a rate) by name."""

    def note(self, text: str) -> None:
        """Say one line that the user should read."""


class Silent:
    """A ``Progress`` that says nothing: the default of every engine."""

    def start(self, description: str, total: int) -> None:
        """Ignore it."""

    def advance(self, steps: int = 1, **figures: float) -> None:
        """Ignore it."""

    def note(self, text: str) -> None:
        """Ignore it."""


class Interruption:
    """Remembers a signal until the job comes to a point where everything on disk is whole.

    A second signal raises KeyboardInterrupt at once: the user means it. Where several processes share a job, a signal
    to one of them is one to all; as their launcher repeats it, a second one counts only after ``REPEATED`` seconds.

    Args:
        watch: what tells the other processes, and hears from them.
    """

    def __init__(self, watch: "Watch | None" = None) -> None:
        self._watch = watch
        self._signal: int | None = None
        self._since = 0.0

    @property
    def requested(self) -> bool:
        """Whether a signal has come."""
        return self.number > 0

    @property
    def number(self) -> int:
        """The number of the signal that has come to this process or to another one; 0 if none has."""
        if self._watch is not None:
            self._watch.live()  # engines ask wherever they come along
            return self._signal or self._watch.signal
        return self._signal or 0

    def adopt(self, number: int) -> None:
        """Behave as if this signal had come."""
        self._signal = self._signal or number or None

    def check(self, where: object, what_to_do: str) -> None:
        """Raise ``InterruptedRun`` if a signal has come."""
        if self.requested:
            raise InterruptedRun(where, f"interrupted; {what_to_do}", exit_code=128 + self.number)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if self._signal is not None:
            if self._watch is None or time.monotonic() - self._since > REPEATED:
                raise KeyboardInterrupt
            return
        self._signal, self._since = number, time.monotonic()
        if self._watch is not None:
            self._watch.signal = self._watch.signal or number


@contextmanager
def interruptible(watch: "Watch | None" = None) -> Iterator[Interruption]:
    """Catch SIGINT and SIGTERM inside the block; outside the main thread, where Python cannot, do nothing.

    Args:
        watch: for several processes, the argument of ``Interruption``. If an error leaves the block, the signals stay
            caught: the launcher sends them while the processes agree on what has ended the job.
    """
    interruption = Interruption(watch)
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, interruption._remember) for number in numbers}
    failed = True
    try:
        yield interruption
        failed = False
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if failed and watch is not None else handler)


def resolve_device(name: str, place: Place = Place()) -> torch.device:
    """Return the device that ``name`` asks for: ``auto``, ``cpu``, ``cuda`` or ``cuda:i``.

    Args:
        name: the name of the device.
        place: the place of this process among several, which ``auto`` and ``cuda`` deal the CUDA devices of their
            machine in turn.

    Raises:
        UsageError: the name is unknown or this machine has no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and place.world_size > 1 and torch.cuda.device_count():
        name = f"cuda:{place.local_rank % torch.cuda.device_count()}"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError("--device", f"'{name}' is no device; use auto, cpu, cuda or cuda:0") from None
    if device.type not in ("cpu", "cuda"):
        raise UsageError("--device", f"'{name}' is not supported; use auto, cpu, cuda or cuda:0")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError("--device", f"'{name}' asked for, but {torch.cuda.device_count()} CUDA devices are here")
    return device


@dataclass(frozen=True)
class Context:
    """The surroundings of one job. The default is a single process on the CPU that reports nothing.

    Args:
        device: the device to compute on.
        progress: the object to which the job reports its progress.
        interruption: the object that the job asks, at points where all files are complete, whether to stop.
        command: the command line, which is recorded in outputs.
        processes: the processes that share the job.
        tensorboard: whether runs that begin get an event file beside metrics.jsonl.

    >>> from mnfn_cli import Context
    >>> import torch
    >>> Context(torch.device("cpu")).command
    'Python'
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    progress: Progress = field(default_factory=Silent)
    interruption: Interruption = field(default_factory=Interruption)
    command: str = "Python"
    processes: Processes = field(default_factory=Processes)
    tensorboard: bool = False
