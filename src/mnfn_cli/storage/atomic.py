"""Files that appear complete under their name or not at all: write beside, fsync, rename."""

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mnfn_cli.errors import StorageError

TEMPORARY_SUFFIX = ".mnfn-tmp"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; what is written there takes the name ``path`` when the block ends well.

    Raises:
        StorageError: the folder cannot be written, the disk is full, or any other fault of the file system.
    """
    temporary = path.with_name(f".{path.name[:200]}.{os.getpid()}{TEMPORARY_SUFFIX}")
    try:
        with file_system_errors(path):
            yield temporary
            _give_default_permissions(temporary)
            _sync(temporary)
            temporary.replace(path)
            _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def file_system_errors(path: Path) -> Iterator[None]:
    """Turn an OSError inside the block into a ``StorageError`` that names ``path``."""
    try:
        yield
    except OSError as error:
        raise StorageError(error.filename or path, f"cannot write: {error.strerror or error}") from error


def write_bytes(path: Path, content: bytes) -> None:
    """Write a whole file atomically."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write a whole text file atomically, in UTF-8."""
    write_bytes(path, content.encode())


def to_json(document: Any) -> str:
    """Return indented JSON; a number that is not finite becomes null, for NaN is no JSON."""
    return json.dumps(_finite(document), indent=2, ensure_ascii=False, allow_nan=False)


def write_json(path: Path, document: Any) -> None:
    """Write a JSON document atomically."""
    write_text(path, to_json(document) + "\n")


def sweep(folder: Path) -> None:
    """Remove temporaries that a killed process left in ``folder``."""
    for stray in folder.glob(f".*{TEMPORARY_SUFFIX}"):
        stray.unlink(missing_ok=True)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return value


def _give_default_permissions(path: Path) -> None:
    # Some writers create their files for the owner alone; a file of ours is as open as the umask says.
    mask = os.umask(0)
    os.umask(mask)
    path.chmod(0o666 & ~mask)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
