"""The surroundings of a job: its device, progress, interruption, command line and place among processes."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Protocol

import torch

from mnfn_cli.errors import InterruptedRun, UsageError


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

    A second signal raises KeyboardInterrupt at once: the user means it.
    """

    def __init__(self) -> None:
        self._signal: int | None = None

    @property
    def requested(self) -> bool:
        """Whether a signal has come."""
        return self._signal is not None

    def check(self, where: object, what_to_do: str) -> None:
        """Raise ``InterruptedRun`` if a signal has come."""
        if self._signal is not None:
            raise InterruptedRun(where, f"interrupted; {what_to_do}", exit_code=128 + self._signal)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self._signal = number


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Catch SIGINT and SIGTERM inside the block; outside the main thread, where Python cannot, do nothing."""
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, interruption._remember) for number in numbers}
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def resolve_device(name: str) -> torch.device:
    """Return the device that ``name`` asks for: ``auto``, ``cpu``, ``cuda`` or ``cuda:i``.

    Raises:
        UsageError: the name is unknown or this machine has no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
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
        rank: the index of this process among those that share the job, from 0.
        world_size: the number of processes that share the job.
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    progress: Progress = field(default_factory=Silent)
    interruption: Interruption = field(default_factory=Interruption)
    command: str = "Python"
    rank: int = 0
    world_size: int = 1
