"""Handle Ctrl-C and SIGTERM at points where all files are complete, instead of at once."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from mnfn_cli.errors import InterruptedRun


class Interruption:
    """Remembers a signal until the job calls ``check`` at a point where all files are complete.

    A second signal raises KeyboardInterrupt at once.
    """

    def __init__(self) -> None:
        self._signal: int | None = None

    @property
    def requested(self) -> bool:
        """Whether a signal was received."""
        return self._signal is not None

    def check(self, where: object, what_to_do: str) -> None:
        """Raise ``InterruptedRun`` if a signal was received.

        Args:
            where: the file or folder that the message names.
            what_to_do: the end of the message, such as how to continue.
        """
        if self._signal is not None:
            raise InterruptedRun(where, f"interrupted; {what_to_do}", exit_code=128 + self._signal)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self._signal = number


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Catch SIGINT and SIGTERM inside the block; outside the main thread, where Python cannot, catch nothing."""
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
