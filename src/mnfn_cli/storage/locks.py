"""Locks that allow one process at a time to write an output. The lock file names the process."""

import errno
import fcntl
import os
import re
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mnfn_cli.errors import OutputError, StorageError
from mnfn_cli.storage.atomic import file_system_errors
from mnfn_cli.storage.marks import lock_path

_CONTENT = re.compile(rb"mnfn: (process \d+ on [^\n]*)\n")


@contextmanager
def locked(output: Path) -> Iterator[None]:
    """Hold the lock of ``output``, a file ``.NAME.mnfn-lock`` beside it, inside the block.

    The lock is advisory (``flock``), so the kernel releases it even if the process is killed.

    Raises:
        OutputError: another process, which the message names, holds the lock; or the file is not a lock of mnfn.
        StorageError: the lock file cannot be written.
    """
    path = lock_path(output)
    descriptor = _acquire(path, output)
    # An empty file may be the user's: it is locked, but neither written nor deleted.
    ours = _CONTENT.fullmatch(_read(descriptor)) is not None
    try:
        if ours:
            _write(descriptor)
        yield
    finally:
        if ours and _names(path, descriptor):
            path.unlink()
        os.close(descriptor)


def refuse_foreign_lock(output: Path) -> None:
    """Check that the lock file of ``output`` does not exist, or is a lock of mnfn.

    Raises:
        OutputError: the file is something else.
    """
    path = lock_path(output)
    try:
        if stat.S_ISREG(path.lstat().st_mode) and _is_lock(path.read_bytes()[:400]):
            return
    except FileNotFoundError:
        return
    raise OutputError(path, "is in the way and not a lock of mnfn; rename it, or choose another output")


def _acquire(path: Path, output: Path) -> int:
    """Return the descriptor of the lock file, locked."""
    while True:
        with file_system_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = _open(path, output)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            named = _CONTENT.fullmatch(_read(descriptor))
            holder = named[1].decode(errors="replace") if named else "another process"
            os.close(descriptor)
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise StorageError(path, f"cannot lock: {error.strerror}") from error
            raise OutputError(output, f"in use by {holder}; wait for it or choose another output") from None
        # The previous holder may have removed the file between open and flock; then the lock is worthless.
        if _names(path, descriptor):
            return descriptor
        os.close(descriptor)


def _open(path: Path, output: Path) -> int:
    """Return a descriptor of the lock file, after creating it if necessary."""
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            _write(descriptor)
            return descriptor
        except FileExistsError:
            refuse_foreign_lock(output)
        try:
            return os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            continue


def _is_lock(content: bytes) -> bool:
    return not content or _CONTENT.fullmatch(content) is not None


def _read(descriptor: int) -> bytes:
    return os.pread(descriptor, 400, 0)


def _write(descriptor: int) -> None:
    content = f"mnfn: process {os.getpid()} on {socket.gethostname()}\n".encode()
    os.pwrite(descriptor, content, 0)
    os.truncate(descriptor, len(content))


def _names(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False
