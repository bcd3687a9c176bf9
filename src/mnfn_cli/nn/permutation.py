"""The layers that commute with permutations alone: NP and HNP (Zhou et al. 2023, "Permutation Equivariant NFNs").

Both average over the permuted axes and add linear maps of the averages to every entry. With ``row(i)`` the mean of
``W(i)`` over its output neurons ``j`` (a vector over ``k``), ``col(i)`` its mean over its input neurons ``k`` (a vector
over ``j``), ``all(i)`` its mean over both and ``m(i)`` the mean of ``b(i)``, every ``[...]`` in the docstrings below is
one linear map on channels, with a bias of its own, of everything listed in it. Kernel entries count as channels.

Internally the channels are the last axis: a weight is ``(batch, out, in, channels * kernel entries)``, so that a map is
one matrix product. The means are mapped first and then added to all entries that they belong to.
"""

from collections.abc import Iterable
from math import sqrt
from typing import cast

import torch
from torch import Tensor, nn

from mnfn_cli.nn.entries import SpreadMap
from mnfn_cli.nn.permutation_maps import Means, PermutationLinear
from mnfn_cli.weightspace.spec import NetworkSpec


@torch.no_grad()
def _start_together(maps: Iterable[nn.Module]) -> None:
    """Draw the maps into one tensor and their biases, uniform in ``+-sqrt(1 / n)``; ``n`` sums up their in-features."""
    linears = cast(list[nn.Linear], list(maps))
    bound = sqrt(1 / sum(linear.in_features for linear in linears))
    for linear in linears:
        linear.weight.uniform_(-bound, bound)
        linear.bias.uniform_(-bound, bound)


class NPLinear(PermutationLinear):
    """A linear layer from ``d`` to ``e`` channels that commutes with permutations of hidden, input and output neurons.

        E(W)(i)[j,k] = [W(i)[j,k]] + [all(1..L), m(1..L)]
                     + [row(i)[k], col(i-1)[k], b(i-1)[k]]      the last two only for i > 1
                     + [col(i)[j], b(i)[j], row(i+1)[j]]        the last only for i < L
        E(b)(i)[j]   = [col(i)[j], b(i)[j], row(i+1)[j]] + [all(1..L), m(1..L)]

    Args:
        spec: the weight space, with any activation.
        in_channels: the number ``d`` of channels of the input.
        out_channels: the number ``e`` of channels of the output.

    Shapes:
        The input is ``(batch, d, out, in, *kernel)`` and ``(batch, d, out)``; the output has ``e`` channels instead.

    Source:
        Zhou et al. 2023 (Permutation equivariant neural functionals).

    >>> from mnfn_cli import NetworkSpec, NPLinear
    >>> spec = NetworkSpec.mlp([2, 32, 32, 1], activation="sin", omega=30.0)
    >>> sum(parameter.numel() for parameter in NPLinear(spec, 4, 8).parameters())
    2128
    """

    def __init__(self, spec: NetworkSpec, in_channels: int, out_channels: int) -> None:
        super().__init__(spec, in_channels, out_channels)
        taken, given, last = self._taken, self._given, spec.num_layers - 1
        scalars = sum(taken) + spec.num_layers * in_channels
        inputs = [taken[i] + (taken[i - 1] + in_channels if i > 0 else 0) for i in range(last + 1)]
        outputs = [taken[i] + in_channels + (taken[i + 1] if i < last else 0) for i in range(last + 1)]
        self.entry = nn.ModuleList(nn.Linear(n, e) for n, e in zip(taken, given, strict=True))
        self.weight_scalars = nn.ModuleList(nn.Linear(scalars, e) for e in given)
        self.weight_inputs = nn.ModuleList(nn.Linear(n, e) for n, e in zip(inputs, given, strict=True))
        self.weight_outputs = nn.ModuleList(nn.Linear(n, e) for n, e in zip(outputs, given, strict=True))
        self.bias_outputs = nn.ModuleList(nn.Linear(n, out_channels) for n in outputs)
        self.bias_scalars = nn.ModuleList(nn.Linear(scalars, out_channels) for _ in given)
        weight_maps = (self.entry, self.weight_scalars, self.weight_inputs, self.weight_outputs)
        for maps in (*zip(*weight_maps, strict=True), *zip(self.bias_outputs, self.bias_scalars, strict=True)):
            _start_together(maps)

    def _map(self, means: Means) -> tuple[list[Tensor | SpreadMap], list[Tensor]]:
        """Return the image, the channels last."""
        last = self.spec.num_layers - 1
        weights: list[Tensor | SpreadMap] = []
        biases: list[Tensor] = []
        for i in range(last + 1):
            behind = [means.columns[i - 1], means.biases[i - 1]] if i > 0 else []
            ahead = [means.rows[i + 1]] if i < last else []
            at_inputs = torch.cat([means.rows[i], *behind], dim=2)
            at_outputs = torch.cat([means.columns[i], means.biases[i], *ahead], dim=2)
            spread = self.weight_outputs[i](at_outputs) + self.weight_scalars[i](means.scalars)[:, None]
            entry = cast(nn.Linear, self.entry[i])
            weights.append(SpreadMap(entry, means.weights[i], spread, self.weight_inputs[i](at_inputs)))
            biases.append(self.bias_outputs[i](at_outputs) + self.bias_scalars[i](means.scalars)[:, None])
        return weights, biases


