"""Rank 0 heeds what another process says with its greeting and while it waits, and no connection of strangers."""

import json
import socket
import threading
import time

import pytest

from mnfn_cli.errors import InterruptedRun
from mnfn_cli.runtime import watch as watches
from mnfn_cli.runtime.first_watch import FirstWatch
from mnfn_cli.runtime.place import Place
from mnfn_cli.runtime.watch import LostError

REPORT = {"faults": ["zoo: this rank cannot go on"], "code": 3}


def lines(*messages):
    return b"".join(json.dumps(message).encode() + b"\n" for message in messages)


@pytest.mark.parametrize("stray", [b"GET / HTTP/1.1\r\n\r\n", b"[]\n", '{"key": "é"}\n'.encode(), b""])
def test_a_report_beside_the_greeting_ends_the_job_and_a_stranger_does_not(stray):
    said, published = [], []
    watch = FirstWatch(Place(0, 2), said.append, published.append)
    host, port, key, *_ = json.loads(published[0])
    with socket.create_connection((host, port)) as stranger:
        stranger.sendall(stray)
    with socket.create_connection((host, port)) as other:
        other.sendall(lines({"rank": 1, "pid": 0, "host": "", "key": key}, REPORT))
    assert watch.end(LostError("rank 0", "lost another process")) == 3
    assert [error.faults for error in said] == [("rank 1: zoo: this rank cannot go on",)]


def test_an_interrupted_job_does_not_wait_for_a_process_that_waits_for_it(monkeypatch):
    monkeypatch.setattr(watches, "SAVING", 1000.0)
    said, published, seen = [], [], b""
    watch = FirstWatch(Place(0, 2), said.append, published.append)
    host, port, key, *_ = json.loads(published[0])

    def wait_for_rank_0():
        nonlocal seen
        with socket.create_connection((host, port), timeout=0.2) as other:
            other.sendall(lines({"rank": 1, "pid": 0, "host": "", "key": key}))
            for _ in range(100):
                other.sendall(lines({"begun": 1, "waits": True, "idle": 0.0}))
                try:
                    seen += other.recv(1 << 16)
                except TimeoutError:
                    continue
                if b'"end"' in seen:
                    return
            other.sendall(lines(REPORT))  # give up

    waiting = threading.Thread(target=wait_for_rank_0)
    waiting.start()
    found = watch.end(InterruptedRun("out", "interrupted", exit_code=130))
    waiting.join()
    assert found == 130 and b'{"end": 130}' in seen
    assert [error.faults for error in said] == [("out: interrupted",)]


def test_a_process_whose_message_is_late_does_not_hang():
    said, published = [], []
    watch = FirstWatch(Place(0, 2), said.append, published.append)
    watch._timeout = 0.5
    host, port, key, *_ = json.loads(published[0])
    with socket.create_connection((host, port)) as other:
        other.sendall(lines({"rank": 1, "pid": 0, "host": "", "key": key}, {"begun": 1, "waits": True, "idle": 0.0}))
        for _ in range(20):  # rank 0 works
            watch.live()
            time.sleep(0.05)
        watch.wait(True)  # the first operation is over at once, and the second one begins
        watch.wait(False)
        watch.wait(True)
        time.sleep(0.5)
        other.sendall(lines({"begun": 2, "waits": False, "idle": 0.0}, {"bye": True}))
        time.sleep(0.5)
    watch.wait(False)
    watch.close()
    assert not said
