"""The monomial group of a weight space and its action (paper, Section 4; docs/symmetries.md)."""

from collections.abc import Sequence
from math import pi

import torch
import torch.nn.functional as F
from torch import Tensor

from mnfn_cli.errors import UsageError
from mnfn_cli.symmetry import Group
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec

MOST_SHIFTS = 1000
"""The largest shift that may be drawn; beyond it a float32 bias tells its phase to fewer than four digits."""


class MonomialElement:
    """A batch of group elements, one for each network: each permutes the hidden neurons and multiplies them by factors.

    An element ``g`` consists of a permutation ``p_i`` and factors ``d(i)`` for each hidden layer ``i``. With the
    identity and ``d(0) = d(L) = 1`` for inputs and outputs, it acts by

        (g W)(i)[j, k] = d(i)[j] / d(i-1)[k] * W(i)[p_i^-1(j), p_{i-1}^-1(k)]
        (g b)(i)[j]    = d(i)[j]             * b(i)[p_i^-1(j)]

    This does not change a network's function if its layers allow the factors (see ``NetworkSpec.groups``).

    Where the activation is ``sin(omega x)``, an element may also shift the biases by integer multiples ``k(i)`` of
    ``pi / omega``, for ``sin(t + pi) = -sin(t)``. The weights that read such a neuron take the factor ``(-1)^k`` too:

        (g W)(i)[j, k] = d(i)[j] / d(i-1)[k] * (-1)^k(i-1)[k] * W(i)[p_i^-1(j), p_{i-1}^-1(k)]
        (g b)(i)[j]    = d(i)[j]             * b(i)[p_i^-1(j)] + k(i)[j] * pi / omega

    Args:
        permutations: the permutations ``p_1, ..., p_{L-1}``, integer tensors ``(batch, n_i)``; neuron ``k`` moves to
            ``p_i[k]``.
        scales: the factors ``d(1), ..., d(L-1)``, floating-point tensors ``(batch, n_i)`` without zeros.
        shifts: the shifts ``k(1), ..., k(L-1)``, int64 tensors ``(batch, n_i)``; ``()`` for an element without any.
            Layers with shifts have the factors 1 and -1.
        omega: the frequency of the networks, if there are shifts.

    Raises:
        ValueError: there are shifts and no omega other than 0.

    Source:
        paper, Definition 4.2 (Equations 15 and 16); that functions stay the same is Proposition 4.4.

    >>> import torch
    >>> from mnfn_cli import MonomialElement, NetworkSpec, WeightSpaceFeatures, run_networks
    >>> spec = NetworkSpec.mlp([2, 5, 4, 3], activation="relu")
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2, dtype=torch.float64)
    >>> g = MonomialElement.sample(spec, batch=2, scale=(1.0, 100.0))
    >>> inputs = torch.rand(5, 2, dtype=torch.float64)
    >>> before, after = (run_networks(spec, some, inputs) for some in (networks, g.act(networks)))
    >>> torch.allclose(before, after)
    True
    >>> torch.allclose(g.inverse().act(g.act(networks)).flatten(), networks.flatten())
    True
    """

    def __init__(
        self,
        permutations: Sequence[Tensor],
        scales: Sequence[Tensor],
        shifts: Sequence[Tensor] = (),
        omega: float | None = None,
    ) -> None:
        if shifts and not omega:
            raise ValueError("shifts are multiples of pi / omega, and no omega is given")
        self.permutations = tuple(permutations)
        self.scales = tuple(scales)
        self.shifts = tuple(shifts)
        self.omega = omega if shifts else None

    @classmethod
    def identity(cls, spec: NetworkSpec, batch: int, dtype: torch.dtype = torch.float64) -> "MonomialElement":
        """Return identity elements, which change nothing.

        Args:
            spec: the weight space.
            batch: the number of elements.
            dtype: the dtype of the factors.

        >>> spec = NetworkSpec.mlp([2, 5, 4, 3], activation="relu")
        >>> networks = WeightSpaceFeatures.randn(spec, batch=2, dtype=torch.float64)
        >>> torch.equal(MonomialElement.identity(spec, 2).act(networks).flatten(), networks.flatten())
        True
        """
        permutations = [torch.arange(n).expand(batch, n) for n in spec.hidden_widths]
        return cls(permutations, [torch.ones(batch, n, dtype=dtype) for n in spec.hidden_widths])

    @classmethod
    def sample(
        cls,
        spec: NetworkSpec,
        batch: int,
        scale: tuple[float, float] = (1.0, 1e4),
        *,
        log_uniform: bool = False,
        permute: bool = True,
        shifts: int = 0,
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float64,
    ) -> "MonomialElement":
        """Draw random elements of the group of a weight space.

        Args:
            spec: the weight space.
            batch: the number of elements.
            scale: the interval ``(low, high)`` of the factors. It is used for the scaling group only.
            log_uniform: whether the logarithms of the factors are uniform, instead of the factors (``U[low, high]``).
            permute: whether to permute neurons, uniformly at random. Without it the permutations are drawn and dropped,
                so that the factors are the same as with it, for the same state of the generator.
            shifts: for networks with the activation sin, the largest shift ``K``: shifts are uniform integers in
                [-K, K]. With 0 the elements have none. They are drawn last, so the rest does not depend on ``K``.
            generator: the source of randomness; by default torch's global generator.
            dtype: the dtype of the factors.

        Raises:
            UsageError: ``scale`` does not satisfy ``0 < low <= high < infinity``; or ``check_shifts`` refuses
                ``shifts``.

        >>> spec = NetworkSpec.mlp([2, 5, 4, 3], activation="relu")
        >>> g = MonomialElement.sample(spec, batch=2, scale=(1.0, 100.0))
        >>> g.permutations[0].shape, bool((g.scales[0] >= 1).all()), bool((g.scales[0] <= 100).all())
        (torch.Size([2, 5]), True, True)
        """
        check_shifts(spec, shifts)
        low, high = scale
        if not 0 < low <= high < float("inf"):
            raise UsageError("scale", f"[{low:g}, {high:g}] is no interval of positive numbers, the lower first")

        def factors(n: int, group: Group) -> Tensor:
            if group == "permutation":
                return torch.ones(batch, n, dtype=dtype)
            if group == "sign":
                return torch.randint(0, 2, (batch, n), generator=generator).to(dtype) * 2 - 1
            uniform = torch.rand(batch, n, generator=generator, dtype=dtype)
            return low * (high / low) ** uniform if log_uniform else low + (high - low) * uniform

        permutations = [torch.rand(batch, n, generator=generator).argsort(dim=1) for n in spec.hidden_widths]
        scales = [factors(n, group) for n, group in zip(spec.hidden_widths, spec.groups, strict=True)]
        moved = [
            torch.randint(-shifts, shifts + 1, (batch, n), generator=generator) * allowed
            for n, allowed in zip(spec.hidden_widths, spec.periodic, strict=True)
            if shifts and any(spec.periodic)
        ]
        return cls(permutations if permute else cls.identity(spec, batch).permutations, scales, moved, spec.omega)

    def act(self, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        """Return the features after the action, with the same dtype and the same order of axes in memory.

        Args:
            features: features with any number of channels, with one network for each element; raw weights, with one
                channel, if the elements have shifts, which are added to biases in float64 and rounded once.

        Raises:
            UsageError: the elements have shifts, and the features have several channels.

        >>> spec = NetworkSpec.mlp([2, 5, 4, 3], activation="relu")
        >>> g = MonomialElement.sample(spec, batch=2, scale=(1.0, 100.0))
        >>> networks = WeightSpaceFeatures.randn(spec, batch=2, dtype=torch.float64)
        >>> g.act(networks).weights[1].shape
        torch.Size([2, 1, 4, 5])
        """
        if self.shifts and features.channels != 1:
            raise UsageError("features", f"{features.channels} channels; shifts act on raw weights (1 channel) alone")
        moved = self.act_on_change(features)
        return WeightSpaceFeatures(moved.weights, self.shift(moved.biases))

    def shift(self, biases: Sequence[Tensor]) -> list[Tensor]:
        """Return biases with the shifts added in float64, and rounded once.

        Args:
            biases: the biases ``(batch, 1, n_i)`` of all layers.

        >>> spec = NetworkSpec.mlp([2, 5, 1], activation="sin", omega=30.0)
        >>> g = MonomialElement.sample(spec, batch=1, shifts=2)
        >>> moved = g.shift(WeightSpaceFeatures.zeros(spec, batch=1).biases)[0]
        >>> torch.allclose(moved, g.shifts[0][:, None] * pi / 30, atol=1e-6)
        True
        """
        shifted = list(biases)
        for i, shift in enumerate(self.shifts):
            exact = biases[i].double() + shift.to(biases[i].device).double()[:, None] * self._unit
            shifted[i] = torch.empty_like(biases[i]).copy_(exact)
        return shifted

    def act_on_change(self, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        """Return a change of the weights after the action, which is ``act(x + change) - act(x)`` for any weights ``x``.

        This is the linear part of the action: without shifts it is ``act``. With them no bias is shifted, but the
        outgoing weights of shifted neurons take their signs.

        Args:
            features: changes of the weights with any number of channels, one network for each element.

        >>> spec = NetworkSpec.mlp([2, 5, 4, 3], activation="relu")
        >>> g = MonomialElement.sample(spec, batch=2, scale=(1.0, 100.0))
        >>> networks = WeightSpaceFeatures.randn(spec, batch=2, dtype=torch.float64)
        >>> change = networks.map(torch.ones_like)
        >>> after = g.act(networks.zip_map(torch.add, change)).zip_map(torch.sub, g.act(networks))
        >>> torch.allclose(g.act_on_change(change).flatten(), after.flatten())
        True
        """
        device, dtype, batch = features.device, features.dtype, features.batch
        ends = (features.weights[0].shape[3], features.weights[-1].shape[2])
        sources = [_inverse(permutation).to(device) for permutation in self.permutations]
        sources = [torch.arange(ends[0], device=device)[None], *sources, torch.arange(ends[1], device=device)[None]]
        # Products and quotients of factors are taken in the factors' dtype, and rounded once.
        factors = [scale.to(device) for scale in self.scales]
        factors = [factors[0].new_ones(1, ends[0]), *factors, factors[0].new_ones(1, ends[1])]
        divisors = [factor.reciprocal() for factor in factors]
        for i, shift in enumerate(self.shifts, 1):
            divisors[i] = divisors[i] * sign_of(shift.to(device))
        networks = torch.arange(batch, device=device)[:, None]
        weights, biases = [], []
        for i, (weight, bias) in enumerate(zip(features.weights, features.biases, strict=True)):
            n_out, n_in = weight.shape[2:4]
            rows = networks * n_out + sources[i + 1]  # where each neuron comes from, among those of all networks
            pairs = rows[:, :, None] * n_in + sources[i][:, None, :]
            factor = (factors[i + 1][:, :, None] * divisors[i][:, None, :]).to(dtype)
            # Neurons to the front: the channels and kernel entries of a pair are copied as one block.
            weights.append(_scaled_copy(weight.movedim(1, 3), 3, pairs, factor).movedim(3, 1))
            biases.append(_scaled_copy(bias.movedim(1, 2), 2, rows, factors[i + 1].to(dtype)).movedim(2, 1))
        return WeightSpaceFeatures(weights, biases)

    def inverse(self) -> "MonomialElement":
        """Return the inverse elements.

        >>> spec = NetworkSpec.mlp([2, 5, 4, 3], activation="relu")
        >>> g = MonomialElement.sample(spec, batch=2, scale=(1.0, 100.0))
        >>> networks = WeightSpaceFeatures.randn(spec, batch=2, dtype=torch.float64)
        >>> torch.allclose(g.inverse().act(g.act(networks)).flatten(), networks.flatten())
        True
        """
        inverses = [_inverse(permutation) for permutation in self.permutations]
        scales = [
            scale.gather(1, permutation).reciprocal()
            for scale, permutation in zip(self.scales, self.permutations, strict=True)
        ]
        shifts = [
            -scale.sign().long() * shift.gather(1, permutation)
            for scale, shift, permutation in zip(scales, self.shifts, self.permutations, strict=False)
        ]
        return MonomialElement(inverses, scales, shifts, self.omega)

    def compose(self, other: "MonomialElement") -> "MonomialElement":
        """Return the product ``self other``, which acts like ``other`` followed by ``self``.

        Args:
            other: as many elements of the same weight space.

        Raises:
            ValueError: both have shifts, for different omegas.

        >>> spec = NetworkSpec.mlp([2, 5, 4, 3], activation="relu")
        >>> g = MonomialElement.sample(spec, batch=2, scale=(1.0, 100.0))
        >>> h = MonomialElement.sample(spec, batch=2, scale=(1.0, 100.0))
        >>> networks = WeightSpaceFeatures.randn(spec, batch=2, dtype=torch.float64)
        >>> torch.allclose(g.compose(h).act(networks).flatten(), g.act(h.act(networks)).flatten())
        True
        """
        if self.shifts and other.shifts and self.omega != other.omega:
            raise ValueError(f"shifts for omega {self.omega} and for omega {other.omega} have no product")
        permutations, scales, shifts = [], [], []
        for p_g, d_g, p_h, d_h in zip(self.permutations, self.scales, other.permutations, other.scales, strict=True):
            permutations.append(p_g.gather(1, p_h))
            scales.append(d_g * d_h.gather(1, _inverse(p_g)))
        if self.shifts or other.shifts:
            for p_g, d_g, k_g, k_h in zip(self.permutations, self.scales, self._moves, other._moves, strict=True):
                shifts.append(k_g + d_g.sign().long() * k_h.gather(1, _inverse(p_g)))
        return MonomialElement(permutations, scales, shifts, self.omega or other.omega)

    def select(self, index: slice | Tensor) -> "MonomialElement":
        """Return some elements of the batch.

        Args:
            index: a slice, or a tensor with their places.

        >>> spec = NetworkSpec.mlp([2, 5, 4, 3], activation="relu")
        >>> g = MonomialElement.sample(spec, batch=2, scale=(1.0, 100.0))
        >>> g.select(slice(1)).scales[0].shape
        torch.Size([1, 5])
        """
        permutations, scales, shifts = (
            [tensor[index] for tensor in parts] for parts in (self.permutations, self.scales, self.shifts)
        )
        return MonomialElement(permutations, scales, shifts, self.omega)

    @classmethod
    def cat(cls, parts: Sequence["MonomialElement"]) -> "MonomialElement":
        """Return one batch of the elements of several.

        Args:
            parts: batches for one weight space, either all with shifts or all without; at least one.

        >>> spec = NetworkSpec.mlp([2, 5, 4, 3], activation="relu")
        >>> g = MonomialElement.sample(spec, batch=2, scale=(1.0, 100.0))
        >>> MonomialElement.cat([g, g]).scales[0].shape
        torch.Size([4, 5])
        """
        tensors = ([part.permutations, part.scales, part.shifts] for part in parts)
        permutations, scales, shifts = (
            [torch.cat(layer) for layer in zip(*kind, strict=True)] for kind in zip(*tensors, strict=True)
        )
        return cls(permutations, scales, shifts, parts[0].omega)

    def for_biases_of(self, features: WeightSpaceFeatures) -> "MonomialElement":
        """Return the elements without shifts of layers whose biases are all 0.

        A layer without biases is read as one whose biases are 0, and must not be given any.

        Args:
            features: raw weights ``(batch, 1, ...)``, one network for each element.

        >>> spec = NetworkSpec.mlp([2, 5, 1], activation="sin", omega=30.0)
        >>> g = MonomialElement.sample(spec, batch=1, shifts=2)
        >>> g.for_biases_of(WeightSpaceFeatures.zeros(spec, batch=1)).shifts[0].any().item()
        False
        """
        shifts = [
            shift * (bias != 0).flatten(1).any(dim=1, keepdim=True).to(shift.device)
            for shift, bias in zip(self.shifts, features.biases, strict=False)
        ]
        return MonomialElement(self.permutations, self.scales, shifts, self.omega)

    @property
    def _unit(self) -> float:
        """What a shift of 1 adds to a bias."""
        assert self.omega is not None
        return pi / self.omega

    @property
    def _moves(self) -> tuple[Tensor, ...]:
        """The shifts; zeros if there are none."""
        return self.shifts or tuple(map(torch.zeros_like, self.permutations))


def check_shifts(spec: NetworkSpec, shifts: int) -> None:
    """Raise ``UsageError`` unless networks may be shifted by up to ``shifts`` times ``pi / omega``."""
    if not 0 <= shifts <= MOST_SHIFTS:
        raise UsageError("--shifts", f"{shifts} is no whole number from 0 to {MOST_SHIFTS}")
    if shifts and spec.activation != "sin":
        raise UsageError("--shifts", f"networks {spec} have none: only SIRENs do, whose activation is sin")


def sign_of(shift: Tensor) -> Tensor:
    """Return ``(-1)^k`` for integers ``k``, in float64."""
    return 1.0 - 2.0 * (shift % 2).double()


def _inverse(permutation: Tensor) -> Tensor:
    """Return the inverses of permutations, one in each row."""
    places = torch.arange(permutation.shape[1], device=permutation.device).expand_as(permutation)
    return torch.empty_like(permutation).scatter_(1, permutation, places)


def _scaled_copy(blocks: Tensor, axes: int, sources: Tensor, factors: Tensor) -> Tensor:
    """Return a tensor like ``blocks`` whose blocks are ``factors * blocks[sources]``.

    The first ``axes`` axes index the blocks. ``embedding_bag`` with one block in each bag copies and multiplies in one
    pass and takes half the time of ``index_select`` and a product, except for blocks of a single number.
    """
    table = blocks.flatten(0, axes - 1).flatten(1)
    narrow = torch.int32 if len(table) < 2**31 else torch.int64  # half of the bytes, two thirds of the time
    index = sources.to(narrow).expand(blocks.shape[:axes]).flatten()
    weights = factors.expand(blocks.shape[:axes]).flatten()
    if table.shape[1] == 1:
        return table[:, 0].index_select(0, index).mul_(weights).view(blocks.shape)
    bags = torch.arange(len(index), dtype=narrow, device=index.device)
    copied = F.embedding_bag(index, table, bags, mode="sum", per_sample_weights=weights)
    return copied.view(blocks.shape)
