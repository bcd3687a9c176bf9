"""Processes that share a job watch each other: the first error, death or hang ends all of them, with one line.

Every process keeps a connection to rank 0 and says on it, each second, how many collective operations it has begun and
whether it waits in one. A connection that breaks without a farewell is a death, which the kernel reports at once, also
after ``kill -9``. Rank 0 decides what ended the job, prints it and tells the others (``first_watch``); if rank 0 itself
dies or hangs, rank 1 prints (``other_watch``). A process that does not end by itself is killed.
"""

import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NoReturn

from mnfn_cli.errors import InterruptedRun, MnfnError, ProcessError
from mnfn_cli.runtime.peer import Message
from mnfn_cli.runtime.place import Place, timeout

TICK = 0.1
"""Seconds between two looks at signals and at waiting times."""
BEAT = 1.0
"""Seconds between two messages about the own state."""
UNWINDING = 3.0
"""Seconds that a process is given to remove what it was writing, when the job has ended; then it is killed."""
SAVING = 60.0
"""Seconds that an interrupted job is given to write its states."""


class LostError(ProcessError):
    """A collective operation failed; the reason is another process, of which the watch knows more."""


class Watch(ABC):
    """What both ends have in common.

    Args:
        place: the place of this process.
        say: a function that prints an error.

    Attributes:
        signal: the number of the signal that some process got; 0 if there was none.
        begun: the number of collective operations that this process has begun.
        waits: whether it waits in one.
    """

    def __init__(self, place: Place, say: Callable[[MnfnError], None]) -> None:
        self.place, self.say = place, say
        self.signal, self.begun, self.waits = 0, 0, False
        self._since = self._sign = time.monotonic()
        self._timeout = timeout()
        self._code: int | None = None
        self._decided, self._over = threading.Event(), threading.Event()
        self._told = 0
        self._main_ended = False
        self._thread = threading.Thread(target=self._watch, name="mnfn-watch", daemon=True)

    def wait(self, waits: bool) -> None:
        """Say that this process begins to wait in a collective operation, or that it goes on."""
        self.begun, self.waits, self._since = self.begun + waits, waits, time.monotonic()
        self.live()

    def live(self) -> None:
        """Give a sign of life; a process that computes and gives none for long hangs, if others wait for it."""
        self._sign = time.monotonic()

    def _state(self) -> Message:
        return {"begun": self.begun, "waits": self.waits, "idle": time.monotonic() - self._sign}

    def end(self, error: MnfnError) -> int:
        """Report the error that ends this process, wait until the job's end is decided, and return its exit code."""
        if self._over.is_set() and not self._decided.is_set():
            self.say(error)  # the others have done their part
            return error.exit_code
        if not isinstance(error, LostError):
            self._report(error)
        patience = SAVING if isinstance(error, InterruptedRun) else 10.0
        if not self._decided.wait(patience):
            self._decide(error, error.exit_code)
        self._main_ended = True
        self._over.wait(2 * UNWINDING)
        return error.exit_code if self._code is None else self._code

    def _watch(self) -> None:
        try:
            self._run()
        except Exception as error:
            problem = f"cannot watch the other processes: {type(error).__name__}: {error}"
            self._decide(ProcessError(f"rank {self.place.rank}", problem), ProcessError.exit_code)
            self._unwound()
            self._leave()

    @abstractmethod
    def close(self) -> None:
        """Say farewell: this process has done its part."""

    @abstractmethod
    def _report(self, error: MnfnError) -> None:
        """Tell what ended this process to the one that decides."""

    @abstractmethod
    def _run(self) -> None:
        """Watch, in a thread, until the job is over."""

    def _decide(self, error: MnfnError, code: int, aloud: bool = True) -> None:
        if not self._decided.is_set():
            self._code = code
            if aloud:
                self.say(error)
            self._decided.set()

    def _leave(self) -> None:
        """End the process, unless its main thread is about to."""
        self._over.set()
        if not self._main_ended:
            self._exit()

    def _exit(self) -> NoReturn:
        os._exit(self._code or 1)

    def _unwound(self) -> bool:
        """Wait for the main thread to end by itself; return whether it did."""
        stop = time.monotonic() + UNWINDING
        while not self._main_ended and time.monotonic() < stop:
            time.sleep(TICK / 2)
        return self._main_ended
