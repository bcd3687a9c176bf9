"""The canonical form: one representative of all networks that differ by scaling, sign flips or shifts only."""

from math import pi

import torch
import torch.nn.functional as F
from torch import Tensor

from mnfn_cli.errors import UsageError
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.group import MonomialElement, sign_of
from mnfn_cli.weightspace.sorting import ascending
from mnfn_cli.weightspace.spec import NetworkSpec

ROUNDINGS = 1e3
"""How many units of a dtype's rounding a phase ``omega b`` may be off, in radians, after shifts and their inverses."""


def canonicalize(
    features: WeightSpaceFeatures, spec: NetworkSpec, *, shifts: bool = False
) -> tuple[WeightSpaceFeatures, MonomialElement]:
    """Remove the freedom of scale or sign from every hidden neuron without changing the network's function.

    Layers are processed in order, each after the factors of the layer before it were applied. For the scaling group a
    neuron's incoming weights and bias are divided by their joint norm, taken in float64, and its outgoing weights are
    multiplied by it. For the sign group a neuron is flipped where the sum of its incoming weights and bias is negative;
    if the sum is 0, their sorted values decide. Networks that differ by scaling or sign flips then have the same form,
    except that a neuron whose incoming weights cannot be told from their negatives keeps its sign (docs/symmetries.md
    has the proof).

    A neuron whose incoming weights and bias are all 0 always has the output 0, and nothing fixes its scale or sign: its
    outgoing weights, which have no effect, become 0. The order of neurons stays as it is.

    With ``shifts`` the whole group of a sine is removed, whose neurons may also be shifted by multiples of
    ``pi / omega`` (``NetworkSpec.periodic``). Their phases ``omega b`` are brought to [-pi/2, pi/2), and their signs
    are those that make the sum of their incoming weights positive, whatever the bias. Networks that differ by signs and
    shifts then have the same weights, and biases that differ by rounding, unless a phase lies at the end of the
    interval; the end lies by the tolerance ``ROUNDINGS`` below -pi/2, where no phase is likely to be.

    Args:
        features: raw weights or features with any number of channels. The numbers of all channels of a neuron together
            determine its one scale or sign.
        spec: the weight space. If its activation allows permutations only, the features are returned unchanged; so are
            the signs of a layer that is max-pooled.
        shifts: whether to remove the shifts of sines too, which needs raw weights. It changes nothing for others.

    Returns:
        The canonical features, and the group element ``g`` that leads to them: they equal ``g.act(features)``, except
        for the outgoing weights that were set to 0.

    Raises:
        UsageError: ``shifts`` is given with features of several channels of sine networks.

    Source:
        paper, Section 4.2 (what the group leaves of a weight space); the form is mnfn's own.

    >>> import torch
    >>> from mnfn_cli import MonomialElement, NetworkSpec, WeightSpaceFeatures, canonicalize
    >>> spec = NetworkSpec.mlp([2, 5, 4, 3], activation="relu")
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2, dtype=torch.float64)
    >>> scaled = MonomialElement.sample(spec, batch=2, permute=False).act(networks)
    >>> forms = [canonicalize(some, spec)[0].flatten() for some in (networks, scaled)]
    >>> torch.allclose(*forms)
    True
    """
    periodic = spec.periodic if shifts else (False,) * len(spec.groups)
    if any(periodic) and features.channels != 1:
        raise UsageError("features", f"{features.channels} channels; only raw weights (1 channel) have shifts")
    element = MonomialElement.identity(spec, features.batch)
    if spec.group == "permutation":
        return features, element
    # What weights are multiplied by because of the layer before: 1 over its factors, and 0 for its silent neurons.
    outgoing = torch.ones(features.batch, spec.widths[0], dtype=torch.float64, device=features.device)
    scales, moves, weights, biases = [], [], [], []
    for i, (weight, bias) in enumerate(zip(features.weights[:-1], features.biases[:-1], strict=True)):
        # (batch, neurons, inputs, channels * kernel)
        blocks = weight.movedim(1, 3).flatten(3).double() * outgoing[:, None, :, None]
        offsets = bias.movedim(1, 2).double()
        largest = torch.maximum(blocks.abs().amax(dim=(2, 3)), offsets.abs().amax(dim=2))
        active, shift = largest != 0, torch.zeros(largest.shape, dtype=torch.int64, device=largest.device)
        # The network's inputs keep their places, so in the first layer they are positions too.
        placed = blocks.flatten(2)[:, :, None] if i == 0 else blocks
        if spec.groups[i] == "scale":
            scale = _canonical_scale(blocks.flatten(2), offsets, largest)
        elif spec.groups[i] == "permutation":
            scale = torch.ones_like(largest)
        elif periodic[i]:
            slack = ROUNDINGS * torch.finfo(bias.dtype).eps
            scale, shift, active = _canonical_wave(placed, spec.omega * offsets[:, :, 0], min(slack, 0.1))
        else:
            scale = _canonical_sign(placed, offsets)
        weights.append(_scaled(weight, scale[:, :, None] * outgoing[:, None, :]))
        biases.append(bias * scale[:, None].to(bias.dtype))
        scales.append(scale)
        moves.append(shift)
        outgoing = active / (scale * sign_of(shift))
    weights.append(_scaled(features.weights[-1], outgoing[:, None, :]))
    biases.append(features.biases[-1])
    element = MonomialElement(element.permutations, scales, moves if any(periodic) else (), spec.omega)
    return WeightSpaceFeatures(weights, element.shift(biases)), element


