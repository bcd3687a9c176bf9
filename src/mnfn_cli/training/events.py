"""The event file of a run, which TensorBoard shows: the lines of metrics.jsonl once more, and never more than these.

A run has the file if it was started with ``--log tensorboard``, and keeps it up to date as long as it is there. It is
derived from metrics.jsonl, so it is not flushed to the disk; what a killed process left of it is mended from there.
"""

import os
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from math import isfinite
from pathlib import Path
from typing import Any

from mnfn_cli.errors import UsageError
from mnfn_cli.regular_files import read_regular
from mnfn_cli.storage.atomic import file_system_errors

EVENTS_FILE = "events.out.tfevents.mnfn"
"""TensorBoard finds a file by the word tfevents in its name."""

_VERSION = "brain.Event:2"


def require_tensorboard(where: object = "--log") -> None:
    """Check that the package is installed.

    Raises:
        UsageError: it is not.
    """
    if find_spec("tensorboard") is None:
        raise UsageError(where, "tensorboard is not installed; install it with: pip install 'mnfn[tensorboard]'")


def start_events(file: Path) -> None:
    """Write an event file without figures."""
    with file_system_errors(file):
        file.write_bytes(b"")
    _append(file, file_version=_VERSION)


def append_events(file: Path, line: Mapping[str, float | None]) -> None:
    """Append the finite figures of a line of metrics.jsonl to an event file, in single precision."""
    from tensorboard.compat.proto.summary_pb2 import Summary

    figures = {name: value for name, value in line.items() if name != "step" and _is_figure(value)}
    values = [Summary.Value(tag=name, simple_value=value) for name, value in figures.items()]
    _append(file, step=int(line["step"] or 0), summary=Summary(value=values))


def take_up_events(file: Path, lines: Sequence[Mapping[str, float | None]]) -> None:
    """Make an event file hold what metrics.jsonl holds, when a run continues.

    What follows the last line that both have in common is cut off, and lines that are missing are appended.

    Args:
        file: the event file.
        lines: the lines of metrics.jsonl.

    Raises:
        StorageError: the file cannot be read or written.
    """
    from tensorboard.compat.proto.event_pb2 import SessionLog

    steps = [int(line["step"] or 0) for line in lines]
    kept = end = 0
    with file_system_errors(file):
        content = read_regular(file)
    for step, after in _records(content):
        if step is not None:
            if kept == len(steps) or step != steps[kept]:
                break
            kept += 1
        end = after
    if not end:
        start_events(file)
    else:
        with file_system_errors(file):
            os.truncate(file, end)
    # A TensorBoard that has read further forgets what it read from this step on.
    _append(file, step=max(steps[:kept], default=-1) + 1, session_log=SessionLog(status=SessionLog.START))
    for line in lines[kept:]:
        append_events(file, line)


def _is_figure(value: object) -> bool:
    return isinstance(value, int | float) and isfinite(value)


def _append(file: Path, **event: Any) -> None:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.summary.writer.record_writer import RecordWriter

    with file_system_errors(file), file.open("ab") as opened:
        RecordWriter(opened).write(Event(wall_time=time.time(), **event).SerializeToString())


def _records(content: bytes) -> Iterator[tuple[int | None, int]]:
    """Yield the step of each whole record with figures, None for others, and the place where the record ends."""
    from google.protobuf.message import DecodeError
    from tensorboard.compat.proto.event_pb2 import Event

    start = 0
    while start + 12 <= len(content):
        (length,) = struct.unpack_from("<Q", content, start)
        end = start + 12 + length + 4
        if end > len(content):
            return
        try:
            event = Event.FromString(content[start + 12 : end - 4])
        except DecodeError:
            return
        yield (event.step if event.HasField("summary") else None), end
        start = end
