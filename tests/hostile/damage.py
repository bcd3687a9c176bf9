"""How the world is damaged: one function for each kind of damage. All paths are relative to the world."""

import hashlib
import json
import os
import shutil
import struct
from dataclasses import dataclass
from pathlib import Path

import pytest

from mnfn_cli.storage.tensors import read_tensors, save_tensors

PREDICT = "predict r files"
PREDICT_ZOO = "predict r z"
AUGMENT = "augment z -o o --scale 1 10"
TRAIN = "train --recipe mine.yaml --zoo z -o o"
SHARD = "weights-00001-of-00001.safetensors"


@dataclass(frozen=True)
class Case:
    """A damage, a command that meets it, its exit code, and words of its first line of error."""

    damage: object
    command: object
    code: int
    said: tuple
    faults: int = 1
    real: bool = False

    def check(self, refused):
        self.damage()
        return refused(self.command, self.code, *self.said, faults=self.faults, real=self.real)


def case(numbers, name, damage, command, code, *said, faults=1, real=False):
    """A case for ``parametrize``, marked with its numbers in docs/faults.md; ``real`` runs it in its own process."""
    marks = pytest.mark.fault(*numbers.split())
    return pytest.param(Case(damage, command, code, said, faults, real), marks=marks, id=f"{numbers} {name}")


def nothing():
    pass


def write(path, content):
    """Return a function that writes a file, and the folders above it."""

    def damage():
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())

    return damage


def cut(path, size):
    return lambda: os.truncate(path, size if size >= 0 else Path(path).stat().st_size + size)


def flip(path, place=-50):
    """Change one bit."""

    def damage():
        content = bytearray(Path(path).read_bytes())
        content[place] ^= 0x40
        Path(path).write_bytes(content)

    return damage


def instead(path, make):
    """Remove what is there and put something else under its name."""

    def damage():
        target = Path(path)
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        elif os.path.lexists(target):
            target.unlink()
        make(target)

    return damage


def rehash(zoo="z"):
    """Write sizes and checksums of a zoo's files anew, so that only their contents are at fault."""
    document = json.loads((Path(zoo) / "zoo.json").read_text())
    for name, entry in document["files"].items():
        content = (Path(zoo) / name).read_bytes()
        entry |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (Path(zoo) / "zoo.json").write_text(json.dumps(document))


def in_table(change, zoo="z"):
    """Change the lines of a zoo's table, each a list of cells."""

    def damage():
        file = Path(zoo) / "table.csv"
        lines = [line.split(",") for line in file.read_text().splitlines()]
        change(lines)
        file.write_text("".join(",".join(line) + "\n" for line in lines))
        rehash(zoo)

    return damage


def cell(column, text, row=3, zoo="z"):
    def change(lines):
        lines[row + 1][lines[0].index(column)] = text

    return in_table(change, zoo)


def in_json(path, change):
    def damage():
        document = json.loads(Path(path).read_text())
        change(document)
        Path(path).write_text(json.dumps(document))

    return damage


def in_tensors(path, change, zoo=None):
    """Change the tensors and the metadata of a safetensors file, whose header stays right."""

    def damage():
        tensors, metadata = read_tensors(Path(path), floats_only=False)
        change(tensors, metadata)
        save_tensors(Path(path), tensors, metadata)
        if zoo is not None:
            rehash(zoo)

    return damage


def safetensors(header, data=b"\0" * 8):
    """The bytes of a safetensors file with any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def not_finite(rows, number=float("nan"), zoo="z"):
    """Put a number that is not finite into networks of a zoo."""

    def change(tensors, _):
        for row in rows:
            tensors["layers.1.weight"][row].view(-1)[0] = number

    return in_tensors(f"{zoo}/{SHARD}", change, zoo)
