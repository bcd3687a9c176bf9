"""One writer at a time: an advisory lock that names its holder."""

import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mnfn_cli.errors import OutputError, StorageError
from mnfn_cli.storage.atomic import file_system_errors


@contextmanager
def locked(output: Path) -> Iterator[None]:
    """Hold the lock of ``output`` (a file ``.NAME.lock`` beside it) inside the block.

    The kernel releases it when the process ends, however it ends; the file then holds nothing that matters.

    Raises:
        OutputError: another process holds it; the message names that process.
        StorageError: the lock file cannot be written.
    """
    path = output.with_name(f".{output.name}.lock")
    descriptor = _acquire(path, output)
    try:
        os.truncate(descriptor, 0)
        os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode())
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _acquire(path: Path, output: Path) -> int:
    """Return the descriptor of the lock file, locked."""
    while True:
        with file_system_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(descriptor, 200).decode(errors="replace").strip() or "another process"
            os.close(descriptor)
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise StorageError(path, f"cannot lock: {error.strerror}") from error
            raise OutputError(output, f"in use by {holder}; wait for it or choose another output") from None
        # The holder before may have removed the file between our open and our lock: then it is nobody's lock.
        if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
        os.close(descriptor)
