"""Damage files: their bytes, or what their format says.

Every function takes a ``random.Random`` first and is a function of it and of its other arguments alone.
"""

import json
import struct
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

Mutation = Callable[[Random, bytes], bytes]

INTEGERS = (
    0,
    1,
    -1,
    2,
    127,
    128,
    255,
    256,
    2**15,
    2**16,
    2**31 - 1,
    2**31,
    2**32,
    2**53,
    2**63 - 1,
    2**63,
    2**64,
    -(2**63),
)
"""Whole numbers at which types of integers end."""

_PACKED = ("<i", ">i", "<q", ">q", "<H", ">H")
_TEXTS = (
    *("", "nan", "1e400", "0.5%", "no", "~", "\x00", "\x1b[31mred", "a\nb", "\ud800", "é" * 9, "x" * 5000, "9" * 5000),
    *("../../outside", "/dev/zero", "__metadata__", "__import__('os').mkdir('canary')", "test", "shared", "1"),
)
_VALUES = (
    *INTEGERS,
    10**30,
    -(10**400),
    1e308,
    -1e-320,
    -0.0,
    0.5,
    float("nan"),
    float("inf"),
    None,
    True,
    False,
    *_TEXTS,
)


def damage_bytes(random: Random, content: bytes, other: bytes) -> bytes:
    """Flip, cut, insert, repeat or overwrite some bytes, or go on with the bytes of another file."""
    found = bytearray(content)
    for _ in range(random.choice((1, 1, 1, 2, 4, 16))):
        place = _place(random, len(found))
        match random.randrange(9):
            case 0 | 1:
                if found:
                    found[min(place, len(found) - 1)] ^= 1 << random.randrange(8)
            case 2:
                if found:
                    found[min(place, len(found) - 1)] = random.choice(
                        b"\x00\xff\x80\"{}[],:;()'\\\n\r\t -+.0123456789eE"
                    )
            case 3:
                del found[place:]
            case 4:
                found[place:place] = random.randbytes(random.choice((1, 2, 4, 100)))
            case 5:
                del found[place : place + random.choice((1, 2, 4, 100))]
            case 6:
                piece = found[place : place + random.choice((1, 4, 50, 1000))]
                found[place:place] = piece * random.choice((1, 1, 1, 50))
            case 7:
                packed = _pack(random)
                found[place : place + len(packed)] = packed
            case _:
                found[place:] = other[_place(random, len(other)) :]
    return bytes(found)


def damage_json(random: Random, content: bytes) -> bytes:
    """Change values and keys of a JSON document, write a key twice, or nest a value deeply."""
    document = json.loads(content)
    for _ in range(random.choice((1, 1, 2, 3))):
        document = _damage_value(random, document)
    text = json.dumps(document, indent=random.choice((None, 1)), ensure_ascii=random.random() < 0.8)
    if random.random() < 0.1:
        quotes = [place for place, character in enumerate(text) if character in "{,"]
        place = random.choice(quotes) + 1 if quotes else 0
        end = text.find(",", place)
        text = text[:place] + text[place : end + 1] + text[place:]
    if random.random() < 0.05:
        depth = random.choice((50, 2000, 200_000))
        text = text.replace("1", "[" * depth + "1" + "]" * depth, 1)
    if random.random() < 0.03:
        text = text.replace("1", "9" * random.choice((400, 5000)), 1)
    return text.encode("utf-8", "surrogatepass")


def damage_safetensors(random: Random, content: bytes) -> bytes:
    """Change what the header of a safetensors file says, and correct its length most of the time."""
    (length,) = struct.unpack("<Q", content[:8])
    header, tensors = content[8 : 8 + length], content[8 + length :]
    if random.random() < 0.4:
        header = damage_json(random, header)
    else:
        document = json.loads(header)
        name = random.choice([name for name in document if name != "__metadata__"])
        _damage_entry(random, document, name)
        header = json.dumps(document).encode()
    said = len(header) if random.random() < 0.9 else random.choice(INTEGERS) % 2**64
    if random.random() < 0.1:
        tensors = tensors[: random.randrange(len(tensors) + 1)]
    if random.random() < 0.1:
        tensors = struct.pack("<f", random.choice((float("nan"), float("inf"), 1e-40))) + tensors[4:]
    return struct.pack("<Q", said) + header + tensors


