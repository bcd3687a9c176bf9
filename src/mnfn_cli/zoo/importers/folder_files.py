"""Find files in a folder that a user names, without following a link out of it, and give each network an id."""

import hashlib
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from mnfn_cli.errors import DataError
from mnfn_cli.weightspace.naming import natural_key

LONGEST_ID = 120
"""The number of characters to which the name of a file is shortened in an id, which has to be a file name again."""

_UNSAFE = re.compile(r"[^\w .+-]+", re.ASCII)


def source_root(path: Path, holds: str) -> Path:
    """Return a folder to import from, after a look at what it is.

    Args:
        path: the folder that the user named.
        holds: what should be in it, for errors.

    Raises:
        DataError: there is no such folder, it is a file, or it is a zoo of mnfn.
    """
    if not path.exists():
        raise DataError(path, "no such folder")
    if not path.is_dir():
        raise DataError(path, f"is a file; name the folder that holds {holds}")
    if (path / "zoo.json").is_file():
        raise DataError(path, "is a zoo of mnfn already")
    return path


def find_files(root: Path, wanted: Callable[[Path], bool]) -> tuple[list[Path], list[DataError]]:
    """Find files below a folder, at any depth. Hidden files and folders are passed by.

    A link to a file inside the folder is read like a file. A link to a folder inside is not followed, since its files
    are found in their own place.

    Args:
        root: the folder.
        wanted: a function that tells from a path relative to ``root`` whether the file is one of those to find.

    Returns:
        paths relative to ``root``, in natural order (2 before 10); and an error for each wanted file that is a broken
        link or a link out of the folder, and for each folder that is one or cannot be read.
    """
    inside = root.resolve()
    found: list[Path] = []
    errors: list[DataError] = []

    def unreadable(error: OSError) -> None:
        errors.append(DataError(error.filename or root, f"cannot read: {error.strerror}"))

    for place, folders, names in os.walk(root, onerror=unreadable):
        here = Path(place)
        folders[:] = [name for name in folders if not name.startswith(".")]
        links = [name for name in folders if (here / name).is_symlink()]
        files = [name for name in names if not name.startswith(".") and wanted((here / name).relative_to(root))]
        for name in [*links, *files]:
            path = here / name
            if path.is_symlink() and (problem := _bad_link(path, inside)):
                errors.append(DataError(path, problem))
            elif name in files:
                found.append(path.relative_to(root))
    return sorted(found, key=lambda path: natural_key(path.as_posix())), errors


def network_ids(names: Sequence[str]) -> list[str]:
    """Return an id for each name, all different, with characters that a file name can have on any system.

    Names keep leading zeros: ``001`` and ``1`` are different. Names that differ only in characters that an id cannot
    have get a number.

    >>> network_ids(["001", "1", "a/b", "a?b"])
    ['001', '1', 'a_b', 'a_b-2']
    """
    ids: list[str] = []
    taken: set[str] = set()
    numbers: dict[str, int] = {}
    for name in names:
        plain = _UNSAFE.sub("_", name).lstrip(" .-").rstrip() or "_"
        if len(plain) > LONGEST_ID:
            digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()
            plain = f"{plain[:LONGEST_ID]}-{digest[:8]}"
        free = plain
        while free in taken:
            numbers[plain] = numbers.get(plain, 1) + 1
            free = f"{plain}-{numbers[plain]}"
        taken.add(free)
        ids.append(free)
    return ids


def _bad_link(path: Path, inside: Path) -> str | None:
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):  # a loop of links is a RuntimeError before Python 3.13
        return "is a link to nothing"
    return None if target.is_relative_to(inside) else "is a link that leads out of the folder"
