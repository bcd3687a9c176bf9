"""Locks that allow one process at a time to write an output. The lock file names the process.

A process that is killed leaves its lock file, and temporaries that carry its number. The kernel has released the lock,
so the next process that takes it knows that these temporaries are of mnfn and dead, and removes them.
"""

import errno
import fcntl
import os
import re
import socket
import stat
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mnfn_cli.errors import OutputError, StorageError
from mnfn_cli.storage.atomic import file_system_errors, remove_temporaries_of
from mnfn_cli.storage.marks import lock_path

_CONTENT = re.compile(rb"mnfn: (?P<holder>process (?P<number>\d+) on [^\n]*?) *\n")
_LONGEST = 400
_WITHOUT_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)
_WITHOUT_UNNAMED = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT, errno.EPERM, errno.EXDEV)
_lent: set[Path] = set()  # outputs whose lock this process holds for the next block in it that needs the lock


@contextmanager
def locked(output: Path) -> Iterator[None]:
    """Hold the lock of ``output``, a file ``.NAME.mnfn-lock`` beside it, inside the block.

    The lock is advisory (``flock``), so the kernel releases it even if the process is killed. Where the file system
    has no such locks, the file itself is the lock, and a user must remove the one that a killed process left.

    Raises:
        OutputError: another process, which the message names, holds the lock; or the file is not a lock of mnfn.
        StorageError: the lock file cannot be written.
    """
    resolved = _resolved(output)
    if resolved in _lent:
        _lent.remove(resolved)
        try:
            yield
        finally:
            _lent.add(resolved)
        return
    path = lock_path(output)
    with file_system_errors(path):
        descriptor = _acquire(path, output)
    ours = False
    try:
        with file_system_errors(path):
            # An empty file may be the user's: it is locked, but neither written nor deleted.
            if before := _CONTENT.fullmatch(_read(descriptor)):
                ours = True
                remove_temporaries_of(output, int(before["number"]))
                _write(descriptor, len(before[0]))
        yield
    finally:
        with file_system_errors(path):
            try:
                if ours and _names(path, descriptor):
                    remove_temporaries_of(output, os.getpid())  # if that failed before; else the lock stays, for others
                    path.unlink()
            finally:
                os.close(descriptor)


@contextmanager
def locked_for_parts(outputs: Iterable[Path]) -> Iterator[None]:
    """Hold the locks of ``outputs`` inside the block, and lend each to any ``locked`` block in it, one at a time.

    Raises:
        OutputError, StorageError: as ``locked`` does.
    """
    with ExitStack() as stack:
        for output in outputs:
            stack.enter_context(locked(output))
            _lent.add(resolved := _resolved(output))
            stack.callback(_lent.discard, resolved)
        yield


def is_left_locked(output: Path) -> bool:
    """Return whether there is a lock file of mnfn for ``output``, held or left by a process that was killed."""
    path = lock_path(output)
    try:
        return stat.S_ISREG(path.lstat().st_mode) and _CONTENT.fullmatch(_start(path)) is not None
    except OSError:
        return False


def refuse_foreign_lock(output: Path) -> None:
    """Check that the lock file of ``output`` does not exist, or is a lock of mnfn.

    Raises:
        OutputError: the file is something else.
    """
    path = lock_path(output)
    try:
        if stat.S_ISREG(path.lstat().st_mode):
            content = _start(path)
            if not content or _CONTENT.fullmatch(content):
                return
    except FileNotFoundError:
        return
    raise OutputError(path, "is in the way and not a lock of mnfn; rename it, or choose another output")


def _resolved(output: Path) -> Path:
    """Return the output's name in the folder that it really is in, whatever links lead there."""
    return Path(os.path.realpath(output.parent), output.name)


def _acquire(path: Path, output: Path) -> int:
    """Return the descriptor of the lock file, locked."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, new = _open(path, output)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if new and error.errno in _WITHOUT_LOCKS:
                return descriptor
            named = _CONTENT.fullmatch(_read(descriptor))
            holder = named["holder"].decode(errors="replace") if named else "another process"
            os.close(descriptor)
            if error.errno in _WITHOUT_LOCKS:
                problem = f"is held by {holder}; this file system has no locks, so if that ended, remove the file"
                raise OutputError(path, problem) from None
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise StorageError(path, f"cannot lock: {error.strerror}") from error
            raise OutputError(output, f"in use by {holder}; wait for it or choose another output") from None
        # The previous holder may have removed the file between open and flock; then the lock is worthless.
        if _names(path, descriptor):
            return descriptor
        os.close(descriptor)


def _open(path: Path, output: Path) -> tuple[int, bool]:
    """Return a descriptor of the lock file, and whether it is new."""
    while True:
        try:
            return _create(path), True
        except FileExistsError:
            refuse_foreign_lock(output)
        try:
            return os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC), False
        except FileNotFoundError:
            continue


def _create(path: Path) -> int:
    """Make the lock file, with its content where the file system can give a name to a file without one."""
    with _where_supported():
        descriptor = os.open(path.parent, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o666)
        try:
            _write(descriptor)
            # With a folder given, the link is followed, which os.link does not do otherwise.
            os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=descriptor)
            return descriptor
        except BaseException:
            os.close(descriptor)
            raise
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        _write(descriptor)
    except BaseException:
        path.unlink()
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def _where_supported() -> Iterator[None]:
    """End the block where the system or the file system knows no files without a name, or cannot name them."""
    try:
        yield
    except AttributeError:
        return
    except OSError as error:
        if error.errno not in _WITHOUT_UNNAMED:
            raise


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_LONGEST)


def _read(descriptor: int) -> bytes:
    return os.pread(descriptor, _LONGEST, 0)


def _write(descriptor: int, size: int = 0) -> None:
    """Write the content in one call, over all that was there: a process may be killed between two."""
    content = f"mnfn: process {os.getpid()} on {socket.gethostname()}".encode().ljust(size - 1) + b"\n"
    os.pwrite(descriptor, content, 0)


def _names(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False
