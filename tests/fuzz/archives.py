"""Damage archives: files of ``torch.save`` and ``numpy.savez``."""

import io
import os
import pickle
import warnings
import zipfile
from random import Random

import numpy as np
import torch
from mutations import INTEGERS, Mutation, damage_bytes, damage_npy

BOMB_BYTES = 300 * 2**20
"""The size of a bomb when it is unpacked: three times the memory that a reader may take."""


class Canary:
    """An object whose pickle makes a folder, ``canary`` in the working folder, when it is loaded."""

    def __reduce__(self):
        return os.mkdir, ("canary",)


def evil_pickles() -> tuple[bytes, ...]:
    """Return pickles that run code when they are loaded, in the ways that a state dict could hold them."""
    weights = {"0.weight": torch.ones(2, 2), "evil": Canary()}
    return tuple(
        pickle.dumps(found, protocol)
        for found in (Canary(), {"a": Canary()}, weights, [Canary()])
        for protocol in (0, 2, 4)
    )


def greedy_pickles() -> tuple[bytes, ...]:
    """Return small pickles that make large objects of functions that torch allows."""
    size = BOMB_BYTES.to_bytes(5, "little")
    long = b"\x8a\x05" + size
    named = (
        b"cbuiltins\nbytearray\n",
        b"ctorch\nFloatTensor\n",
        b"ctorch\nFloatStorage\n",
        b"ctorch.storage\nUntypedStorage\n",
    )
    called = [b"\x80\x02" + name + long + b"\x85R." for name in named]
    inside = [b"\x80\x02}X\x01\x00\x00\x00a" + name + long + b"\x85Rs." for name in named]
    return (*called, *inside)


EVIL, GREEDY = evil_pickles(), greedy_pickles()


def damage_archive(inner: Mutation) -> Mutation:
    """Return a function that changes the members of an archive, also by ``inner``, and packs it again."""

    def damage(random: Random, content: bytes) -> bytes:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [(entry.filename, archive.read(entry)) for entry in archive.infolist()]
        packed = zipfile.ZIP_STORED
        for _ in range(random.choice((1, 1, 2))):
            number = random.randrange(len(members))
            name, held = members[number]
            match random.randrange(8):
                case 0:
                    wrong = (
                        "../../outside",
                        "/tmp/x",
                        name.upper(),
                        f"{name}.npy",
                        "",
                        "a" * 5000,
                        f"\x1b{name}",
                        "images.npy",
                    )
                    members[number] = random.choice(wrong), held
                case 1:
                    del members[number]
                    members = members or [("a", b"")]
                case 2:
                    members.append((name, random.choice(members)[1]))
                case 3:
                    packed = zipfile.ZIP_DEFLATED
                case 4:
                    members[number] = name, random.choice(EVIL)
                case _:
                    members[number] = name, inner(random, held)
        made = io.BytesIO()
        with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(made, "w", packed) as archive:
            for name, held in members:
                archive.writestr(zipfile.ZipInfo(name), held, packed)
        return made.getvalue()

    return damage


def damage_pickle(random: Random, content: bytes) -> bytes:
    """Change a pickle of a state dict: its numbers, its names of functions, or all of it."""
    match random.randrange(6):
        case 0:
            return random.choice((*EVIL, *GREEDY))
        case 1:
            number = random.choice(INTEGERS) % 2**63
            return content.replace(b"K\x10", b"\x8a\x08" + number.to_bytes(8, "little"), random.choice((1, -1)))
        case 2:
            old = random.choice(
                (b"ctorch._utils\n_rebuild_tensor_v2\n", b"ccollections\nOrderedDict\n", b"ctorch\nFloatStorage\n")
            )
            new = (
                b"cos\nmkdir\n",
                b"cbuiltins\neval\n",
                b"cbuiltins\nbytearray\n",
                b"ctorch\nTensor\n",
                b"ctorch\nDoubleStorage\n",
            )
            return content.replace(old, random.choice(new), 1)
        case 3:
            return content.replace(b"storage", random.choice((b"storag\x00", b"module\x00")), 1)
        case _:
            return damage_bytes(random, content, content[::-1])


def damage_array(random: Random, content: bytes) -> bytes:
    """Change a ``.npy`` file in an archive, or put another array in its place."""
    if random.random() < 0.7 and content.startswith(b"\x93NUMPY"):
        return damage_npy(random, content)
    arrays = (
        np.array([Canary()], dtype=object),
        np.zeros((0, 3, 3)),
        np.full((2, 4, 4), np.nan),
        np.array(7),
        np.array("x"),
    )
    made = io.BytesIO()
    np.lib.format.write_array(made, random.choice(arrays), allow_pickle=True)
    return made.getvalue()


def zipped_pickle(held: bytes) -> bytes:
    """Return a pickle in an archive such as ``torch.save`` writes."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("archive/data.pkl", held)
        archive.writestr("archive/version", b"3\n")
        archive.writestr("archive/byteorder", b"little")
    return made.getvalue()


def bombs(name: str) -> bytes:
    """Return an archive of a few hundred kilobytes with one member of ``BOMB_BYTES`` zeros after a header."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (BOMB_BYTES,)})
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, header.getvalue() + bytes(BOMB_BYTES))
    return made.getvalue()
