"""The file metrics.jsonl of a run: one JSON object for each validation. A run's event file follows it."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from mnfn_cli.errors import DataError
from mnfn_cli.regular_files import read_regular
from mnfn_cli.storage.atomic import file_system_errors, to_json
from mnfn_cli.training.events import EVENTS_FILE, append_events, take_up_events
from mnfn_cli.training.state import Position


def append_metrics(path: Path, line: Mapping[str, float | None]) -> None:
    """Append the figures of one validation to ``path`` as a line of JSON, and flush it to the disk."""
    text = to_json(line, indent=None)
    with file_system_errors(path), path.open("a", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    if (events := path.with_name(EVENTS_FILE)).exists():
        append_events(events, line)


def take_up_metrics(path: Path, position: Position) -> None:
    """Prepare the file of a run that continues: lines written after the state from which it continues are removed.

    Args:
        path: the file.
        position: the position in the state; a new one if there is no state.

    Raises:
        DataError: the file lacks lines that were there when the state was written, or holds others.
        StorageError: the file cannot be written.
    """
    try:
        content = read_regular(path)
    except FileNotFoundError:
        content = b""
    except OSError as error:
        raise DataError(path, f"cannot read: {error.strerror}") from None
    known, lines, anew = content[: position.metrics_bytes], content.count(b"\n"), "train anew with --force"
    if not position.metrics_bytes and lines > 1:  # the first state follows the first line
        problem = f"{lines} validations, and the training states that followed them are gone; {anew}"
        raise DataError(path, problem)
    if len(known) < position.metrics_bytes:
        raise DataError(path, f"{len(known)} bytes, the newest training state says {position.metrics_bytes}; {anew}")
    if position.metrics_sha256 and hashlib.sha256(known).hexdigest() != position.metrics_sha256:
        raise DataError(path, f"was changed or damaged since the newest training state was written; {anew}")
    with file_system_errors(path), path.open("ab") as file:
        file.truncate(position.metrics_bytes)
    if (events := path.with_name(EVENTS_FILE)).exists():
        take_up_events(events, [json.loads(line) for line in known.splitlines()])
