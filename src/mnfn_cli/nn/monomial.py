"""The linear layer that commutes with the monomial group (paper, Theorem 5.1)."""

from collections.abc import Iterator
from math import sqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mnfn_cli.errors import UsageError
from mnfn_cli.nn.blocks import Part, arrange, entries_of, equivariant_blocks, parts_in, restore
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec


class MonomialLinear(nn.Module):
    """Map ``d`` channels to ``e``, commuting with every element of the spec's monomial group.

    For the scaling group (relu), with kernel entries counted as channels:

        E(W)(1)[j,k] = sum_q A[k,q] W(1)[j,q] + B[k] b(1)[j]      E(b)(1)[j] = sum_q C[q] W(1)[j,q] + D b(1)[j]
        E(W)(i)[j,k] = P_i W(i)[j,k]                              E(b)(i)[j] = S_i b(i)[j]          1 < i < L
        E(W)(L)[j,k] = sum_p F[j,p] W(L)[p,k]                     E(b)(L)[j] = sum_p G[j,p] b(L)[p] + T[j]

    For the sign group (sin, tanh) also ``E(W)(L)[j,k] += H[j] b(L-1)[k]`` and ``E(b)(L-1)[j] += sum_p R[p] W(L)[p,j]``,
    and with L = 2 ``W(1)`` and ``W(2)`` are combined too. The layer is complete: every equivariant affine map is of
    this form. The coefficients are stored as one matrix for each block of entries of one character (see ``nn.blocks``),
    so the layer consists of a few matrix products. They are initialised Xavier normal, as published.

    Args:
        spec: the weight space; its activation chooses the group.
        in_channels: the number ``d`` of channels of the input.
        out_channels: the number ``e`` of channels of the output.
        sign_terms: whether to include the terms that only the sign group allows. The published tanh model has none.

    Shapes:
        The input is ``(batch, d, out, in, *kernel)`` and ``(batch, d, out)``; the output has ``e`` channels instead.

    Raises:
        UsageError: the activation of the networks allows permutations only.

    Source:
        paper, Theorem 5.1 and Tables 6 and 8.

    >>> spec = NetworkSpec.cnn([1, 16, 16, 16], outputs=10, activation="relu")
    >>> layer = MonomialLinear(spec, in_channels=1, out_channels=16)
    >>> layer(WeightSpaceFeatures.zeros(spec, batch=2)).weights[1].shape
    torch.Size([2, 16, 16, 16, 3, 3])
    """

    def __init__(self, spec: NetworkSpec, in_channels: int, out_channels: int, *, sign_terms: bool = True) -> None:
        super().__init__()
        if spec.group == "permutation":
            raise UsageError(
                "MonomialLinear", f"{spec.activation} networks have permutation symmetry only; use HNPLinear"
            )
        self.spec = spec
        self.in_channels = in_channels
        self.out_channels = out_channels
        self._output = f"b({spec.num_layers})"
        self.blocks = equivariant_blocks(spec, sign_terms and spec.group == "sign")
        self.matrices = nn.ParameterList(
            torch.empty(entries_of(block) * out_channels, entries_of(block) * in_channels) for block in self.blocks
        )
        self.constant = nn.Parameter(torch.empty(spec.widths[-1] * out_channels))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw every coefficient again, from a normal distribution with ``std^2 = 2 / (fan_in + fan_out)``.

        Both fans are sums over all maps from one family of tensors into one output tensor; for a map that only the sign
        group allows they are its own. ``T`` has the standard deviation of ``G``, and its fan_in counts as 0.
        """
        for family, std, part in self._standard_deviations():
            coefficient = self._coefficients(part, family)
            coefficient.normal_(std=std)
            if part.name == self._output:
                self.constant.normal_(std=std)

    def forward(self, features: WeightSpaceFeatures) -> WeightSpaceFeatures:
        """Return the image of the features under the map."""
        arranged = zip(arrange(self.blocks, features), self.maps(), strict=True)
        return restore(self.blocks, [F.linear(x, *each) for x, each in arranged], self.out_channels)

    def maps(self) -> list[tuple[Tensor, Tensor | None]]:
        """Return the matrix and the constant of each block; only the block of ``b(L)`` has a constant."""
        constants = (self.constant if parts_in(block)[0].name == self._output else None for block in self.blocks)
        return list(zip(self.matrices, constants, strict=True))

    def coefficients(self) -> dict[tuple[str, str], Tensor]:
        """Return the matrix of coefficients for each pair of an output and an input tensor, as views of the parameters.

        For example ``("W(1)", "b(1)")`` is ``B`` in the formulas. The rows run over the free axis, the channels and the
        kernel entries of the output, the columns over those of the input. ``T`` is the parameter ``constant``.
        """
        return {
            (target.name, source.name): self._coefficients(target, (source,))
            for block in self.blocks
            for target in parts_in(block)
            for source in parts_in(block)
        }

    def extra_repr(self) -> str:
        """Return the text that ``print(module)`` shows for this layer."""
        return f"{self.in_channels} -> {self.out_channels}, {self.spec.group} group"

    def _coefficients(self, target: Part, sources: tuple[Part, ...]) -> Tensor:
        """Return a view of the coefficients from ``sources``, which are neighbours in a block, into ``target``."""
        for block, matrix in zip(self.blocks, self.matrices, strict=True):
            parts = parts_in(block)
            if target in parts:
                row = sum(part.entries for part in parts[: parts.index(target)]) * self.out_channels
                column = sum(part.entries for part in parts[: parts.index(sources[0])]) * self.in_channels
                height = target.entries * self.out_channels
                width = sum(part.entries for part in sources) * self.in_channels
                return matrix[row : row + height, column : column + width]
        raise KeyError(target.name)

    def _standard_deviations(self) -> Iterator[tuple[tuple[Part, ...], float, Part]]:
        """Yield (input tensors, standard deviation, output tensor) for all coefficients."""
        for block in self.blocks:
            for own_family in block:
                for target in own_family:
                    for family in block:
                        maps_in = len(family) + (target.name == self._output)
                        fan_in = sum(part.entries for part in family) * self.in_channels
                        fan_out = maps_in * target.entries * self.out_channels
                        if family is own_family:
                            yield family, sqrt(2 / (fan_in + fan_out)), target
                            continue
                        for source in family:
                            fans = source.entries * self.in_channels + target.entries * self.out_channels
                            yield (source,), sqrt(2 / fans), target
