"""Find the layers of a checkpoint, and their order, from the names of its tensors."""

import re
from collections.abc import Iterable

from mnfn_cli.errors import DataError

_WRAPPERS = ("state_dict.", "model.", "module.")


def natural_key(text: str) -> list[tuple[int, int, str]]:
    """Return a key for natural sorting, by which ``net2`` comes before ``net10``.

    >>> sorted(["net10", "net2", "a"], key=natural_key)
    ['a', 'net2', 'net10']
    """
    pieces = re.split(r"(\d+)", text)
    return [(1, int(p), p) if p.isascii() and p.isdigit() else (0, 0, p) for p in pieces if p]


def pair_layers(names: Iterable[str], where: str) -> list[tuple[str, str]]:
    """Return the names ``X.weight`` and ``X.bias`` of every layer ``X``, sorted naturally by ``X``.

    The prefixes ``state_dict.``, ``model.`` and ``module.`` are ignored. Every tensor must belong to a layer.

    Args:
        names: the names of the tensors, in any order.
        where: the name of the checkpoint for error messages.

    Raises:
        DataError: a layer has only a weight or only a bias, or a tensor is neither a weight nor a bias.

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
