"""The watch of rank 0, which hears of all other ranks and decides what ended the job."""

import json
import os
import secrets
import selectors
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any

from mnfn_cli.errors import MnfnError, ProcessError
from mnfn_cli.runtime.peer import Line, Message, Peer, died, hangs
from mnfn_cli.runtime.place import Place
from mnfn_cli.runtime.watch import BEAT, TICK, UNWINDING, Watch

TOGETHER = 0.5
"""Seconds after the first error within which others belong to it: an error of all is named without a rank."""


class FirstWatch(Watch):
    """The watch of rank 0.

    Args:
        place: the place of this process.
        say: a function that prints an error.
        publish: a function that gives a text to all other ranks, who find this process by it.
    """

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
        publish(json.dumps([host, port, self._key, os.getpid(), socket.gethostname()], allow_nan=False))
        self._thread.start()

    def close(self) -> None:
        for line in list(self._peers):
            line.send(bye=True)
        self._over.set()

    def _report(self, error: MnfnError) -> None:
        self._reports[0] = (time.monotonic(), error)

    def _run(self) -> None:
        with self._server, self._selector:
            self._watch_others()

    def _watch_others(self) -> None:
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
        hello, *more = line.receive() or [{}]
        key = hello.get("key") if isinstance(hello, dict) else None
        if not secrets.compare_digest(str(key).encode(), self._key.encode()):
            connection.close()
            return
        self._peers[line] = Peer(hello["rank"], hello["pid"], hello["host"])
        self._selector.register(connection, selectors.EVENT_READ, line)
        self._hear(self._peers[line], more)

    def _read(self, line: Line) -> None:
        peer, messages = self._peers[line], line.receive()
        self._hear(peer, messages or ())
        if messages is None:
            self._selector.unregister(line.connection)
            line.connection.close()
            del self._peers[line]
            if not peer.left:
                self._lost.append(peer)

    def _hear(self, peer: Peer, messages: Iterable[Message]) -> None:
        for message in messages:
            if "begun" in message:
                peer.hear(message)
            elif "signal" in message:
                self.signal = self.signal or message["signal"]
            elif "faults" in message:
                peer.left = True
                self._reports.setdefault(peer.rank, (time.monotonic(), _error(message)))
            elif "bye" in message:
                peer.left = True

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
        elif self._reports and all(self._has_ended(peer, now) for peer in self._here()):
            _, error = self._reports[min(self._reports)]
            self._decide(error, error.exit_code)
        else:
            self._look_for_hang(now)

    def _here(self) -> list[Peer]:
        """Return what is known of this process and of the others that have neither failed nor done their part."""
        own = Peer(0, begun=self.begun, since=self._since if self.waits else None, sign=self._sign)
        return [own, *(peer for peer in self._peers.values() if not peer.left)]

    def _has_ended(self, peer: Peer, now: float) -> bool:
        """Return whether a process was interrupted, or waits for one that was."""
        return peer.rank in self._reports or self._is_stuck(peer, now)

    def _is_stuck(self, peer: Peer, now: float) -> bool:
        """Return whether a process waits in one operation for longer than its messages may be late."""
        return peer.since is not None and now - peer.since > 2 * BEAT

    def _look_for_hang(self, now: float) -> None:
        peers = self._here()
        waiting = [peer for peer in peers if peer.since is not None and now - peer.since > self._timeout]
        if not waiting:
            return
        busy = [peer for peer in peers if peer.since is None]
        hanging = [peer for peer in busy if now - peer.sign > self._timeout]
        if all(self._is_stuck(peer, now) for peer in peers):  # all wait: for one that is stopped, or that is behind
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


def _error(message: Message) -> MnfnError:
    error = MnfnError("", "")
    error.faults, error.exit_code = tuple(message["faults"]), message["code"]
    return error


def _of_rank(rank: int, error: MnfnError) -> MnfnError:
    faults = [f"rank {rank}: {fault}" for fault in error.faults]
    return _error({"faults": faults, "code": error.exit_code})
