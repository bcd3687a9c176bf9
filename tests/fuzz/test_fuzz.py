"""Damaged files of every kind end in an error of mnfn's own, soon, in little memory, and run no code.

``make fuzz`` reads 380,000 of them, and ``make test`` the first few thousand. A case has a number: it is damaged in the
same way every time. ``python tests/fuzz/replay.py KIND NUMBER`` reads one again and shows where it fails.
"""

import gc
import os
import resource
import time
import traceback
import warnings
from dataclasses import dataclass
from pathlib import Path

import pytest
from kinds import KINDS, Kind, Seed

from mnfn_cli.errors import MnfnError

AT_ONCE = 1000
SECONDS = 1.0
"""The most seconds of a processor that a file may take in ``make fuzz``; ``make test`` shares cores, and gives ten."""
BYTES = 100 * 2**20
CHUNKS = [
    pytest.param(kind, start, id=f"{kind.name}-{start}") for kind in KINDS for start in range(0, kind.cases, AT_ONCE)
]


@pytest.fixture(scope="session")
def seeds(tmp_path_factory):
    """Return a function that makes the real files of a kind, once."""
    made: dict[str, list[Seed]] = {}

    def of(kind: Kind) -> list[Seed]:
        if kind.name not in made:
            made[kind.name] = kind.seeds(tmp_path_factory.mktemp(kind.name))
            for seed in made[kind.name]:
                seed.file.parent.mkdir(exist_ok=True)
                seed.file.write_bytes(seed.content)
                seed.read(seed.file)  # it is a file that is read, and what is imported late is there now
        return made[kind.name]

    return of


@dataclass
class Counts:
    """What many damaged files did.

    Args:
        files: their number.
        refused: how many of them ended in an error of mnfn's own.
        seconds: the most seconds of a processor that one took.
        megabytes: the most memory above that at the start.
    """

    files: int = 0
    refused: int = 0
    seconds: float = 0.0
    megabytes: float = 0.0

    def row(self, name: str) -> dict[str, object]:
        """Return the row of the table that is printed in the end."""
        loaded = self.files - self.refused
        columns = {"refused": self.refused, "loaded": loaded, "slowest, s": self.seconds, "memory, MB": self.megabytes}
        return {"of": name, "files": self.files, **columns}


def put(file: Path, content: bytes) -> None:
    """Write a file anew: file systems flush one that is cut to nothing and written again, and wait for the disk."""
    file.unlink(missing_ok=True)
    file.write_bytes(content)


def attempt(seed: Seed) -> tuple[bool, list[str], float]:
    """Read a file; return whether it was refused, what is wrong with the way in which that ended, and the seconds."""
    found, refused = [], False
    began = time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            seed.read(seed.file)
    except MnfnError as error:
        refused = True
        if error.exit_code not in (2, 3):
            found.append(f"exit code {error.exit_code}: {error}")
        found += [
            f"an error that no terminal should get: {fault!r}" for fault in error.faults if not fault.isprintable()
        ]
    except Exception as error:
        at = traceback.extract_tb(error.__traceback__)[-1]
        found.append(f"{type(error).__name__} in {Path(at.filename).name}:{at.lineno}: {str(error)[:200]}")
    return refused, found, time.process_time() - began


def read(seed: Seed, content: bytes, start: int, most: float, counts: Counts) -> list[str]:
    """Read a damaged file, and count it; return what is wrong with the way in which that ended."""
    put(seed.file, content)
    refused, found, seconds = attempt(seed)
    if seconds > most / 10:  # a machine that is shared charges its own pauses to a process, now and then
        seconds = min(seconds, attempt(seed)[2])
    more = peak() - start
    counts.files, counts.refused = counts.files + 1, counts.refused + refused
    counts.seconds, counts.megabytes = max(counts.seconds, seconds), max(counts.megabytes, more / 2**20)
    if seconds > most:
        found.append(f"took {seconds:.1f} seconds")
    if more > BYTES:
        found.append(f"took {more >> 20} MB")
    if more > BYTES // 4:  # an error that is gone leaves what its frames held to the collector of garbage
        gc.collect()
        forget_peak()
    if Path("canary").exists():
        found.append("ran code of the file")
        Path("canary").rmdir()
    return found


def peak() -> int:
    """Return the largest memory that this process held since ``forget_peak``, in bytes."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def forget_peak() -> int:
    """Let the peak of memory begin anew, and return the memory that is held now, in bytes."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak()


def run(kind: Kind, numbers: range, seeds: list[Seed], record_property, most: float = SECONDS) -> None:
    """Read damaged files; fail if something is wrong with one, and keep the files that show it.

    Most are refused, and some are not: a changed weight is a weight.
    """
    counts = Counts()
    start = forget_peak()
    faults: dict[str, str] = {}
    for number in numbers:
        seed, content = kind.damaged(number, seeds)
        for fault in read(seed, content, start, most, counts):
            faults.setdefault(fault, f"{kind.name} {number} ({seed.file.name}): {fault}")
            if folder := os.environ.get("FUZZ_FINDINGS"):
                Path(folder, f"{kind.name}-{number}-{seed.file.name}").write_bytes(content)
        put(seed.file, seed.content)
    record_property("counts", counts.row(kind.name))
    assert not faults, "\n".join(faults.values())
    assert len(numbers) / 4 < counts.refused < len(numbers)


@pytest.mark.fuzz
@pytest.mark.parametrize(("kind", "start"), CHUNKS)
def test_all(kind, start, seeds, tmp_path, monkeypatch, record_property):
    monkeypatch.chdir(tmp_path)
    run(kind, range(start, start + AT_ONCE), seeds(kind), record_property)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_some(kind, seeds, tmp_path, monkeypatch, record_property):
    monkeypatch.chdir(tmp_path)
    run(kind, range(kind.cases // 100), seeds(kind), record_property, 10 * SECONDS)
