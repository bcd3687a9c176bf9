"""The specification of a weight space: the shapes of a network's layers, and its activation."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, cast

from mnfn_cli.errors import UsageError
from mnfn_cli.symmetry import GROUP_OF_ACTIVATION, Group

Pair = tuple[int, int]


@dataclass(frozen=True)
class NetworkSpec:
    """The shapes and the activation of a feed-forward network with ``L`` layers.

    Layer ``i`` (1..L) maps ``widths[i - 1]`` channels to ``widths[i]``. The first ``len(kernels)`` layers are
    convolutions; global average pooling follows the last of them, and all other layers are dense. The activation
    follows every layer but the last. Two specifications are equal if and only if all their fields are.

    Args:
        widths: the numbers of channels ``n_0, ..., n_L``.
        activation: a key of ``symmetry.GROUP_OF_ACTIVATION``.
        kernels: the (height, width) of the kernel of each convolution.
        strides: the (height, width) of the stride of each convolution.
        paddings: the (height, width) of the zero padding of each convolution, on each side.
        omega: the frequency of a SIREN, which computes ``sin(omega * (W x + b))``; 1 for every other activation.

    Raises:
        UsageError: there are fewer than two layers, a size is not positive, or the activation is unknown.

    >>> NetworkSpec.mlp([2, 32, 32, 1], activation="sin", omega=30.0).num_parameters
    1185
    >>> NetworkSpec.cnn([1, 16, 16, 16], kernel=3, stride=2, outputs=10).num_parameters
    4970
    """

    widths: tuple[int, ...]
    activation: str
    kernels: tuple[Pair, ...] = ()
    strides: tuple[Pair, ...] = ()
    paddings: tuple[Pair, ...] = ()
    omega: float = 1.0

    def __post_init__(self) -> None:
        if self.num_layers < 2:
            raise UsageError("network spec", f"{self.num_layers} layers; a weight space needs at least 2")
        if self.activation not in GROUP_OF_ACTIVATION:
            known = ", ".join(GROUP_OF_ACTIVATION)
            raise UsageError("network spec", f"unknown activation '{self.activation}'; known: {known}")
        if not len(self.kernels) == len(self.strides) == len(self.paddings) <= self.num_layers:
            raise UsageError("network spec", "kernels, strides and paddings need one entry for each convolution")
        sizes = [*self.widths, *(size for pair in (*self.kernels, *self.strides) for size in pair)]
        if min(sizes) < 1 or any(size < 0 for pair in self.paddings for size in pair):
            raise UsageError("network spec", "widths, kernels and strides must be positive, paddings not negative")

    @classmethod
    def mlp(cls, widths: Sequence[int], activation: str, omega: float = 1.0) -> "NetworkSpec":
        """Return the specification of a dense network, whose ``widths`` include inputs and outputs."""
        return cls(tuple(widths), activation, omega=float(omega))

    @classmethod
    def cnn(
        cls,
        channels: Sequence[int],
        *,
        kernel: int | Pair | Sequence[int | Pair] = 3,
        stride: int | Pair | Sequence[int | Pair] = 1,
        padding: int | Pair | Sequence[int | Pair] = 0,
        hidden: Sequence[int] = (),
        outputs: int,
        activation: str = "relu",
    ) -> "NetworkSpec":
        """Return the specification of a network of convolutions, global average pooling and dense layers.

        Args:
            channels: the number of input channels, then the number of channels after each convolution.
            kernel: the size of the kernels: a number, a (height, width) tuple, or a list of those, one for each
                convolution.
            stride: the strides, in the same form.
            padding: the zero padding on each side, in the same form.
            hidden: the widths of the hidden dense layers after the pooling.
            outputs: the number of outputs (classes).
            activation: the activation after every layer but the last.

        Raises:
            UsageError: a list does not have one entry for each convolution, or the specification is not valid.
        """
        count = len(channels) - 1
        return cls(
            widths=(*channels, *hidden, outputs),
            activation=activation,
            kernels=_pairs("kernel", kernel, count),
            strides=_pairs("stride", stride, count),
            paddings=_pairs("padding", padding, count),
        )

    @property
    def num_layers(self) -> int:
        """The number ``L`` of layers."""
        return len(self.widths) - 1

    @property
    def hidden_widths(self) -> tuple[int, ...]:
        """The widths ``n_1, ..., n_{L-1}`` of the layers on which the group acts."""
        return self.widths[1:-1]

    @property
    def group(self) -> Group:
        """The symmetry beyond permutations that the activation allows."""
        return GROUP_OF_ACTIVATION[self.activation]

    @property
    def weight_shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shape ``(out, in, *kernel)`` of the weight of every layer."""
        kernels = (*self.kernels, *(((),) * (self.num_layers - len(self.kernels))))
        return tuple(
            (n_out, n_in, *kernel)
            for n_in, n_out, kernel in zip(self.widths[:-1], self.widths[1:], kernels, strict=True)
        )

    @property
    def bias_shapes(self) -> tuple[tuple[int], ...]:
        """The shape ``(out,)`` of the bias of every layer."""
        return tuple((n,) for n in self.widths[1:])

    @property
    def kernel_entries(self) -> tuple[int, ...]:
        """The number of kernel entries ``w_1, ..., w_L`` of every layer; 1 for a dense layer."""
        return tuple(prod(shape[2:]) for shape in self.weight_shapes)

    @property
    def num_parameters(self) -> int:
        """The number of weights and biases of one network."""
        return sum(map(prod, self.weight_shapes)) + sum(map(prod, self.bias_shapes))

    def feature_map_sizes(self, image_size: Pair) -> list[Pair]:
        """Return the (height, width) after each convolution of a picture of ``image_size``; 0 if it is too small.

        >>> NetworkSpec.cnn([1, 16, 16, 16], stride=2, outputs=10).feature_map_sizes((16, 16))
        [(7, 7), (3, 3), (1, 1)]
        """
        sizes = []
        height, width = image_size
        for (kh, kw), (sh, sw), (ph, pw) in zip(self.kernels, self.strides, self.paddings, strict=True):
            height = max((height + 2 * ph - kh) // sh + 1, 0)
            width = max((width + 2 * pw - kw) // sw + 1, 0)
            sizes.append((height, width))
        return sizes

    def to_json(self) -> dict[str, Any]:
        """Return the specification as a JSON object; ``from_json`` is the inverse."""
        document: dict[str, Any] = {"widths": list(self.widths), "activation": self.activation}
        if self.kernels:
            document |= {
                "kernels": [list(pair) for pair in self.kernels],
                "strides": [list(pair) for pair in self.strides],
                "paddings": [list(pair) for pair in self.paddings],
            }
        if self.omega != 1.0:
            document["omega"] = self.omega
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "NetworkSpec":
        """Return the specification that ``to_json`` wrote.

        Raises:
            KeyError, TypeError, ValueError: the document has another form.
            UsageError: the specification is not valid.
        """
        pairs = {
            name: tuple((int(h), int(w)) for h, w in document.get(name, ()))
            for name in ("kernels", "strides", "paddings")
        }
        widths = tuple(int(n) for n in document["widths"])
        return cls(widths, str(document["activation"]), omega=float(document.get("omega", 1.0)), **pairs)

    def to_text(self) -> str:
        """Return the specification as one line of JSON, for a file's metadata; ``read_spec`` reads it back exactly."""
        return json.dumps(self.to_json())

    def agrees_with(self, found: "NetworkSpec | str") -> bool:
        """Return whether what ``read_spec`` found describes these networks.

        The text in an older file names neither strides nor paddings, so any will do; all that it names must agree.
        """
        return found == (self._describe(with_steps=False) if isinstance(found, str) else self)

    def __str__(self) -> str:
        return self._describe(with_steps=True)

    def _describe(self, with_steps: bool) -> str:
        """Return a text for people; with strides other than 1 and paddings other than 0 if ``with_steps``."""
        parts = [" -> ".join(map(str, self.widths))]
        if self.kernels:
            parts.append(f"kernels {_sizes(self.kernels)}")
        if with_steps and {*self.strides} - {(1, 1)}:
            parts.append(f"strides {_sizes(self.strides)}")
        if with_steps and {*self.paddings} - {(0, 0)}:
            parts.append(f"paddings {_sizes(self.paddings)}")
        omega = f" (omega {self.omega:g})" if self.activation == "sin" else ""
        return ", ".join([*parts, f"{self.activation}{omega}"])


def read_spec(text: str) -> NetworkSpec | str:
    """Read the specification in a file's metadata.

    Returns:
        The specification; or the text itself where it is no JSON of one, as in older files, written for people.

    >>> spec = NetworkSpec.cnn([1, 4], padding=1, outputs=10)
    >>> read_spec(spec.to_text()) == spec, read_spec("2 -> 8 -> 1, tanh")
    (True, '2 -> 8 -> 1, tanh')
    """
    try:
        document = json.loads(text)
        return NetworkSpec.from_json(document) if isinstance(document, dict) else text
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError, UsageError):
        return text


def _sizes(pairs: Sequence[Pair]) -> str:
    return ", ".join(f"{height}x{width}" for height, width in pairs)


def _pairs(name: str, value: int | Pair | Sequence[int | Pair], count: int) -> tuple[Pair, ...]:
    """Return one pair for each of ``count`` convolutions, from a number, a pair, or a list of either."""
    entries: Sequence[int | Pair] = value if isinstance(value, list) else [cast(int | Pair, value)] * count
    if len(entries) != count:
        raise UsageError("network spec", f"{name} has {len(entries)} entries for {count} convolutions")
    return tuple((entry, entry) if isinstance(entry, int) else (entry[0], entry[1]) for entry in entries)
