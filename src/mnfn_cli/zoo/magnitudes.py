"""Count what is unusual about the weights of a zoo: very large and small numbers, and neurons without influence."""

import re
import sys
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from mnfn_cli.storage.tensor_headers import ITEM_BYTES, read_header
from mnfn_cli.zoo.shards import EXPONENTS, NUMBERS_AT_ONCE, bits_of, bytes_of, shard_files, tensor_names

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mnfn_cli.weightspace.spec import NetworkSpec
    from mnfn_cli.zoo.contents import ZooContents

LARGE = 1e18
"""Above this the square of a number comes near to the largest one of float32."""

_RANGES = {"F64": (0x01, 0x42), "F32": (0x01, 0x5C), "F16": (0x04, 0x7B), "BF16": (0x01, 0x5C)}
_UNUSUAL = {
    dtype: re.compile(b"[^" + re.escape(bytes(b for b in range(256) if low <= b & 0x7F <= high)) + b"]")
    for dtype, (low, high) in _RANGES.items()
}
"""For each dtype what finds the highest bytes of numbers that are 0, denormal, or near ``LARGE`` or above it."""


@dataclass
class Magnitudes:
    """What is unusual about the weights and biases of a zoo; all of it is allowed.

    Attributes:
        largest: the largest absolute value above ``LARGE``; 0 if there is none.
        large: the number of networks with a number above ``LARGE``.
        denormal: the number of networks with a denormal number: other than 0, and too small for all the digits of its
            dtype. Some devices take such numbers for 0.
        reads_nothing: the number of hidden neurons whose incoming weights are all 0, so that they are constant.
        read_by_nothing: the number of hidden neurons whose outgoing weights are all 0.

    >>> Magnitudes(reads_nothing=2).sentences()
    ['2 hidden neurons are constant: all their incoming weights are 0']
    """

    largest: float = 0.0
    large: int = 0
    denormal: int = 0
    reads_nothing: int = 0
    read_by_nothing: int = 0

    def sentences(self) -> list[str]:
        """Return a sentence on each thing that is there."""
        said = {
            f"{self.large} networks hold numbers above {LARGE:g}, the largest {self.largest:.3g}": self.large,
            f"{self.denormal} networks hold denormal numbers, which some devices take for 0": self.denormal,
            f"{self.reads_nothing} hidden neurons are constant: all their incoming weights are 0": self.reads_nothing,
            f"{self.read_by_nothing} hidden neurons have no influence: all their outgoing weights are 0": (
                self.read_by_nothing
            ),
        }
        return [sentence for sentence, count in said.items() if count]


def look_at_magnitudes(zoo: "ZooContents") -> Magnitudes:
    """Read all weights and biases of a whole zoo, some at a time, and count what is unusual about them.

    Args:
        zoo: the zoo, open.

    Returns:
        the counts; ``mnfn zoo verify`` prints their ``sentences``.

    Raises:
        DataError: a shard cannot be read.

    >>> from mnfn_cli.zoo import look_at_magnitudes
    >>> from mnfn_cli.testing import example_zoo
    >>> look_at_magnitudes(example_zoo()).sentences()
    []
    """
    found = Magnitudes()
    for part in zoo.parts:
        for file in shard_files(zoo.record, part.spaces[0]):
            if "numpy" not in sys.modules and _is_usual(zoo.path / file, part.spec):
                continue
            large: set[int] = set()
            denormal: set[int] = set()
            for position, (_, dtype, bits) in enumerate(bits_of(zoo.path / file, part.spec)):
                _look(found, part.spec, position, dtype, bits, large, denormal)
            found.large += len(large)
            found.denormal += len(denormal)
    return found


def _is_usual(shard: Path, spec: "NetworkSpec") -> bool:
    """Return whether a first look finds nothing to count: without numpy, which takes a tenth of a second to import.

    With numpy the second look takes a third of its time.
    """
    header = read_header(shard)
    for position, name in enumerate(tensor_names(spec)):
        dtype, shape = header.tensors[name].dtype, header.tensors[name].shape
        if dtype not in _UNUSUAL:
            return False
        size, found = ITEM_BYTES[dtype], 0
        zeros = (bytes(size), bytes(size - 1) + b"\x80")
        for some in bytes_of(shard, name):
            for match in _UNUSUAL[dtype].finditer(some[size - 1 :: size]):
                if some[size * match.start() : size * match.end()] not in zeros:
                    return False
                found += 1
        # Fewer zeros than a neuron has weights on one side are on no side of any neuron all of them.
        if position % 2 == 0 and found >= prod(shape[1:]) // max(shape[1:3]):
            return False
    return True


def _look(
    found: Magnitudes,
    spec: "NetworkSpec",
    position: int,
    dtype: str,
    bits: "NDArray[np.unsignedinteger]",
    large: set[int],
    denormal: set[int],
) -> None:
    """Look at one tensor of the networks of a shard, ``bits`` ``(networks, numbers)``."""
    import numpy as np

    exponent = EXPONENTS[dtype][1]
    smallest_normal, sign = exponent & -exponent, 1 << (8 * bits.itemsize - 1)
    layer, is_bias = divmod(position, 2)
    at_once = max(1, NUMBERS_AT_ONCE // bits.shape[1])
    for first in range(0, len(bits), at_once):
        sizes = bits[first : first + at_once] & (sign - 1)
        largest = float(_values(sizes.max(keepdims=True), dtype)[0, 0])
        if largest > LARGE:
            found.largest = max(found.largest, largest)
            large.update((first + np.flatnonzero(_values(sizes.max(axis=1), dtype) > LARGE)).tolist())
        if sizes.min() >= smallest_normal:
            continue  # nearly always: neither a denormal number nor a 0
        tiny = np.any((sizes > 0) & (sizes < smallest_normal), axis=1)
        denormal.update((first + np.flatnonzero(tiny)).tolist())
        if not is_bias:
            used = np.any((sizes > 0).reshape(len(sizes), *spec.weight_shapes[layer][:2], -1), axis=3)
            found.reads_nothing += int(np.count_nonzero(~np.any(used, axis=2))) if layer < spec.num_layers - 1 else 0
            found.read_by_nothing += int(np.count_nonzero(~np.any(used, axis=1))) if layer > 0 else 0


def _values(sizes: "NDArray[np.unsignedinteger]", dtype: str) -> "NDArray[np.float64]":
    """Return the numbers with these bits."""
    import numpy as np

    if dtype == "BF16":  # the upper half of a float32
        return (sizes.astype("<u4") << 16).view("<f4").astype(np.float64)
    return sizes.view(f"<f{sizes.itemsize}").astype(np.float64)
