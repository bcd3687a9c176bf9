"""Processes that share a job watch each other: the first error, death or hang ends all of them, with one line.

Every process keeps a connection to rank 0 and says on it, each second, how many collective operations it has begun and
whether it waits in one. A connection that breaks without a farewell is a death, which the kernel reports at once, also
after ``kill -9``. Rank 0 decides what ended the job, prints it and tells the others; if rank 0 itself dies or hangs,
rank 1 prints. A process that does not end by itself is killed.
"""

import json
import os
import secrets
import selectors
import signal
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

from mnfn_cli.errors import InterruptedRun, MnfnError, ProcessError
from mnfn_cli.runtime.place import TIMEOUT, Place, timeout

Message = dict[str, Any]

TICK = 0.1
"""Seconds between two looks at signals and at waiting times."""
BEAT = 1.0
"""Seconds between two messages about the own state."""
TOGETHER = 0.5
"""Seconds after the first error within which others belong to it: an error of all is named without a rank."""
UNWINDING = 3.0
"""Seconds that a process is given to remove what it was writing, when the job has ended; then it is killed."""
SAVING = 60.0
"""Seconds that an interrupted job is given to write its states."""


class LostError(ProcessError):
    """A collective operation failed; the reason is another process, of which the watch knows more."""


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
                self.connection.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            return

    def receive(self) -> list[Message] | None:
        """Return the messages that have come; None at the end of the connection."""
        try:
            found = self.connection.recv(1 << 16)
        except (TimeoutError, BlockingIOError):
            return []
        except OSError:
            return None
        if not found:
            return None
        *lines, self._rest = (self._rest + found).split(b"\n")
        return [json.loads(line) for line in lines]


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


class Hub(Watch):
    """The watch of rank 0, which decides."""

    def __init__(self, place: Place, say: Callable[[MnfnError], None], publish: Callable[[str], None]) -> None:
        super().__init__(place, say)
        self._key = secrets.token_hex(16)
        self._server = socket.create_server(("127.0.0.1" if place.local else "", 0))
        port = self._server.getsockname()[1]
        host = "127.0.0.1" if place.local else place.address
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._server, selectors.EVENT_READ)
        self._peers: dict[Line, Peer] = {}
        self._lost: list[Peer] = []
        self._reports: dict[int, tuple[float, MnfnError]] = {}
        publish(json.dumps([host, port, self._key, os.getpid(), socket.gethostname()]))
        self._thread.start()

    def close(self) -> None:
        for line in list(self._peers):
            line.send(bye=True)
        self._over.set()

    def _report(self, error: MnfnError) -> None:
        self._reports[0] = (time.monotonic(), error)

    def _run(self) -> None:
        last = 0.0
        while not self._over.is_set():
            for key, _ in self._selector.select(TICK):
                self._accept() if key.fileobj is self._server else self._read(key.data)
            if time.monotonic() - last > BEAT:
                last = time.monotonic()
                self._tell(**self._state())
            if self.signal != self._told:
                self._told = self.signal
                self._tell(signal=self.signal)
            if not self._decided.is_set():
                self._look()
            else:
                self._finish()

    def _accept(self) -> None:
        connection, _ = self._server.accept()
        connection.settimeout(5.0)
        line = Line(connection)
        hello = next(iter(line.receive() or ()), {})
        if not secrets.compare_digest(str(hello.get("key", "")), self._key):
            connection.close()
            return
        self._peers[line] = Peer(hello["rank"], hello["pid"], hello["host"])
        self._selector.register(connection, selectors.EVENT_READ, line)

    def _read(self, line: Line) -> None:
        peer, messages = self._peers[line], line.receive()
        for message in messages or ():
            if "begun" in message:
                peer.hear(message)
            elif "signal" in message:
                self.signal = self.signal or message["signal"]
            elif "faults" in message:
                peer.left = True
                self._reports.setdefault(peer.rank, (time.monotonic(), _error(message)))
            elif "bye" in message:
                peer.left = True
        if messages is None:
            self._selector.unregister(line.connection)
            line.connection.close()
            del self._peers[line]
            if not peer.left:
                self._lost.append(peer)

    def _tell(self, **message: Any) -> None:
        for line in list(self._peers):
            line.send(**message)

    def _look(self) -> None:
        now = time.monotonic()
        failed = [(when, rank, error) for rank, (when, error) in self._reports.items() if error.exit_code < 128]
        if failed:
            when, rank, error = min(failed, key=lambda report: report[:2])
            if len(self._reports) == self.place.world_size or now - when > TOGETHER:
                # The same error of several processes is that of the command, not of one of them.
                same = sum(other.faults == error.faults for _, _, other in failed) > 1
                self._decide(error if same else _of_rank(rank, error), error.exit_code)
        elif self._lost:
            peer = self._lost[0]
            self._decide(died(peer.rank, peer.pid, peer.host), ProcessError.exit_code)
        elif self._reports and len(self._reports) + self._said_farewell() >= self.place.world_size:
            _, error = self._reports[min(self._reports)]
            self._decide(error, error.exit_code)
        else:
            self._look_for_hang(now)

    def _said_farewell(self) -> int:
        """Return how many of the others have done all of their part."""
        here = {peer.rank for peer in self._peers.values() if not peer.left}
        return self.place.world_size - len(here | set(self._reports) | {0})

    def _look_for_hang(self, now: float) -> None:
        own = Peer(0, begun=self.begun, since=self._since if self.waits else None, sign=self._sign)
        peers = [own, *(peer for peer in self._peers.values() if not peer.left)]
        waiting = [peer for peer in peers if peer.since is not None and now - peer.since > self._timeout]
        if not waiting:
            return
        busy = [peer for peer in peers if peer.since is None]
        hanging = [peer for peer in busy if now - peer.sign > self._timeout]
        if not busy:  # all wait: for one that is stopped, or that is behind
            fewest = min(peer.begun for peer in peers)
            stopped = [peer for peer in peers if now - peer.heard > max(self._timeout, 5 * BEAT)]
            hanging = stopped or [peer for peer in peers if peer.begun == fewest]
        if not hanging:
            return
        ranks = ", ".join(str(peer.rank) for peer in sorted(hanging, key=lambda peer: peer.rank))
        self._decide(hangs(ranks, self._timeout), ProcessError.exit_code)

    def _finish(self) -> None:
        self._tell(end=self._code)
        stop = time.monotonic() + UNWINDING + BEAT
        while self._peers and time.monotonic() < stop:
            for key, _ in self._selector.select(TICK):
                self._accept() if key.fileobj is self._server else self._read(key.data)
        for peer in self._peers.values():
            peer.kill()
        self._unwound()
        self._leave()


