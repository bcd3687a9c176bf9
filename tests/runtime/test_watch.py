"""Rank 0 heeds what another process says with its greeting, and no connection of strangers."""

import json
import socket

import pytest

from mnfn_cli.runtime.first_watch import FirstWatch
from mnfn_cli.runtime.place import Place
from mnfn_cli.runtime.watch import LostError


@pytest.mark.parametrize("stray", [b"GET / HTTP/1.1\r\n\r\n", b"[]\n", '{"key": "é"}\n'.encode(), b""])
def test_a_report_beside_the_greeting_ends_the_job_and_a_stranger_does_not(stray):
    said, published = [], []
    watch = FirstWatch(Place(0, 2), said.append, published.append)
    host, port, key, *_ = json.loads(published[0])
    with socket.create_connection((host, port)) as stranger:
        stranger.sendall(stray)
    greeting = {"rank": 1, "pid": 0, "host": "", "key": key}
    report = {"faults": ["zoo: this rank cannot go on"], "code": 3}
    with socket.create_connection((host, port)) as other:
        other.sendall(b"".join(json.dumps(message).encode() + b"\n" for message in (greeting, report)))
    assert watch.end(LostError("rank 0", "lost another process")) == 3
    assert [error.faults for error in said] == [("rank 1: zoo: this rank cannot go on",)]
