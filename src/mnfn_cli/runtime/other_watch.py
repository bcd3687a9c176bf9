"""The watch of every rank but 0, which tells rank 0 of itself and ends when rank 0 says so, dies or hangs."""

import json
import os
import socket
import time
from collections.abc import Callable, Iterator

from mnfn_cli.errors import MnfnError, ProcessError
from mnfn_cli.runtime.peer import Line, Message, Peer, died, hangs
from mnfn_cli.runtime.place import Place
from mnfn_cli.runtime.watch import BEAT, TICK, Watch


class OtherWatch(Watch):
    """The watch of every other rank.

    Args:
        place: the place of this process.
        say: a function that prints an error.
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
            # Rank 1 speaks, so it is the first.
            patience = self._timeout + 2 * BEAT * (1 if self.place.rank == 1 else 2)
            # If rank 0 waits too, for a third rank, it decides how long, unless it sends no more messages.
            sign = self._first.sign if self._first.since is None else self._first.heard
            silent = time.monotonic() - max(self._since, sign) > patience
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
