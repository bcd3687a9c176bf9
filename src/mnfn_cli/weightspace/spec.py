"""The specification of a weight space: the shapes of a network's layers, and its activation."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from math import prod
from typing import Any, cast

from mnfn_cli.errors import UsageError
from mnfn_cli.symmetry import GROUP_OF_ACTIVATION, Group
from mnfn_cli.weightspace.pooling import Pooling
from mnfn_cli.weightspace.spec_checks import check_inputs, check_layers
from mnfn_cli.weightspace.spec_text import describe, describe_shapes

Pair = tuple[int, int]


@dataclass(frozen=True)
class NetworkSpec:
    """The shapes and the activation of a feed-forward network with ``L`` layers.

    Layer ``i`` (1..L) maps ``widths[i - 1]`` channels to ``widths[i]``. The first ``len(kernels)`` layers are
    convolutions; global average pooling follows the last of them, and all other layers are dense. The activation
    follows every layer but the last. Two specifications are equal if and only if all their fields are; ``fits``
    compares them where an input size may be unknown.

    A dense layer on a flattened feature map is a convolution whose kernel covers the whole map (``flatten``): each
    channel of the map owns a block of its columns, ``(out, channels * height * width)`` is the weight
    ``(out, channels, height, width)``, and the group acts on whole blocks.

    Args:
        widths: the numbers of channels ``n_0, ..., n_L``.
        activation: a key of ``symmetry.GROUP_OF_ACTIVATION``.
        kernels: the (height, width) of the kernel of each convolution.
        strides: the (height, width) of the stride of each convolution.
        paddings: the (height, width) of the zero padding of each convolution, on each side.
        omega: the frequency of a SIREN, which computes ``sin(omega * (W x + b))``; 1 for every other activation.
        pools: the pooling after each convolution, None for none; ``()`` if there is no pooling at all.
        flatten: whether the last convolution is a dense layer on the flattened map, so that its kernel must cover it.
        input_size: the (height, width) of the pictures that a network with convolutions reads, the (channels, height,
            width) of those that a dense network reads; None if it is unknown or the inputs are no pictures.
        input_mean, input_std: the mean and the deviation, one for all channels or one each, with which inputs are
            normalised as ``(x - mean) / std`` before the first layer; ``()`` if they are not.
        output_offset: a number that is added to every output.

    Raises:
        UsageError: there are fewer than two layers, a size is not positive, the activation is unknown, or a field does
            not fit the others.

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
    pools: tuple[Pooling | None, ...] = ()
    flatten: bool = False
    input_size: tuple[int, ...] | None = None
    input_mean: tuple[float, ...] = ()
    input_std: tuple[float, ...] = ()
    output_offset: float = 0.0

    def __post_init__(self) -> None:
        check_layers(self)
        if not any(self.pools):
            object.__setattr__(self, "pools", ())  # two ways to say that there is none
        check_inputs(self)

    @classmethod
    def mlp(cls, widths: Sequence[int], activation: str, omega: float = 1.0, **more: Any) -> "NetworkSpec":
        """Return the specification of a dense network.

        Args:
            widths: the widths of all layers, with those of inputs and outputs.
            activation: the activation after every layer but the last.
            omega: the frequency of sines, ``sin(omega x)``.
            more: further fields, such as ``input_size`` and ``output_offset``.

        Raises:
            UsageError: the specification is not valid.

        >>> NetworkSpec.mlp([2, 32, 32, 1], activation="sin", omega=30.0).num_layers
        3
        """
        return cls(tuple(widths), activation, omega=float(omega), **more)

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
        pool: str | Sequence[str] = (),
        **more: Any,
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
            pool: the pooling after each convolution, in the form of ``Pooling.parse``; one text stands for all.
            more: further fields, such as ``input_size`` and ``flatten``.

        Raises:
            UsageError: a list does not have one entry for each convolution, or the specification is not valid.

        >>> NetworkSpec.cnn([1, 16, 16], stride=2, outputs=10).weight_shapes
        ((16, 1, 3, 3), (16, 16, 3, 3), (10, 16))
        """
        count = len(channels) - 1
        return cls(
            widths=(*channels, *hidden, outputs),
            activation=activation,
            kernels=_pairs("kernel", kernel, count),
            strides=_pairs("stride", stride, count),
            paddings=_pairs("padding", padding, count),
            pools=tuple(map(Pooling.parse, [pool] * count if isinstance(pool, str) else pool)),
            **more,
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
    def groups(self) -> tuple[Group, ...]:
        """The symmetry beyond permutations of each hidden layer; max pooling leaves a layer no sign flips."""
        groups = [self.group] * len(self.hidden_widths)
        for layer, pool in enumerate(self.pools[: len(groups)]):
            if pool is not None and pool.kind == "max" and self.group == "sign":
                groups[layer] = "permutation"
        return tuple(groups)

    @property
    def periodic(self) -> tuple[bool, ...]:
        """Whether each hidden layer also allows shifts of its biases by ``pi / omega``: a sine without max pooling."""
        waves = self.activation == "sin" and self.omega != 0
        return tuple(waves and group == "sign" for group in self.groups)

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
        """Return the (height, width) of the map that each convolution, with its pooling, makes of a picture.

        A size is 0 where the picture is too small.

        Args:
            image_size: the (height, width) of the picture in pixels.

        >>> NetworkSpec.cnn([1, 16, 16, 16], stride=2, outputs=10).feature_map_sizes((16, 16))
        [(7, 7), (3, 3), (1, 1)]


        """
        sizes = []
        height, width = image_size
        pools = self.pools or (None,) * len(self.kernels)
        for (kh, kw), (sh, sw), (ph, pw), pool in zip(self.kernels, self.strides, self.paddings, pools, strict=True):
            height = max((height + 2 * ph - kh) // sh + 1, 0)
            width = max((width + 2 * pw - kw) // sw + 1, 0)
            if pool is not None:
                height, width = pool.shrink(height), pool.shrink(width)
            sizes.append((height, width))
        return sizes

    def to_json(self) -> dict[str, Any]:
        """Return the specification as a JSON object without the fields at their defaults; ``from_json`` reads it.

        >>> NetworkSpec.mlp([2, 5, 1], activation="relu").to_json()
        {'widths': [2, 5, 1], 'activation': 'relu'}
        """
        document: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "pools":
                value = tuple(str(pool or "none") for pool in value)
            if value != field.default:
                document[field.name] = json.loads(json.dumps(value, allow_nan=False))
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "NetworkSpec":
        """Return the specification that ``to_json`` wrote.

        Args:
            document: the JSON object.

        Raises:
            KeyError, TypeError, ValueError: the document has another form.
            UsageError: the specification is not valid.

        >>> NetworkSpec.from_json({"widths": [2, 5, 1], "activation": "relu"}).hidden_widths
        (5,)
        """
        if unknown := set(document) - {field.name for field in fields(cls)}:
            raise ValueError(f"unknown keys {', '.join(sorted(unknown))}")
        pairs = {
            name: tuple((int(h), int(w)) for h, w in document.get(name, ()))
            for name in ("kernels", "strides", "paddings")
        }
        size = document.get("input_size")
        return cls(
            widths=tuple(int(n) for n in document["widths"]),
            activation=str(document["activation"]),
            **pairs,
            omega=float(document.get("omega", 1.0)),
            pools=tuple(Pooling.parse(str(text)) for text in document.get("pools", ())),
            flatten=bool(document.get("flatten", False)),
            input_size=None if size is None else tuple(int(n) for n in size),
            input_mean=tuple(float(value) for value in document.get("input_mean", ())),
            input_std=tuple(float(value) for value in document.get("input_std", ())),
            output_offset=float(document.get("output_offset", 0.0)),
        )

    @property
    def is_plain(self) -> bool:
        """Whether widths, activation, kernels, strides, paddings and omega say everything, as in the first format."""
        return self == NetworkSpec(
            self.widths, self.activation, self.kernels, self.strides, self.paddings, omega=self.omega
        )

    def to_text(self) -> str:
        """Return the specification as one line of JSON, for a file's metadata; ``read_spec`` reads it back exactly.

        >>> NetworkSpec.mlp([2, 5, 1], activation="relu").to_text()
        '{"widths": [2, 5, 1], "activation": "relu"}'
        """
        return json.dumps(self.to_json(), allow_nan=False)

    def agrees_with(self, found: "NetworkSpec | str") -> bool:
        """Return whether what ``read_spec`` found describes these networks.

        The text in an older file names neither strides nor paddings, so any will do; all that it names must agree.

        Args:
            found: a specification, or a text of an older file.

        >>> spec = NetworkSpec.mlp([2, 5, 1], activation="relu")
        >>> spec.agrees_with(read_spec(spec.to_text()))
        True
        """
        return found == describe_shapes(self) if isinstance(found, str) else self.fits(found)

    def fits(self, other: "NetworkSpec") -> bool:
        """Return whether both describe the same networks; an unknown input size fits any.

        Args:
            other: the other specification.

        >>> NetworkSpec.cnn([1, 4], outputs=10, input_size=(8, 8)).fits(NetworkSpec.cnn([1, 4], outputs=10))
        True
        """
        if self.input_size is None or other.input_size is None:
            return replace(self, input_size=None) == replace(other, input_size=None)
        return self == other

    def __str__(self) -> str:
        return describe(self)


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


def _pairs(name: str, value: int | Pair | Sequence[int | Pair], count: int) -> tuple[Pair, ...]:
    """Return one pair for each of ``count`` convolutions, from a number, a pair, or a list of either."""
    entries: Sequence[int | Pair] = value if isinstance(value, list) else [cast(int | Pair, value)] * count
    if len(entries) != count:
        raise UsageError("network spec", f"{name} has {len(entries)} entries for {count} convolutions")
    return tuple((entry, entry) if isinstance(entry, int) else (entry[0], entry[1]) for entry in entries)