class HNPLinear(PermutationLinear):
    """A linear layer from ``d`` to ``e`` channels that commutes with permutations of hidden neurons.

    The input axis of ``W(1)`` and the output axis of ``W(L)`` are not permuted, so they count as channels. With
    ``glob = all(1..L), m(1..L)`` and all entries of ``row(1)``, ``col(L)`` and ``b(L)``:

        i = 1      s = W(1)[j,:], row(2)[j], b(1)[j]             (and W(L)[:,j] if L = 2)
                   E(W)(1)[j,:] = [s] + [glob]                   E(b)(1)[j] = [s] + [glob]
        1 < i < L  r = row(i)[k], col(i-1)[k], b(i-1)[k]         (and W(1)[k,:] if i = 2)
                   c = col(i)[j], b(i)[j], row(i+1)[j]           (and W(L)[:,j] if i = L - 1)
                   E(W)(i)[j,k] = [W(i)[j,k]] + [glob] + [r] + [c]
                   E(b)(i)[j] = [c] + [glob]
        i = L      E(W)(L)[:,k] = [W(L)[:,k], col(L-1)[k] (and W(1)[k,:] if L = 2)] + [glob]
                   E(b)(L)[:] = [glob]

    Args:
        spec: the weight space, with any activation.
        in_channels: the number ``d`` of channels of the input.
        out_channels: the number ``e`` of channels of the output.

    Shapes:
        The input is ``(batch, d, out, in, *kernel)`` and ``(batch, d, out)``; the output has ``e`` channels instead.

    Source:
        Zhou et al. 2023 (Permutation equivariant neural functionals).

    >>> from mnfn_cli import HNPLinear, NetworkSpec, WeightSpaceFeatures
    >>> spec = NetworkSpec.cnn([1, 16, 16, 16], stride=2, outputs=10)
    >>> HNPLinear(spec, 1, 16)(WeightSpaceFeatures.zeros(spec, batch=2)).weights[1].shape
    torch.Size([2, 16, 16, 16, 3, 3])
    """

    def __init__(self, spec: NetworkSpec, in_channels: int, out_channels: int) -> None:
        super().__init__(spec, in_channels, out_channels)
        d, e, taken, given = in_channels, out_channels, self._taken, self._given
        n_0, n_L, layers = spec.widths[0], spec.widths[-1], spec.num_layers
        first, final = n_0 * taken[0], n_L * taken[-1]
        glob = sum(taken) + layers * d + first + final + n_L * d
        neuron = first + taken[1] + d + (final if layers == 2 else 0)
        self.first_weight = nn.ModuleList([nn.Linear(neuron, n_0 * given[0]), nn.Linear(glob, n_0 * given[0])])
        self.first_bias = nn.ModuleList([nn.Linear(neuron, e), nn.Linear(glob, e)])
        self.middle_weights, self.middle_biases = nn.ModuleList(), nn.ModuleList()
        for i in range(1, layers - 1):
            inputs = taken[i] + taken[i - 1] + d + (first if i == 1 else 0)
            outputs = taken[i] + d + taken[i + 1] + (final if i == layers - 2 else 0)
            sizes = (taken[i], glob, inputs, outputs)
            self.middle_weights.append(nn.ModuleList(nn.Linear(n, given[i]) for n in sizes))
            self.middle_biases.append(nn.ModuleList([nn.Linear(outputs, e), nn.Linear(glob, e)]))
        ending = final + taken[-2] + (first if layers == 2 else 0)
        self.last_weight = nn.ModuleList([nn.Linear(ending, n_L * given[-1]), nn.Linear(glob, n_L * given[-1])])
        self.last_bias = nn.Linear(glob, n_L * e)
        # As published, the maps into W(1) and b(L) keep torch's own start.
        for maps in (self.first_bias, *self.middle_weights, *self.middle_biases, self.last_weight):
            _start_together(cast(nn.ModuleList, maps))

    def _map(self, means: Means) -> tuple[list[Tensor | SpreadMap], list[Tensor]]:
        """Return the image, the channels last."""
        layers = self.spec.num_layers
        rows, columns, last = means.rows, means.columns, layers - 1
        from_inputs = means.weights[0].flatten(2)  # W(1)[j, :]
        to_outputs = means.weights[-1].transpose(1, 2).flatten(2)  # W(L)[:, k]
        whole = [rows[0].flatten(1), columns[last].flatten(1), means.biases[last].flatten(1)]
        glob = torch.cat([means.scalars, *whole], dim=1)
        shallow = [to_outputs] if layers == 2 else []
        neuron = torch.cat([from_inputs, rows[1], means.biases[0], *shallow], dim=2)
        first = _sum(self.first_weight, neuron, glob).unflatten(2, (self.spec.widths[0], -1))
        weights: list[Tensor | SpreadMap] = [first]
        biases = [_sum(self.first_bias, neuron, glob)]
        for i in range(1, last):
            below = [from_inputs] if i == 1 else []
            above = [to_outputs] if i == last - 1 else []
            at_inputs = torch.cat([rows[i], columns[i - 1], means.biases[i - 1], *below], dim=2)
            at_outputs = torch.cat([columns[i], means.biases[i], rows[i + 1], *above], dim=2)
            entry, of_glob, of_inputs, of_outputs = cast(nn.ModuleList, self.middle_weights[i - 1])
            spread = of_outputs(at_outputs) + of_glob(glob)[:, None]
            weights.append(SpreadMap(cast(nn.Linear, entry), means.weights[i], spread, of_inputs(at_inputs)))
            biases.append(_sum(cast(nn.ModuleList, self.middle_biases[i - 1]), at_outputs, glob))
        beneath = [from_inputs] if layers == 2 else []
        ending = torch.cat([to_outputs, columns[last - 1], *beneath], dim=2)
        final = _sum(self.last_weight, ending, glob).unflatten(2, (self.spec.widths[-1], -1))
        weights.append(final.transpose(1, 2))
        biases.append(self.last_bias(glob).unflatten(1, (self.spec.widths[-1], -1)))
        return weights, biases


def _sum(maps: nn.ModuleList, positions: Tensor, glob: Tensor) -> Tensor:
    """Return ``[positions] + [glob]``, ``(batch, positions, numbers)``."""
    of_positions, of_glob = maps
    total: Tensor = of_positions(positions) + of_glob(glob)[:, None]
    return total
