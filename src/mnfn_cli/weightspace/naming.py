"""Which tensors of a foreign checkpoint are layers, and in which order."""

import re
from collections.abc import Iterable

from mnfn_cli.errors import DataError

_WRAPPERS = ("state_dict.", "model.", "module.")


def natural_key(text: str) -> list[tuple[int, int, str]]:
    """Return a sort key under which ``net2`` comes before ``net10``.

    >>> sorted(["net10", "net2", "a"], key=natural_key)
    ['a', 'net2', 'net10']
    """
    pieces = re.split(r"(\d+)", text)
    return [(1, int(p), p) if p.isascii() and p.isdigit() else (0, 0, p) for p in pieces if p]


def pair_layers(names: Iterable[str], where: str) -> list[tuple[str, str]]:
    """Pair ``X.weight`` with ``X.bias`` for every layer ``X``, in the natural order of ``X``.

    The prefixes ``state_dict.``, ``model.`` and ``module.`` do not count. Every tensor must belong to a layer.

    Args:
        names: tensor names, in any order.
        where: what to call the checkpoint in an error.

    Raises:
        DataError: a weight without a bias, a bias without a weight, or any other tensor.

    >>> pair_layers(["net.10.bias", "net.10.weight", "net.2.weight", "net.2.bias"], "a file")
    [('net.2.weight', 'net.2.bias'), ('net.10.weight', 'net.10.bias')]
    """
    halves: dict[str, dict[str, str]] = {}
    for name in names:
        bare = name
        while bare.startswith(_WRAPPERS):
            bare = bare.split(".", 1)[1]
        layer, _, kind = bare.rpartition(".")
        if kind not in ("weight", "bias"):
            raise DataError(
                f"{where}:{name}", "no weight and no bias of a layer; mnfn reads dense and convolution layers"
            )
        if kind in halves.setdefault(layer, {}):
            raise DataError(f"{where}:{name}", f"the layer '{layer}' has two tensors called {kind}")
        halves[layer][kind] = name
    if not halves:
        raise DataError(where, "holds no tensor")
    for layer, half in halves.items():
        if len(half) == 1:
            (kind, name), missing = next(iter(half.items())), {"weight": "bias", "bias": "weight"}
            raise DataError(f"{where}:{name}", f"layer '{layer}' has no {missing[kind]}; mnfn needs both")
    return [(halves[layer]["weight"], halves[layer]["bias"]) for layer in sorted(halves, key=natural_key)]