def form_up_to_sign(
    features: WeightSpaceFeatures, spec: NetworkSpec, slack: float = 0.0
) -> tuple[WeightSpaceFeatures, MonomialElement]:
    """Return what ``canonicalize`` returns, except that neurons of the sign group keep their signs and shifts.

    This takes half the time, and is enough where both signs are compared.

    Args:
        features: raw weights.
        spec: the weight space.
        slack: an argument of ``active_neurons``.
    """
    if spec.group != "sign":
        return canonicalize(features, spec)
    weights = list(features.weights)
    for i in range(len(features) - 1):
        active = active_neurons(WeightSpaceFeatures(weights, features.biases), spec, i, slack)
        weights[i + 1] = _without_silent(weights[i + 1], active)
    element = MonomialElement.identity(spec, features.batch)
    return WeightSpaceFeatures(weights, features.biases), element


def active_neurons(features: WeightSpaceFeatures, spec: NetworkSpec, i: int, slack: float = 0.0) -> Tensor:
    """Return whether the output of each neuron of a hidden layer is ever other than 0, ``(batch, neurons)``.

    Args:
        features: raw weights whose silent neurons in the layers before are read by weights of 0.
        spec: the weight space.
        i: the index of the hidden layer, from 0 on.
        slack: the rounding error of the output of a shifted sine that has no incoming weights.
    """
    heard = (features.weights[i] != 0).movedim(2, 1).flatten(2).any(dim=2)
    if spec.periodic[i]:
        return heard | (torch.sin(spec.omega * features.biases[i][:, 0]).abs() > slack)
    return heard | (features.biases[i] != 0).any(dim=1)


def _scaled(weight: Tensor, factors: Tensor) -> Tensor:
    """Return a weight ``(batch, channels, out, in, *kernel)`` times factors ``(batch, out, in)``, rounded once."""
    return weight * factors.to(weight.dtype).view(factors.shape[0], 1, *factors.shape[1:], *(1,) * (weight.dim() - 4))


def _without_silent(weight: Tensor, active: Tensor) -> Tensor:
    """Return the weight of a layer with 0 where it reads a neuron that is not active, ``(batch, neurons)``."""
    return weight * active.view(active.shape[0], 1, 1, -1, *(1,) * (weight.dim() - 4))


def _canonical_scale(weights: Tensor, biases: Tensor, largest: Tensor) -> Tensor:
    # The largest entry is taken out before squaring: 1e-200 squared would be 0.
    divisor = torch.where(largest > 0, largest, 1.0)[:, :, None]
    norms = [torch.linalg.vector_norm(numbers / divisor, dim=2) for numbers in (weights, biases)]
    norm = largest * torch.hypot(*norms)
    return torch.where(norm > 0, norm, 1.0).reciprocal()


def _canonical_wave(blocks: Tensor, phase: Tensor, slack: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return the sign of each sine, its shift, and whether its output is ever other than 0, ``(batch, neurons)``.

    The sign is that of its weights. Shifts round the bias, so it decides only for weights that equal their negatives,
    by the sine of twice its phase, which is odd under flips and does not change under shifts. A sine within ``slack``
    of 0 counts as 0.

    Args:
        blocks: weights as for ``_canonical_sign``.
        phase: ``omega b``, ``(batch, neurons)``.
        slack: the largest rounding error of a phase, by which the end of the interval lies below -pi/2.
    """
    doubled = torch.sin(2 * phase)
    sign = _canonical_sign(blocks, torch.where(doubled.abs() > 2 * slack, doubled, 0.0)[:, :, None], summed=False)
    shift = -torch.floor((sign * phase + pi / 2 + slack) / pi).long()
    active = (blocks != 0).flatten(2).any(dim=2) | (torch.sin(phase).abs() > slack)
    return sign, shift, active


def _canonical_sign(blocks: Tensor, biases: Tensor, *, summed: bool = True) -> Tensor:
    """Return the sign of each neuron: that of the first of these quantities that is not 0.

    1. The sum of its weights and biases; of its weights alone unless ``summed``.
    2. For each position in turn, the first difference between its weights, sorted from the largest down, and the
       negatives of its weights, sorted likewise. These are the sums of the largest and the smallest weight, of the
       next ones, and so on.
    3. Its biases.

    Sorting removes the order of the inputs, and ``_folded_sum`` changes sign exactly when all numbers do. So neither a
    permutation of inputs nor rounding changes the result, and negated numbers give the opposite sign.

    Args:
        blocks: weights ``(batch, neurons, inputs, positions)``; inputs may change places, positions may not.
        biases: ``(batch, neurons, channels)``.

    Returns:
        1 or -1, ``(batch, neurons)``; 1 where every quantity is 0.
    """
    halves = _folded(ascending(blocks.transpose(2, 3)))
    sums = _folded_sum(halves)
    total = _folded_sum(torch.cat([sums, biases], dim=2) if summed else sums)[:, :, None]
    numbers = torch.cat([total, halves.flatten(2), biases], dim=2)
    first = (numbers != 0).byte().argmax(dim=2, keepdim=True)
    return torch.where(numbers.gather(2, first)[:, :, 0] < 0, -1.0, 1.0).to(biases.dtype)


def _folded_sum(numbers: Tensor) -> Tensor:
    """Add up the last axis: the last number to the first, the last but one to the second, until one is left.

    The sum changes sign exactly when the numbers do, even if negated numbers were sorted again, since that reverses
    their order and keeps the pairs. Only single additions are used: the order of a reduction in torch depends on shapes
    and devices.
    """
    while numbers.shape[-1] > 1:
        numbers = _folded(numbers)
    return numbers[..., 0]


def _folded(numbers: Tensor) -> Tensor:
    """Add the second half of the last axis to the first, in reverse; the middle of an odd number stays alone."""
    size = numbers.shape[-1]
    half = size // 2
    return numbers[..., : size - half] + F.pad(numbers[..., size - half :].flip(-1), (0, size % 2))