class Spoke(Watch):
    """The watch of every other rank.

    Args:
        published: what rank 0 published.
    """

    def __init__(self, place: Place, say: Callable[[MnfnError], None], published: str) -> None:
        super().__init__(place, say)
        host, port, key, pid, name = json.loads(published)
        self._first = Peer(0, pid, name)
        self._line = Line(socket.create_connection((host, port), timeout=30))
        self._line.send(rank=place.rank, pid=os.getpid(), host=socket.gethostname(), key=key)
        self._line.connection.settimeout(TICK)
        self._parted = False
        self._thread.start()

    def close(self) -> None:
        self._parted = True
        self._line.send(bye=True)

    def _report(self, error: MnfnError) -> None:
        self._line.send(faults=list(error.faults), code=error.exit_code)

    def _run(self) -> None:
        last = 0.0
        while not self._over.is_set():
            if time.monotonic() - last > BEAT:
                last = time.monotonic()
                self._line.send(**self._state())
            if self.signal != self._told:
                self._told = self.signal
                self._line.send(signal=self.signal)
            for message in self._messages():
                if "signal" in message:
                    self.signal = self._told = message["signal"]
                elif "bye" in message:
                    self._parted = True
                elif "begun" in message:
                    self._first.hear(message)
                elif "end" in message:
                    self._finish(message["end"])
                    return
            patience = self._timeout + 2 * BEAT * (
                1 if self.place.rank == 1 else 2
            )  # rank 1 speaks, so it is the first
            silent = time.monotonic() - max(self._since, self._first.sign) > patience
            if self.waits and silent and not self._parted:
                self._decide(hangs("0", self._timeout), ProcessError.exit_code, aloud=self.place.rank == 1)
                self._first.kill()
                self._finish(ProcessError.exit_code)

    def _messages(self) -> Iterator[Message]:
        messages = self._line.receive()
        if messages is not None:
            yield from messages
        elif self._parted:
            self._decided.set()
            self._over.set()
        else:
            error = died(0, self._first.pid, self._first.host)
            self._decide(error, error.exit_code, aloud=self.place.rank == 1)
            yield {"end": error.exit_code}

    def _finish(self, code: int) -> None:
        self._code = code
        self._decided.set()
        self._over.set()
        if not self._unwound():
            self._exit()


def died(rank: int, pid: int, host: str) -> ProcessError:
    """Return the error about a process that ended without a word."""
    return ProcessError(f"rank {rank}", f"process {pid} on {host} died: it was killed, or memory ran out")


def hangs(ranks: str, seconds: float) -> ProcessError:
    """Return the error about processes for which the others have waited too long."""
    return ProcessError(f"rank {ranks}", f"hangs: the others have waited for {seconds:g} s ({TIMEOUT} sets how long)")


def _error(message: Message) -> MnfnError:
    error = MnfnError("", "")
    error.faults, error.exit_code = tuple(message["faults"]), message["code"]
    return error


def _of_rank(rank: int, error: MnfnError) -> MnfnError:
    faults = [f"rank {rank}: {fault}" for fault in error.faults]
    return _error({"faults": faults, "code": error.exit_code})
