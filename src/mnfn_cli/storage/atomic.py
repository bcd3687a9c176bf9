"""Atomic writing: a file is written under a temporary name beside its own, flushed to the disk, and renamed."""

import hashlib
import itertools
import json
import math
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mnfn_cli.errors import OutputError, StorageError, unicode_text
from mnfn_cli.regular_files import open_regular

TEMPORARY_SUFFIX = ".mnfn-tmp"
_TEMPORARY = re.compile(rf"\.(?P<name>.+)\.(?P<process>\d+)(-\d+)?{re.escape(TEMPORARY_SUFFIX)}", re.DOTALL)
_SAFETENSORS_TEMPORARY = re.compile(r"\.tmp\w{6}", re.ASCII)
_NO_CHARACTER = re.compile("[\ud800-\udfff]")
_CONTENT = "content"
NOT_FINITE = "not_finite"
"""The key of a JSON object that names its numbers that are NaN or infinite; they are null."""

_SPECIAL = {
    stat.S_IFREG: None,
    stat.S_IFDIR: None,
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; what is written there takes the name ``path`` when the block ends well.

    Raises:
        OutputError: ``path`` is a folder, a link, a device, a pipe or a socket.
        StorageError: the folder cannot be written, the disk is full, or the file system fails otherwise.
    """
    with file_system_errors(path):
        if path.is_dir() or kind_of_special_file(path):
            raise OutputError(path, "is no regular file, and is not replaced by one")
    temporary = free_temporary(path)
    try:
        with file_system_errors(path):
            yield temporary
            sync(temporary)
            temporary.replace(path)
            sync(path.parent)
    finally:
        with file_system_errors(path):
            temporary.unlink(missing_ok=True)


@contextmanager
def file_system_errors(path: Path) -> Iterator[None]:
    """Turn an OSError inside the block into a ``StorageError`` that names ``path``."""
    try:
        yield
    except OSError as error:
        raise StorageError(error.filename or path, f"cannot write: {error.strerror or error}") from error


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically; raises the errors of ``replacing``."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write a UTF-8 text file atomically; raises the errors of ``replacing``.

    What is no character, as in names of files that are not UTF-8, is escaped.
    """
    write_bytes(path, unicode_text(content).encode())


def to_json(document: Any, *, indent: int | None = 2) -> str:
    """Return JSON, in which NaN and infinite numbers are null, and what is no character is escaped.

    An object with such a number, at any depth, gets the key ``not_finite`` with a list of their places, such as
    ``test.tau``. Of a list, such as a table, each object is marked by itself.
    """
    marked = [_marked(entry) for entry in document] if isinstance(document, list | tuple) else _marked(document)
    text = json.dumps(marked, indent=indent, ensure_ascii=False, allow_nan=False)
    return _NO_CHARACTER.sub(lambda found: rf"\u{ord(found[0]):04x}", text)


def write_json(path: Path, document: Any) -> None:
    """Write a JSON file atomically; raises the errors of ``replacing``."""
    write_text(path, to_json(document) + "\n")


def free_temporary(path: Path) -> Path:
    """Return an unused path beside ``path``, named ``.NAME.PID.mnfn-tmp``."""
    for number in itertools.count():
        again = f"-{number}" if number else ""
        temporary = path.with_name(f".{path.name[:200]}.{os.getpid()}{again}{TEMPORARY_SUFFIX}")
        if not os.path.lexists(temporary):
            break
    return temporary


def is_temporary(path: Path) -> bool:
    """Return whether ``path`` has the name of a temporary, and is a file or a folder such as older versions made."""
    if _TEMPORARY.fullmatch(path.name) is None or path.is_symlink():
        return False
    return path.is_file() or (path.is_dir() and all(map(_is_written_apart, path.iterdir())))


def temporaries_of(path: Path, process: int | None = None) -> list[Path]:
    """Return all files and folders that have a temporary name of ``path``, given by any process or by this one."""
    if not path.parent.is_dir():
        return []
    named = ((found, _TEMPORARY.fullmatch(found.name)) for found in path.parent.iterdir())
    ours = ((found, match["process"]) for found, match in named if match and match["name"] == path.name[:200])
    return [found for found, number in ours if process is None or int(number) == process]


def remove_temporaries_of(path: Path, process: int) -> None:
    """Remove the temporaries of ``path`` that a process left; its number must be known from a lock that it held."""
    for stray in temporaries_of(path, process):
        if is_temporary(stray):
            _remove(stray)


def remove_temporaries(folder: Path) -> None:
    """Remove the temporary files that a killed process left in ``folder``, which must be a folder of mnfn."""
    for stray in folder.glob(f".*{TEMPORARY_SUFFIX}"):
        if is_temporary(stray):
            _remove(stray)


def kind_of_special_file(path: Path) -> str | None:
    """Return "a symbolic link", "a device" and the like; None for a regular file, a folder or an unused path."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return None
    return _SPECIAL.get(stat.S_IFMT(mode), "a device")


def sha256(path: Path) -> str:
    """Return a file's SHA-256 as hexadecimal text; raises the errors of ``open_regular``."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_written_apart(path: Path) -> bool:
    """Return whether a file in a temporary folder is on the way to a mark, or one of an older version's safetensors."""
    known = path.name == _CONTENT or any(name.fullmatch(path.name) for name in (_SAFETENSORS_TEMPORARY, _TEMPORARY))
    return known and not path.is_symlink() and path.is_file()


def _remove(temporary: Path) -> None:
    if temporary.is_dir():
        for path in temporary.iterdir():
            path.unlink()
        temporary.rmdir()
    else:
        temporary.unlink(missing_ok=True)


def _marked(value: Any) -> Any:
    wrong: list[str] = []
    finite = _finite(value, "", wrong)
    return finite | {NOT_FINITE: wrong} if wrong and isinstance(finite, dict) else finite


def _finite(value: Any, place: str, wrong: list[str]) -> Any:
    """Return a value with None for numbers that are not finite, whose places are appended to ``wrong``."""
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        wrong.append(place.removeprefix("."))
    elif isinstance(value, dict):
        return {key: _finite(entry, f"{place}.{key}", wrong) for key, entry in value.items()}
    elif isinstance(value, list | tuple):
        return [_finite(entry, f"{place}.{number}", wrong) for number, entry in enumerate(value)]
    else:
        return value
    return None


def sync(path: Path) -> None:
    """Flush a file, or the renames in a folder, to the disk (fsync)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
