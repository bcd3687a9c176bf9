"""Open files that come from elsewhere. What is no regular file is never read: a pipe or a device might never end."""

import errno
import os
import stat
from io import BufferedReader, FileIO
from pathlib import Path

from mnfn_cli.errors import DataError


class IrregularFileError(OSError):
    """A path leads to a folder, a pipe, a device or a socket, where a regular file is needed."""


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file to read its bytes. This never waits, whatever the path leads to.

    Raises:
        IrregularFileError: the path leads to something other than a regular file.
        OSError: the file system refuses.
    """
    return BufferedReader(open_raw(path))


def open_raw(path: Path) -> FileIO:
    """Open a regular file without a buffer, for a reader that takes much at once; otherwise like ``open_regular``."""
    return FileIO(path, opener=_open)


def read_regular(path: Path, most: int | None = None) -> bytes:
    """Return the bytes of a regular file, at most the first ``most`` of them; raises the errors of ``open_regular``."""
    with open_regular(path) as file:
        return file.read(-1 if most is None else most)


def check_regular_file(path: Path) -> None:
    """Check a file that a library will open by its path.

    Raises:
        DataError: the path leads to no file, or to something other than a regular file.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise DataError(path, f"cannot read: {getattr(error, 'strerror', None) or error}") from None
    if not stat.S_ISREG(mode):
        raise DataError(path, "is no regular file")


def refuse_placeholder(path: Path, start: bytes) -> None:
    """Raise ``DataError`` if the first bytes of a file are those of a page or a pointer that came in its place."""
    if start.startswith(b"version https://git-lfs"):
        raise DataError(path, "is a git-lfs pointer, not the file itself; fetch it with git lfs pull")
    if start.lstrip()[:5].lower() in (b"<!doc", b"<html"):
        raise DataError(path, "is an HTML page, not a file of weights; download it again")


def _open(path: str, flags: int) -> int:
    descriptor = os.open(path, flags | os.O_NONBLOCK)  # a pipe without a writer would keep us waiting
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise IrregularFileError(errno.EINVAL, "it is no regular file", path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
