"""The shards of a zoo: safetensors files with the stacked weights of many networks."""

import re
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from mnfn_cli.errors import DataError
from mnfn_cli.regular_files import open_regular
from mnfn_cli.storage.tensor_headers import ITEM_BYTES, read_header
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.record import Space, ZooRecord

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EXPONENTS = {
    "F64": ("<u8", 0x7FF << 52),
    "F32": ("<u4", 0xFF << 23),
    "F16": ("<u2", 0x1F << 10),
    "BF16": ("<u2", 0xFF << 7),
}
"""For each dtype the unsigned integer of its size, and the bits of the exponent; all are set in NaN and in infinity.

Without the sign, the integers are in the order of the numbers, and NaN is behind infinity.
"""

FINITE = {
    dtype: bytes(byte for byte in range(256) if byte & 0x7F < (0x7C if dtype == "F16" else 0x7F)) for dtype in EXPONENTS
}
"""For each dtype the highest bytes of finite numbers, but for those of a few that are larger than any weight."""

BYTES_AT_ONCE = 1 << 20

NUMBERS_AT_ONCE = 1 << 18
"""The largest number of numbers that are looked at together: more would leave the cache."""


def tensor_names(spec: NetworkSpec) -> list[str]:
    """Return the names of the tensors in a shard: ``layers.0.weight``, ``layers.0.bias``, ..."""
    return [f"layers.{i}.{kind}" for i in range(spec.num_layers) for kind in ("weight", "bias")]


def shard_name(space: str | None, number: int, count: int) -> str:
    """Return the file name of a shard, numbered from 1 among ``count``; ``space`` is given if there are several."""
    prefix = "weights" if space is None else f"weights-{space}"
    return f"{prefix}-{number:05d}-of-{count:05d}.safetensors"


def shard_files(record: ZooRecord, space: Space) -> list[str]:
    """Return the names of the shards of one weight space of a zoo, in order."""
    several = len(record.spaces) > 1
    pattern = rf"weights-{re.escape(space.name) + '-' if several else ''}[0-9]{{5}}-of-[0-9]{{5}}\.safetensors"
    return sorted(name for name in record.files if re.fullmatch(pattern, name))


def count_networks(path: Path, spec: NetworkSpec) -> int:
    """Return the number of networks in a shard. Its header is read, and nothing else.

    Raises:
        DataError: the shard is damaged, or its tensors do not have the shapes of the weight space.
    """
    found = {name: entry.shape for name, entry in read_header(path).tensors.items()}
    names = tensor_names(spec)
    if set(found) != set(names):
        raise DataError(path, f"tensors {', '.join(sorted(set(found) ^ set(names)))} do not fit the spec")
    shapes = [shape for pair in zip(spec.weight_shapes, spec.bias_shapes, strict=True) for shape in pair]
    for name, shape in zip(names, shapes, strict=True):
        if found[name][1:] != shape:
            raise DataError(f"{path}:{name}", f"shape {found[name][1:]} a network, expected {shape}")
        if found[name][0] != found[names[0]][0]:
            raise DataError(f"{path}:{name}", f"{found[name][0]} networks, other tensors {found[names[0]][0]}")
    return found[names[0]][0]


def highest_bytes_are_in(path: Path, usual: Mapping[str, bytes]) -> bool:
    """Return whether the highest byte of every number of a shard is one of some, without numpy.

    It holds the sign and the first seven bits of the exponent, and so tells much of a number.

    Args:
        path: the shard.
        usual: the bytes for each dtype; for others the answer is False.
    """
    header = read_header(path)
    if not {entry.dtype for entry in header.tensors.values()} <= usual.keys():
        return False
    return not any(
        some[ITEM_BYTES[entry.dtype] - 1 :: ITEM_BYTES[entry.dtype]].translate(None, delete=usual[entry.dtype])
        for name, entry in header.tensors.items()
        for some in bytes_of(path, name)
    )


def bytes_of(path: Path, name: str) -> Iterator[bytes]:
    """Yield the bytes of a tensor of a shard, ``BYTES_AT_ONCE`` at a time."""
    header = read_header(path)
    entry = header.tensors[name]
    left = entry.size
    with open_regular(path) as file:
        file.seek(header.size + entry.start)
        while some := file.read(min(left, BYTES_AT_ONCE)):
            left -= len(some)
            yield some


def not_finite(
    path: Path, spec: NetworkSpec, rows: "Sequence[int] | NDArray[np.int64]", *, in_float32: bool = False
) -> Iterator[tuple[int, str]]:
    """Yield (row, problem) for each tensor of some networks of a shard that holds a number that is not finite.

    Args:
        path: the shard.
        spec: the weight space of its networks.
        rows: the numbers of the networks in the shard.
        in_float32: whether the numbers must also be finite in float32.

    Raises:
        DataError: a tensor holds no floating-point numbers.
    """
    import numpy as np  # most commands only count networks

    for name, dtype, bits in bits_of(path, spec):
        limit, problem = EXPONENTS[dtype][1], f"{name} is not finite"
        if in_float32 and dtype == "F64":
            largest = np.array([np.finfo(np.float32).max], dtype="<f8").view("<u8")[0]
            limit, problem = int(largest) + 1, f"{problem} in float32, in which the functional computes"
        size = bits.dtype.type(~(1 << (8 * bits.itemsize - 1)) & (2 ** (8 * bits.itemsize) - 1))
        at_once = max(1, NUMBERS_AT_ONCE // bits.shape[1])
        for first in range(0, len(rows), at_once):
            chosen = rows[first : first + at_once]
            wrong = ((bits[chosen] & size) >= limit).any(axis=1)
            yield from ((chosen[number], problem) for number in np.nonzero(wrong)[0].tolist())


def bits_of(path: Path, spec: NetworkSpec) -> "Iterator[tuple[str, str, np.memmap]]":
    """Yield (name, dtype, numbers) for each tensor of a shard: its numbers as unsigned integers, ``(networks, size)``.

    Raises:
        DataError: a tensor holds no floating-point numbers.
    """
    import numpy as np

    header = read_header(path)
    for name in tensor_names(spec):
        entry = header.tensors[name]
        if entry.dtype not in EXPONENTS:
            raise DataError(f"{path}:{name}", f"dtype {entry.dtype}; weights are {', '.join(EXPONENTS)}")
        shape = (entry.shape[0], prod(entry.shape[1:]))
        yield name, entry.dtype, np.memmap(path, EXPONENTS[entry.dtype][0], "r", header.size + entry.start, shape)
