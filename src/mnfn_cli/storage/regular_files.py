"""Look at files that come from elsewhere before they are read."""

import os
import stat
from io import FileIO
from pathlib import Path

from mnfn_cli.errors import DataError

_AT_ONCE = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def check_regular_file(path: Path) -> None:
    """Raise ``DataError`` unless ``path`` is a regular file; reading a pipe or a device might never end."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise DataError(path, f"cannot read: {error.strerror}") from None
    if not stat.S_ISREG(mode):
        raise DataError(path, "is no regular file")


def open_regular_file(path: Path) -> tuple[FileIO, int]:
    """Open a regular file and return it with its size in bytes.

    A pipe without a writer does not keep it waiting, and is refused with other special files.

    Raises:
        DataError: the file cannot be opened, or is no regular file.
    """
    try:
        file = FileIO(path, opener=lambda name, flags: os.open(name, flags | _AT_ONCE))
    except OSError as error:
        check_regular_file(path)
        raise DataError(path, f"cannot read: {error.strerror}") from None
    found = os.fstat(file.fileno())
    if not stat.S_ISREG(found.st_mode):
        file.close()
        raise DataError(path, "is no regular file")
    return file, found.st_size


def refuse_placeholder(path: Path, start: bytes) -> None:
    """Raise ``DataError`` if the first bytes of a file are those of a page or a pointer that came in its place."""
    if start.startswith(b"version https://git-lfs"):
        raise DataError(path, "is a git-lfs pointer, not the file itself; fetch it with git lfs pull")
    if start.lstrip()[:5].lower() in (b"<!doc", b"<html"):
        raise DataError(path, "is an HTML page, not a file of weights; download it again")
