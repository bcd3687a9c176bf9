"""The monomial group of a weight space and its action (paper, Section 4; docs/symmetries.md)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mnfn_cli.errors import UsageError
from mnfn_cli.symmetry import Group
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec


class MonomialElement:
    """A batch of group elements, one for each network: each permutes the hidden neurons and multiplies them by factors.

    An element ``g`` consists of a permutation ``p_i`` and factors ``d(i)`` for each hidden layer ``i``. With the
    identity and ``d(0) = d(L) = 1`` for inputs and outputs, it acts by

        (g W)(i)[j, k] = d(i)[j] / d(i-1)[k] * W(i)[p_i^-1(j), p_{i-1}^-1(k)]
        (g b)(i)[j]    = d(i)[j]             * b(i)[p_i^-1(j)]

    This does not change a network's function if its layers allow the factors (see ``NetworkSpec.groups``).

    Args:
        permutations: the permutations ``p_1, ..., p_{L-1}``, integer tensors ``(batch, n_i)``; neuron ``k`` moves to
            ``p_i[k]``.
        scales: the factors ``d(1), ..., d(L-1)``, floating-point tensors ``(batch, n_i)`` without zeros.
    """

    def __init__(self, permutations: Sequence[Tensor], scales: Sequence[Tensor]) -> None:
        self.permutations = tuple(permutations)
        self.scales = tuple(scales)

    @classmethod
    def identity(cls, spec: NetworkSpec, batch: int, dtype: torch.dtype = torch.float64) -> "MonomialElement":
        """Return identity elements, which change nothing."""
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
            generator: the source of randomness; by default torch's global generator.
            dtype: the dtype of the factors.

        Raises:
            UsageError: ``scale`` does not satisfy ``0 < low <= high < infinity``.
        """
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
        return cls(permutations if permute else cls.identity(spec, batch).permutations, scales)

    def act(self, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        """Return the features after the action, with the same dtype and the same order of axes in memory.

        Args:
            features: features with any number of channels, with one network for each element.
        """
        device, dtype, batch = features.device, features.dtype, features.batch
        ends = (features.weights[0].shape[3], features.weights[-1].shape[2])
        sources = [_inverse(permutation).to(device) for permutation in self.permutations]
        sources = [torch.arange(ends[0], device=device)[None], *sources, torch.arange(ends[1], device=device)[None]]
        # Products and quotients of factors are taken in the factors' dtype, and rounded once.
        factors = [scale.to(device) for scale in self.scales]
        factors = [factors[0].new_ones(1, ends[0]), *factors, factors[0].new_ones(1, ends[1])]
        divisors = [factor.reciprocal() for factor in factors]
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
        """Return the inverse elements."""
        inverses = [_inverse(permutation) for permutation in self.permutations]
        scales = [
            scale.gather(1, permutation).reciprocal()
            for scale, permutation in zip(self.scales, self.permutations, strict=True)
        ]
        return MonomialElement(inverses, scales)

    def compose(self, other: "MonomialElement") -> "MonomialElement":
        """Return the product ``self other``, which acts like ``other`` followed by ``self``."""
        permutations, scales = [], []
        for p_g, d_g, p_h, d_h in zip(self.permutations, self.scales, other.permutations, other.scales, strict=True):
            permutations.append(p_g.gather(1, p_h))
            scales.append(d_g * d_h.gather(1, _inverse(p_g)))
        return MonomialElement(permutations, scales)

    def select(self, index: slice | Tensor) -> "MonomialElement":
        """Return the elements that ``index`` selects from the batch."""
        return MonomialElement([p[index] for p in self.permutations], [d[index] for d in self.scales])


def _inverse(permutation: Tensor) -> Tensor:
    """Return the inverses of permutations, one in each row."""
    places = torch.arange(permutation.shape[1], device=permutation.device).expand_as(permutation)
    return torch.empty_like(permutation).scatter_(1, permutation, places)


def _scaled_copy(blocks: Tensor, axes: int, sources: Tensor, factors: Tensor) -> Tensor:
    """Return a tensor like ``blocks`` whose blocks are ``factors * blocks[sources]``.

    The first ``axes`` axes index the blocks. ``embedding_bag`` with one block in each bag copies and multiplies in one
    pass and takes half the time of ``index_select`` and a product, except for blocks of a single number.
    """
    index = sources.expand(blocks.shape[:axes]).flatten()
    weights = factors.expand(blocks.shape[:axes]).flatten()
    table = blocks.flatten(0, axes - 1).flatten(1)
    if table.shape[1] == 1:
        return table[:, 0].index_select(0, index).mul_(weights).view(blocks.shape)
    copied = F.embedding_bag(index[:, None], table, mode="sum", per_sample_weights=weights[:, None])
    return copied.view(blocks.shape)