def damage_lines(random: Random, content: bytes) -> bytes:
    """Change cells of a text with lines of cells: drop, add, quote and swap them; lines too."""
    lines = content.decode().splitlines()
    for _ in range(random.choice((1, 1, 2, 4))):
        row = random.randrange(len(lines))
        cells = lines[row].split(",")
        place = random.randrange(len(cells))
        match random.randrange(8):
            case 0:
                cells[place] = str(random.choice(_VALUES))
            case 1:
                cells[place] = random.choice(
                    ('"', f'"{cells[place]}', f'"{cells[place]}\n"', '""', "\x00", "'", "\ufeff")
                )
            case 2:
                del cells[place]
            case 3:
                cells[place:place] = [cells[place]] * random.choice((1, 300))
            case 4:
                other = random.randrange(len(lines))
                lines[row], lines[other] = lines[other], lines[row]
                continue
            case 5:
                lines[row:row] = [lines[row]] * random.choice((1, 20))
                continue
            case 6:
                cells = []
            case _:
                cells[place] = f"{random.choice(INTEGERS)}{random.choice(('', '.5', 'e400', '%', ' '))}"
        lines[row] = ",".join(cells)
    return random.choice(("\n", "\n", "\r\n", "\r")).join(lines).encode("utf-8", "surrogatepass")


def damage_yaml(random: Random, content: bytes) -> bytes:
    """Change values and keys of a YAML document, and add aliases, tags, tabs, documents and depth."""
    lines = content.decode().splitlines()
    for _ in range(random.choice((1, 1, 2))):
        row = random.randrange(len(lines))
        key, colon, value = lines[row].partition(":")
        match random.randrange(9):
            case 0:
                value = f" {random.choice(_VALUES)}"
            case 1:
                tag = random.choice(("!!python/object/apply:os.mkdir [canary]", "!!str", "!x", "!!binary"))
                value = f" {tag} {value}"
            case 2:
                value = random.choice((" &a [*a]", " *a", " &a", f" [{'*a, ' * 9}*a]", " {<<: *a}", " >", " |", ' "'))
            case 3:
                depth = random.choice((10, 30, 3000))
                value = f" {'[' * depth}{']' * depth}"
            case 4:
                key = random.choice(
                    (f"\t{key}", f"  {key}", key.strip(), f"? {key}", f"- {key}", "<<", f"{key}: {key}")
                )
            case 5:
                lines[row:row] = [lines[row]]
                continue
            case 6:
                lines[row:row] = [
                    random.choice(("---", "...", "%YAML 99999999999.1", "# \x07", "\ufeff", "- a", "{", "}"))
                ]
                continue
            case 7:
                value = f" {value.strip()}{random.choice(('_', 'e', 'e400', '.', ' .nan', '%', '0' * 5000))}"
            case _:
                key, value = key[: len(key) - len(key.lstrip())] + random.choice(("a", "1", "null", "[a]", "é")), value
        lines[row] = f"{key}{colon}{value}"
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def damage_npy(random: Random, content: bytes) -> bytes:
    """Change what the header of a ``.npy`` file says, and correct its length most of the time."""
    start = 10
    (length,) = struct.unpack("<H", content[8:10])
    header, numbers = content[start : start + length].decode("latin-1"), content[start + length :]
    old = random.choice(("'descr': '", "'fortran_order': False", "'shape': (", "}", ",", "("))
    dtype = random.choice(("<f8", ">f4", "|O", "<U9", "|V8", "<M8[s]", "<f3", "<c16", "?"))
    shapes = [f"'shape': ({size}" for size in (f"{random.choice(INTEGERS)}, ", f"{10**13}, ", "3", "3L, 2", ", ,")]
    code = (
        "__import__('os').mkdir('canary')",
        "(" * 3000,
        "[" * 300,
        "\x00",
        "{",
        "'descr': [('a', '<f4')], 'b': '",
        "",
    )
    new = random.choice((f"'descr': '{dtype}', 'x': '", "'fortran_order': True", *shapes, *code))
    header = header.replace(old, new, 1)
    said = len(header) if random.random() < 0.9 else random.choice((0, 1, 65535))
    version = bytes(random.choice(((1, 0), (1, 0), (2, 0), (3, 0), (9, 9))))
    form = "<H" if version[0] == 1 else "<I"
    return content[:6] + version + struct.pack(form, said % 2**16) + header.encode("latin-1") + numbers


