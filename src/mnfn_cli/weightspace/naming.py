"""Sort the tensors of a checkpoint into modules by their names, and refuse modules that are no layer of a chain."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mnfn_cli.errors import DataError

_WRAPPERS = ("state_dict.", "model.", "module.", "_orig_mod.")
_STATISTICS = {"running_mean", "running_var", "num_batches_tracked"}
_UNSUPPORTED = {
    "residual connections are": r"downsample|shortcut|residual|skip",
    "attention is": r"attn|attention|in_proj_weight|q_proj|k_proj|v_proj",
    "transposed convolutions are": r"deconv|conv_?transpose|up_?conv",
    "recurrent layers are": r"weight_[ih]h_l\d+",
    "weight normalisation is": r"weight_[gv]|parametrizations",
}
"""What cannot be read, by a pattern of the part of a name that tells it."""

Shape = tuple[int, ...]


class UnsettledError(DataError):
    """The tensors of a checkpoint do not settle something that an option can say, such as ``--layers``."""


def natural_key(text: str) -> list[tuple[int, int, str]]:
    """Return a key for natural sorting, by which ``net2`` comes before ``net10``.

    >>> sorted(["net10", "net2", "a"], key=natural_key)
    ['a', 'net2', 'net10']
    """
    pieces = re.split(r"(\d+)", text)
    return [(1, int(p), p) if p.isascii() and p.isdigit() else (0, 0, p) for p in pieces if p]


def bare_name(name: str) -> str:
    """Return a tensor's name without the prefixes ``state_dict.``, ``model.``, ``module.`` and ``_orig_mod.``."""
    while name.startswith(_WRAPPERS):
        name = name.split(".", 1)[1]
    return name


@dataclass(frozen=True)
class Module:
    """The tensors of a checkpoint whose names differ in the last part only, such as ``fc.weight`` and ``fc.bias``.

    Args:
        name: what the names share, without wrappers; empty for tensors called just ``weight`` and ``bias``.
        tensors: the full name of each tensor by the last part of its name.
        shapes: the shape of each tensor by the last part of its name.
    """

    name: str
    tensors: Mapping[str, str]
    shapes: Mapping[str, Shape]

    @property
    def is_batchnorm(self) -> bool:
        """Whether this is a batch normalisation, which has running statistics."""
        return "running_mean" in self.tensors

    @property
    def weight_shape(self) -> Shape:
        """The shape of the weight, ``(out, in)`` or ``(out, in, height, width)``."""
        return self.shapes["weight"]


def find_modules(shapes: Mapping[str, Shape], where: str) -> list[Module]:
    """Sort tensors into layers and batch normalisations, in the natural order of their names.

    Args:
        shapes: the shape of every tensor of a checkpoint by its name.
        where: the name of the checkpoint for errors.

    Raises:
        DataError: a tensor belongs to neither a dense layer, a convolution nor a batch normalisation; the error names
            the kind of module where it is known. A layer has a bias and no weight, or a bias of another length.

    >>> names = {"net.10.bias": (2,), "net.10.weight": (2, 3), "net.2.weight": (3, 4), "net.2.bias": (3,)}
    >>> [module.name for module in find_modules(names, "a file")]
    ['net.2', 'net.10']
    """
    if not shapes:
        raise DataError(where, "holds no tensor")
    grouped: dict[str, dict[str, str]] = {}
    for name in shapes:
        _refuse_unsupported(name, where)
        path, _, kind = bare_name(name).rpartition(".")
        if kind not in {"weight", "bias", *_STATISTICS}:
            raise DataError(f"{where}:{name}", "is no weight or bias of a dense layer or a convolution")
        if kind in grouped.setdefault(path, {}):
            raise DataError(f"{where}:{name}", f"the layer '{path}' has two tensors called {kind}")
        grouped[path][kind] = name
    modules = []
    for path in sorted(grouped, key=natural_key):
        tensors = grouped[path]
        module = Module(path, tensors, {kind: tuple(shapes[full]) for kind, full in tensors.items()})
        _check(module, where)
        modules.append(module)
    return modules


def _refuse_unsupported(name: str, where: str) -> None:
    parts = bare_name(name).split(".")
    for place, part in enumerate(parts, 1):
        for what, pattern in _UNSUPPORTED.items():
            if re.fullmatch(rf"(.*_)?({pattern})(_.*|\d+)?", part, re.ASCII | re.IGNORECASE):
                raise DataError(where, f"found '{'.'.join(parts[:place])}': {what} not supported")


def _check(module: Module, where: str) -> None:
    anyone = next(iter(module.tensors.values()))
    if module.is_batchnorm:
        sizes = {shape for kind, shape in module.shapes.items() if kind != "num_batches_tracked"}
        if "running_var" not in module.tensors or len(sizes) != 1 or len(next(iter(sizes))) != 1:
            raise DataError(f"{where}:{anyone}", "is a batch normalisation whose tensors do not fit each other")
        return
    if stray := _STATISTICS & set(module.tensors):
        raise DataError(f"{where}:{module.tensors[sorted(stray)[0]]}", "is part of a batch normalisation, incomplete")
    if "weight" not in module.tensors:
        raise DataError(f"{where}:{anyone}", f"layer '{module.name}' has a bias and no weight")
    shape = module.weight_shape
    if len(shape) == 1:
        raise DataError(where, f"found '{module.name}': normalisation without running statistics cannot be folded")
    if len(shape) not in (2, 4):
        raise DataError(f"{where}:{module.tensors['weight']}", f"shape {shape}; weights have 2 or 4 axes")
    if min(shape) < 1:
        raise DataError(f"{where}:{module.tensors['weight']}", f"shape {shape} holds no number")
    if module.shapes.get("bias", shape[:1]) != shape[:1]:
        raise DataError(f"{where}:{module.tensors['bias']}", f"shape {module.shapes['bias']}, expected {shape[:1]}")
