"""Trace the changes that a command makes to the file system; kill it, or let a call fail, at one of them (strace)."""

import re
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass

import pytest

CHANGES = {
    "open": ("openat", "open", "creat"),
    "write": ("write", "pwrite64", "writev", "pwritev", "copy_file_range", "sendfile", "fallocate"),
    "fsync": ("fsync", "fdatasync"),
    "rename": ("rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat"),
    "unlink": ("unlink", "unlinkat", "rmdir"),
    "mkdir": ("mkdir", "mkdirat"),
    "truncate": ("truncate", "ftruncate"),
    "mode": ("chmod", "fchmod", "fchmodat"),
}
CALLS = {call: kind for kind, calls in CHANGES.items() for call in calls}
_LINE = re.compile(r"^(?P<call>\w+)\((?P<rest>.*)$")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ANGLED = re.compile(r"\d+<([^>]*)>")
_FAILED = re.compile(r" = -1 E[A-Z]+ ")
_WRITES = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC")
_NUMBER = re.compile(r"[.#]\d+")  # of a process, or of a file that has no name
TRIES = 5
"""How often a run is repeated that made other calls before the chosen one than the traced run did."""


@dataclass(frozen=True)
class Change:
    """A call that changes the file system.

    Args:
        call: the name of the system call.
        number: the how manieth call of this name it is, from 1.
        paths: the paths that it names, relative to the traced folder where they lie in it.
    """

    call: str
    number: int
    paths: tuple[str, ...]

    @property
    def kind(self):
        return CALLS[self.call]

    def __str__(self):
        return f"{self.call} {self.number} {' -> '.join(self.paths)}"


def _can_trace():
    if shutil.which("strace") is None:
        return False
    tried = subprocess.run(["strace", "-qq", "-e", "inject=getppid:retval=1", "true"], capture_output=True)
    return tried.returncode == 0


needs_strace = pytest.mark.skipif(not _can_trace(), reason="strace is missing, or may trace nothing here")


def traced(world, argv, place, **options):
    """Run a command under strace; return how it ended, and its changes below ``place`` in their order."""
    file = world.root / "trace"
    words = ["-y", "-s", "0", "-o", str(file), "-e", f"trace={','.join('?' + call for call in CALLS)}"]
    ended = world.run(argv, strace=words, **options)
    return ended, changes_in(file.read_text(errors="replace").splitlines(), str(place))


def changes_in(lines, place):
    """Return the changes below the folder ``place`` in the lines that strace wrote."""
    numbers, found = Counter(), []
    for line in lines:
        match = _LINE.match(line)
        if match is None or match["call"] not in CALLS:
            continue
        numbers[match["call"]] += 1
        if _FAILED.search(match["rest"]):  # such as mkdir of what exists
            continue
        inside = _paths(match, place)
        if inside and (CALLS[match["call"]] != "open" or _WRITES.search(match["rest"])):
            found.append(Change(match["call"], numbers[match["call"]], inside))
    return found


def _paths(match, place):
    """Return the paths that a call names, relative to the folder ``place`` where they lie in it."""
    paths = [*_ANGLED.findall(match["rest"].partition(" = ")[0])]
    # strace -s 0 hides what is written; names of files are shown whole.
    paths += [path for path in _QUOTED.findall(match["rest"]) if path] if CALLS[match["call"]] != "write" else []
    return tuple(
        path.removeprefix(place).lstrip("/")
        for path in paths
        if path.startswith(place) or not path.startswith(("/", "anon_inode:", "pipe:", "socket:"))
    )


def injected(world, trial, change, what):
    """Run a command; at ``change`` let it be killed (``signal=KILL``), or the call fail (``error=ENOSPC``).

    A run that is killed or fails at another call than the chosen one, because it made more or fewer calls before than
    the traced run, is repeated.
    """
    call, file = change.call, world.root / "injected"
    inject = f"inject={call}:{what}:when={change.number}"
    for _ in range(TRIES):
        world.prepare(trial)
        ended = world.run(trial.argv, strace=["-y", "-s", "0", "-o", str(file), "-e", f"trace={call}", "-e", inject])
        if struck(file.read_text(errors="replace").splitlines(), str(world.place), change):
            return ended
    pytest.fail(f"{change}: in {TRIES} runs it was never call {change.number} of its name")


def struck(lines, place, change):
    """Return whether the call into which something was injected names the paths of the change, but for numbers."""
    calls = [match for line in lines if (match := _LINE.match(line)) and match["call"] == change.call]
    if len(calls) < change.number:
        return False
    names = [_NUMBER.sub("", path) for path in _paths(calls[change.number - 1], place)]
    return names == [_NUMBER.sub("", path) for path in change.paths]
