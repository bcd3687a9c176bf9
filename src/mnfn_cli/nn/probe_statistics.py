"""Statistics of what networks compute on fixed random inputs, in their outputs and in their hidden layers."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mnfn_cli.nn.floors import SMALLEST, divided_by_spread, root_mean_square
from mnfn_cli.nn.inputs import SmoothProbes
from mnfn_cli.nn.quantiles import QUANTILES, quantiles
from mnfn_cli.nn.questions import RAMP
from mnfn_cli.weightspace.canonical import form_up_to_sign
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.shared_inputs import networks_at_once, run_on_shared_inputs
from mnfn_cli.weightspace.spec import NetworkSpec

LARGEST = 16
"""The number of singular values that are kept, and of classes whose probabilities are."""

SIZE_FLOOR = 1e-3
"""The share of its layer's root mean square below which the responses of a neuron count as rounding errors."""

SHARE_FLOOR = 1e-4
"""The share of all variance below which that of a direction counts as rounding errors."""

BOUNDED = ("tanh", "sin", "sigmoid")
SATURATED = 0.9
"""The size of the response of a bounded activation from which it counts as active."""


class ProbeStatistics(nn.Module):
    """Compute statistics of networks' responses to inputs that are drawn once and not learned.

    Of the outputs, minus their mean over classes: the logarithm of their spread, the share of it between inputs,
    entropies, margins, the sorted probabilities of classes, and singular values. Of every hidden layer: the share of
    active neurons (for ReLU those above 0, for bounded activations those with ``|h| > 0.9``), quantiles of the
    correlations between neurons' responses, their singular values, and the share of a neuron's variance that is within
    pictures. Responses are taken of canonical weights and divided by each neuron's own size, and where signs may flip
    correlations are taken without sign, so no element of the monomial group changes the statistics.

    Args:
        spec: the weight space.
        count: the number of inputs.
        input_size: (height, width) of the networks' pictures where the specification does not know it.

    Attributes:
        numbers: the length of the output.

    Shapes:
        The input is raw weights with one channel; the output is ``(batch, numbers)`` in float64.

    Raises:
        UsageError: the size of the networks' pictures is unknown.

    Source:
        mnfn's own.

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures
    >>> from mnfn_cli.nn import ProbeStatistics
    >>> spec = NetworkSpec.cnn([1, 4, 4], kernel=3, stride=2, outputs=10, activation="relu")
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2)
    >>> statistics = ProbeStatistics(spec, count=8, input_size=(16, 16))
    >>> statistics(networks).shape == (2, statistics.numbers)
    True
    """

    def __init__(self, spec: NetworkSpec, count: int, input_size: Sequence[int] | None = None) -> None:
        super().__init__()
        self.spec = spec
        self.inputs = SmoothProbes(spec, count, input_size, learned=False)
        *hidden, outputs = (min(LARGEST, width) for width in spec.widths[1:])
        each = 1 + len(QUANTILES)
        self.numbers = 3 + 4 * each + 3 * outputs + sum(1 + 3 * each + count for count in hidden)

    @torch.no_grad()
    def forward(self, features: WeightSpaceFeatures) -> Tensor:
        """Return the statistics of outputs and of all hidden layers, concatenated."""
        inputs = self.inputs(torch.float64)
        size = networks_at_once(self.spec, inputs)
        found = []
        for start in range(0, features.batch, size):
            block = features.select(slice(start, start + size)).to(dtype=torch.float64)
            canonical = form_up_to_sign(block, self.spec)[0]
            responses = run_on_shared_inputs(self.spec, canonical, inputs)
            layers = [_of_layer(hidden, self.spec) for hidden in responses.hidden]
            found.append(torch.cat([_of_outputs(responses.outputs), *layers], dim=1))
        return torch.cat(found)


def _of_outputs(outputs: Tensor) -> Tensor:
    """Return statistics of outputs ``(batch, inputs, classes)``."""
    z, spread = divided_by_spread(outputs - outputs.mean(dim=2, keepdim=True), outputs)
    kept = min(LARGEST, z.shape[2])
    between = z - z.mean(dim=1, keepdim=True)
    first, second = F.pad(z, (0, 1), value=-LARGEST).topk(2, dim=2).values.unbind(dim=2)
    absolute, relative, sharp = ((factor * z).softmax(dim=2) for factor in (spread[:, None, None], 2.0, 1 / RAMP))
    of_inputs = (
        first - second,
        z.square().mean(dim=2),
        *(torch.special.entr(p).sum(dim=2) for p in (absolute, relative)),
    )
    of_classes = [p.mean(dim=1).sort(dim=1, descending=True).values[:, :kept] for p in (absolute, sharp)]
    shape = torch.stack([spread.log(), between.square().mean(dim=(1, 2)), first.amax(dim=1)], dim=1)
    columns = [shape, *map(_mean_and_quantiles, of_inputs), *of_classes]
    return torch.cat([*columns, _singular_values(between.transpose(1, 2) @ between, kept)], dim=1)


def _of_layer(responses: Tensor, spec: NetworkSpec) -> Tensor:
    """Return statistics of the responses of a hidden layer, ``(batch, neurons, inputs, positions)``."""
    neurons = responses.shape[1]
    layer = root_mean_square(responses)[:, None]
    if spec.activation in BOUNDED:
        level = (responses.abs() - SATURATED) / RAMP + 0.5
    else:
        size = torch.maximum(responses.square().mean(dim=(2, 3)).sqrt(), SIZE_FLOOR * layer)
        level = responses / size[:, :, None, None] / RAMP
    active = level.clamp(0, 1).mean(dim=(2, 3))
    varying = responses - responses.mean(dim=(2, 3), keepdim=True)
    floored = varying.square().mean(dim=(2, 3)) + (SIZE_FLOOR * layer).square()
    within = (responses - responses.mean(dim=3, keepdim=True)).square().mean(dim=(2, 3)) / floored
    vectors = varying.flatten(2) / (floored * varying[0, 0].numel()).sqrt()[:, :, None]
    correlations = vectors @ vectors.transpose(1, 2)
    above = torch.triu_indices(neurons, neurons, 1, device=responses.device)
    pairs = correlations[:, above[0], above[1]]
    pairs = pairs.abs() if spec.group == "sign" else pairs
    columns = [layer.log(), *map(_mean_and_quantiles, (active, within, pairs))]
    return torch.cat([*columns, _singular_values(correlations, min(LARGEST, neurons))], dim=1)


def _mean_and_quantiles(numbers: Tensor) -> Tensor:
    """Return the mean and the quantiles of each row of ``(batch, numbers)``; 0 if there are no numbers."""
    mean = numbers.sum(dim=1, keepdim=True) / max(numbers.shape[1], 1)
    return torch.cat([mean, quantiles(numbers)], dim=1)


def _singular_values(gram: Tensor, kept: int) -> Tensor:
    """Return logarithms of the largest eigenvalues of ``(batch, n, n)`` as shares of all, ``(batch, kept)``."""
    values = torch.linalg.eigvalsh(gram).flip(1)
    whole = values.sum(dim=1, keepdim=True).clamp_min(SMALLEST)
    return (values.clamp_min(0) / whole + SHARE_FLOOR).log()[:, :kept]
