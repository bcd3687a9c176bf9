"""What the weights of a network do not tell: its activation, strides, padding, pooling, and what it reads."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

from mnfn_cli.errors import DataError, UsageError
from mnfn_cli.symmetry import GROUP_OF_ACTIVATION
from mnfn_cli.weightspace.layout import Layout
from mnfn_cli.weightspace.pooling import Pooling
from mnfn_cli.weightspace.spec import NetworkSpec, Pair

Entry = TypeVar("Entry")


@dataclass(frozen=True)
class Architecture:
    """What the user, or the format of a data set, says about networks.

    Args:
        activation: the activation after every layer but the last; None if nobody says it.
        omega: the frequency of a SIREN; None if nobody says it.
        strides: the (height, width) of the stride of each convolution; one entry stands for all, none for 1.
        paddings: the (height, width) of the zero padding of each convolution, in the same form; none for 0.
        pools: the pooling after each convolution, as ``Pooling.parse`` reads it, in the same form; none for no pooling.
        input_size: the (height, width) or the (channels, height, width) of the pictures that the networks read; None if
            nobody says it.
        input_mean, input_std: the normalisation of inputs, as in ``NetworkSpec``.
        output_offset: a number that is added to every output.

    >>> from mnfn_cli.zoo import Architecture
    >>> Architecture(activation="relu", strides=((2, 2),)).to_json()
    {'activation': 'relu', 'strides': ((2, 2),)}
    """

    activation: str | None = None
    omega: float | None = None
    strides: tuple[Pair, ...] = ()
    paddings: tuple[Pair, ...] = ()
    pools: tuple[str, ...] = ()
    input_size: tuple[int, ...] | None = None
    input_mean: tuple[float, ...] = ()
    input_std: tuple[float, ...] = ()
    output_offset: float = 0.0

    @classmethod
    def of(
        cls,
        activation: str | None = None,
        omega: float | None = None,
        *,
        stride: int | Sequence[int | Pair] | None = None,
        padding: int | Sequence[int | Pair] | None = None,
        pool: str | Sequence[str] | None = None,
        input_size: int | Sequence[int] | None = None,
        input_mean: float | Sequence[float] | None = None,
        input_std: float | Sequence[float] | None = None,
        output_offset: float = 0.0,
    ) -> "Architecture":
        """Return what is said in the form of the options of ``mnfn zoo import``.

        Args:
            activation, omega, output_offset: as in the class.
            stride, padding: one number or one for each convolution, such as ``2`` or ``[2, (1, 2)]``.
            pool: one text or one for each convolution, such as ``"max2"`` or ``["max2", "none"]``.
            input_size: the side of squares, or as in the class.
            input_mean, input_std: one number, or one for each channel.

        Raises:
            UsageError: a stride, a padding, a pooling or a size is none.

        >>> Architecture.of("relu", stride=[2, 1], pool="max2", input_size=28).strides
        ((2, 2), (1, 1))
        """
        pools = (pool,) if isinstance(pool, str) else tuple(pool or ())
        for text in pools:
            Pooling.parse(text)
        return cls(
            activation=activation,
            omega=omega,
            strides=_pairs("--stride", stride, 1),
            paddings=_pairs("--padding", padding, 0),
            pools=pools,
            input_size=picture_size("--input-size", input_size),
            input_mean=_numbers(input_mean),
            input_std=_numbers(input_std),
            output_offset=output_offset,
        )

    def to_json(self) -> dict[str, Any]:
        """Return what is said, for zoo.json, without what is left open."""
        empty = Architecture()
        return {name: value for name, value in asdict(self).items() if value != getattr(empty, name)}

    def spec(self, layout: Layout, where: str) -> NetworkSpec:
        """Return the specification of a network from the shapes of its layers and from what is said.

        Args:
            layout: the layers of the file.
            where: the name of the file for errors.

        Raises:
            UsageError: the activation is not said or unknown, or ``omega`` is missing for a SIREN.
            DataError: there is one layer only, or what is said does not fit the layers.
        """
        activation = self.require_activation()
        if len(layout.layers) < 2:
            raise DataError(where, "has 1 layer; a network needs at least 2 for a weight space with a symmetry")
        try:
            return self._cnn(layout, activation, where) or self._mlp(layout, activation, where)
        except UsageError as error:
            raise DataError(where, f"does not fit what is said about it: {error.problem}") from None

    def require_activation(self) -> str:
        """Return the activation, with which ``omega`` fits; raises UsageError, as ``spec`` does."""
        known = ", ".join(GROUP_OF_ACTIVATION)
        if self.activation is None:
            raise UsageError("--activation", f"weights do not tell the activation; say one of {known}")
        if self.activation not in GROUP_OF_ACTIVATION:
            raise UsageError("--activation", f"'{self.activation}' is unknown; known: {known}")
        if self.activation == "sin" and self.omega is None:
            raise UsageError("--omega", "weights do not tell the frequency of a sine; say it, such as 30")
        if self.activation != "sin" and self.omega is not None:
            raise UsageError("--omega", f"belongs to sine layers, and these are {self.activation}")
        return self.activation

    def _mlp(self, layout: Layout, activation: str, where: str) -> NetworkSpec:
        for option, given in (("--stride", self.strides), ("--padding", self.paddings), ("--pool", self.pools)):
            _one_each(option, given, 0, (), where)
        shapes = layout.weight_shapes(where)
        size = self.input_size
        if size is not None and len(size) == 2:
            size = (max(shapes[0][1] // (size[0] * size[1]), 1), *size)
        return self._with_inputs(NetworkSpec((shapes[0][1], *(shape[0] for shape in shapes)), activation), size)

    def _cnn(self, layout: Layout, activation: str, where: str) -> NetworkSpec | None:
        count = sum(len(layer.shape) == 4 for layer in layout.layers)
        if not count:
            return None
        kernels = [(layer.shape[2], layer.shape[3]) for layer in layout.layers[:count]]
        strides = _one_each("--stride", self.strides, count, ((1, 1),), where)
        paddings = _one_each("--padding", self.paddings, count, ((0, 0),), where)
        pools = _one_each("--pool", self.pools, count, ("none",), where)
        channels = [layout.layers[0].shape[1], *(layer.shape[0] for layer in layout.layers[:count])]
        size = self._picture_size(channels[0], where)
        plain = NetworkSpec.cnn(
            channels, kernel=kernels, stride=[*strides], padding=[*paddings], pool=pools, outputs=1,
            activation=activation,
        )  # fmt: skip
        shapes = layout.weight_shapes(where, None if size is None else plain.feature_map_sizes(size)[-1])
        flatten = len(shapes) > count and len(shapes[count]) == 4
        if flatten:
            kernels.append((shapes[count][2], shapes[count][3]))
            strides, paddings, pools = [*strides, (1, 1)], [*paddings, (0, 0)], [*pools, "none"]
        spec = NetworkSpec(
            (shapes[0][1], *(shape[0] for shape in shapes)),
            activation,
            kernels=tuple(kernels),
            strides=tuple(strides),
            paddings=tuple(paddings),
            pools=tuple(map(Pooling.parse, pools)),
            flatten=flatten,
        )
        return self._with_inputs(spec, size)

    def _with_inputs(self, spec: NetworkSpec, size: tuple[int, ...] | None) -> NetworkSpec:
        return replace(
            spec,
            omega=1.0 if self.omega is None else self.omega,
            input_size=size,
            input_mean=self.input_mean,
            input_std=self.input_std,
            output_offset=self.output_offset,
        )

    def _picture_size(self, channels: int, where: str) -> Pair | None:
        if self.input_size is None:
            return None
        *first, height, width = self.input_size
        if first and first != [channels]:
            raise DataError(where, f"reads pictures of {channels} channels, and --input-size says {first[0]}")
        return height, width


def _pairs(option: str, given: int | Sequence[int | Pair] | None, least: int) -> tuple[Pair, ...]:
    entries = [given] if isinstance(given, int) else given or ()
    pairs = [(entry, entry) if isinstance(entry, int) else entry for entry in entries]
    if any(len(pair) != 2 or not all(isinstance(side, int) and side >= least for side in pair) for pair in pairs):
        raise UsageError(option, f"{given!r}; give whole numbers from {least} on, such as 2 or [2, 1]")
    return tuple((high, wide) for high, wide in pairs)


def picture_size(
    option: str, given: int | Sequence[int] | None, sides: tuple[int, ...] = (2, 3)
) -> tuple[int, ...] | None:
    """Return a size in pixels, given as such or as the side of a square; None if it is not given.

    Args:
        option: the name of the option, for errors.
        given: the size.
        sides: how many numbers there may be.

    Raises:
        UsageError: it is no size.
    """
    size = (given, given) if isinstance(given, int) else given
    if size is not None and not (len(size) in sides and all(isinstance(side, int) and side > 0 for side in size)):
        example = " or (1, 28, 28)" if 3 in sides else ""
        raise UsageError(option, f"{given!r}; give a size in pixels, such as 28, (28, 28){example}")
    return None if size is None else tuple(size)


def _numbers(given: float | Sequence[float] | None) -> tuple[float, ...]:
    return (float(given),) if isinstance(given, int | float) else tuple(given or ())


def _one_each(option: str, given: Sequence[Entry], count: int, default: Sequence[Entry], where: str) -> Sequence[Entry]:
    """Return an entry for each convolution: those that are given, or the only one that is given for all.

    Raises:
        DataError: several are given, and there are more or fewer convolutions.
    """
    if len(given) > 1 and len(given) != count:
        raise DataError(where, f"has {count} convolutions, and {option} has {len(given)} entries")
    return [*(given or default)] * count if len(given) < 2 else [*given]
