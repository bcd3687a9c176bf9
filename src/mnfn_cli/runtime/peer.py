"""Another process of the job: the connection to it, what is known of it, and the errors about it."""

import json
import os
import signal
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from mnfn_cli.errors import ProcessError
from mnfn_cli.runtime.place import TIMEOUT

Message = dict[str, Any]


@dataclass
class Peer:
    """What is known of another process."""

    rank: int
    pid: int = 0
    host: str = ""
    begun: int = 0
    since: float | None = None
    """When it began to wait in a collective operation; None while it computes."""
    sign: float = field(default_factory=time.monotonic)
    """When it last gave a sign of life."""
    heard: float = field(default_factory=time.monotonic)
    """When its last message came."""
    left: bool = False

    def hear(self, message: Message) -> None:
        waits = self.since is not None
        if (message["begun"], message["waits"]) != (self.begun, waits):
            self.since = time.monotonic() if message["waits"] else None
        self.begun, self.heard = message["begun"], time.monotonic()
        self.sign = self.heard - message["idle"]

    def kill(self) -> None:
        if self.host == socket.gethostname() and self.pid:
            try:
                os.kill(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                return


@dataclass(eq=False)
class Line:
    """A connection that carries messages as lines of JSON."""

    connection: socket.socket
    _rest: bytes = b""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, **message: Any) -> None:
        """Send a message, unless the other end is gone."""
        try:
            with self._lock:
                self.connection.sendall(json.dumps(message, allow_nan=False).encode() + b"\n")
        except OSError:
            return

    def receive(self) -> list[Message] | None:
        """Return the messages that have come; None at the end of the connection, or where it carries something else."""
        try:
            found = self.connection.recv(1 << 16)
        except (TimeoutError, BlockingIOError):
            return []
        except OSError:
            return None
        if not found:
            return None
        *lines, self._rest = (self._rest + found).split(b"\n")
        try:
            return [json.loads(line) for line in lines]
        except ValueError:
            return None


def died(rank: int, pid: int, host: str) -> ProcessError:
    """Return the error about a process that ended without a word."""
    return ProcessError(f"rank {rank}", f"process {pid} on {host} died: it was killed, or memory ran out")


def hangs(ranks: str, seconds: float) -> ProcessError:
    """Return the error about processes for which the others have waited too long."""
    return ProcessError(f"rank {ranks}", f"hangs: the others have waited for {seconds:g} s ({TIMEOUT} sets how long)")