def _damage_entry(random: Random, document: dict[str, Any], name: str) -> None:
    entry = document[name]
    match random.randrange(7):
        case 0:
            entry["dtype"] = random.choice(("F64", "F16", "BF16", "I64", "U64", "BOOL", "F8_E4M3", "C64", "f32", "", 7))
        case 1:
            entry["shape"] = random.choice(([], [0], [-1], [2**62, 4], [*entry["shape"], 1], [1.5], "3", None, [2**63]))
        case 2:
            start, stop = entry["data_offsets"]
            places = (
                [stop, start],
                [start, 2**63],
                [-8, stop],
                [start + 1, stop + 1],
                [0, 0],
                [start],
                {},
                [start, stop, 1],
            )
            entry["data_offsets"] = random.choice(places)
        case 3:
            others = random.sample(sorted(document), 2)
            document[others[0]], document[others[1]] = document[others[1]], document[others[0]]
        case 4:
            document[random.choice(_TEXTS).encode("utf-8", "replace").decode()] = document.pop(name)
        case 5:
            document.setdefault("__metadata__", {})[random.choice(("spec", "test_accuracy", ""))] = random.choice(
                _VALUES
            )
        case _:
            entry[random.choice(("dtype", "shape", "data_offsets", "x"))] = random.choice(_VALUES)


def _damage_value(random: Random, value: Any) -> Any:
    """Return a JSON value in which one value or key, at any depth, is another."""
    if isinstance(value, dict) and value and random.random() < 0.9:
        key = random.choice(list(value))
        match random.randrange(12):
            case 0:
                del value[key]
            case 1:
                value[random.choice(_TEXTS)] = value.pop(key)
            case 2:
                value[key] = value[random.choice(list(value))]
            case _:
                value[key] = _damage_value(random, value[key])
        return value
    if isinstance(value, list) and value and random.random() < 0.9:
        place = random.randrange(len(value))
        match random.randrange(8):
            case 0:
                del value[place]
            case 1:
                value[place:place] = [value[place]] * random.choice((1, 3, 1000))
            case _:
                value[place] = _damage_value(random, value[place])
        return value
    replaced = random.choice(_VALUES)
    return random.choice((replaced, replaced, replaced, [replaced], {"a": replaced}, [], {}, [value], str(value)))


def _place(random: Random, size: int) -> int:
    """Return a place in a file, more often near its beginning, where headers are."""
    return random.randrange(size + 1) if random.random() < 0.5 else min(size, int(random.expovariate(1 / 200)))


def _pack(random: Random) -> bytes:
    form = random.choice(_PACKED)
    size = 8 * struct.calcsize(form)
    return struct.pack(form.upper() if form[1] != "H" else form, random.choice(INTEGERS) % 2**size)


def any_of(*mutations: Mutation) -> Mutation:
    """Return a function that applies one of several mutations."""
    choices: Sequence[Mutation] = mutations
    return lambda random, content: random.choice(choices)(random, content)
