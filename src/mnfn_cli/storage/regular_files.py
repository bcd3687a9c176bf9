"""Look at files that come from elsewhere before they are read."""

import stat
from pathlib import Path

from mnfn_cli.errors import DataError


def check_regular_file(path: Path) -> None:
    """Raise ``DataError`` unless ``path`` is a regular file; reading a pipe or a device might never end."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise DataError(path, f"cannot read: {error.strerror}") from None
    if not stat.S_ISREG(mode):
        raise DataError(path, "is no regular file")


def refuse_placeholder(path: Path, start: bytes) -> None:
    """Raise ``DataError`` if the first bytes of a file are those of a page or a pointer that came in its place."""
    if start.startswith(b"version https://git-lfs"):
        raise DataError(path, "is a git-lfs pointer, not the file itself; fetch it with git lfs pull")
    if start.lstrip()[:5].lower() in (b"<!doc", b"<html"):
        raise DataError(path, "is an HTML page, not a file of weights; download it again")
