"""Numbers that twins share: networks with other numbers are no twins, whatever the group element."""

from math import sqrt

import torch
from torch import Tensor

from mnfn_cli.runtime.seeds import generator
from mnfn_cli.weightspace.alignment import twin_tolerance
from mnfn_cli.weightspace.canonical import form_up_to_sign
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.matching import layers_of, size_of
from mnfn_cli.weightspace.spec import NetworkSpec

DIRECTIONS = 16
"""The largest number of numbers in a fingerprint."""


def fingerprint(spec: NetworkSpec, features: WeightSpaceFeatures) -> Tensor:
    """Return numbers of each network that the group does not change, and that rounding changes only a little.

    Every layer is taken in canonical form, as absolute values, and divided by its norm. Its numbers are averaged over
    the neurons, which the group permutes, but not over the inputs of the network, its outputs and the kernel entries.
    An average of ``n`` numbers is multiplied by ``sqrt(n)``, and the logarithm of the norm is added. If these are more
    than ``DIRECTIONS`` numbers, they are projected on as many random orthogonal directions, always the same ones.

    Nothing is rounded or hashed. None of these steps lengthens a distance: if two networks are twins within a
    tolerance, the Euclidean distance of their fingerprints is at most ``twin_distance``.

    Args:
        spec: the weight space of the networks.
        features: their raw weights, ``(batch, 1, ...)``.

    Returns:
        ``(batch, numbers)`` in float64; not finite where a canonical form exceeds the range of float64.

    >>> from mnfn_cli import MonomialElement
    >>> spec = NetworkSpec.mlp([2, 8, 1], activation="tanh")
    >>> a = WeightSpaceFeatures.randn(spec, batch=3)
    >>> b = MonomialElement.sample(spec, batch=3).act(a)
    >>> torch.allclose(fingerprint(spec, a), fingerprint(spec, b))
    True
    """
    form, _ = form_up_to_sign(features.to(dtype=torch.float64), spec, twin_tolerance(features))
    parts = []
    for i, (weight, bias) in enumerate(layers_of(spec, form)):
        size = size_of((weight, bias))
        size = torch.where(size == 0, 1.0, size)[:, None]
        numbers = weight.abs() / size[:, :, None, None], bias.abs() / size[:, :, None]
        permuted = [axis for axis, fixed in ((1, i == spec.num_layers - 1), (2, i == 0)) if not fixed]
        for tensor, axes in zip(numbers, (permuted, [axis for axis in permuted if axis == 1]), strict=True):
            for axis in axes:
                tensor = tensor.mean(dim=axis, keepdim=True) * sqrt(tensor.shape[axis])
            parts.append(tensor.flatten(1))
        parts.append(size.log())
    whole = torch.cat(parts, dim=1)
    return whole if whole.shape[1] <= DIRECTIONS else whole @ _directions(whole.shape[1])


def twin_distance(spec: NetworkSpec, tolerance: float) -> float:
    """Return the largest distance between the fingerprints of twins, whose residual is at most ``tolerance``.

    Let a layer of twins be ``x`` and ``y``, in the same order, with ``|x - y| = t max(|x|, |y|)``. Then the distance of
    ``x / |x|`` and ``y / |y|`` is at most ``t / (1 - t / 2)``, and the logarithms of the norms differ by at most
    ``-log(1 - t)``. Both are less than ``1.1 t`` for small ``t``. The residual is the root mean square of all ``t``.
    """
    return 1.1 * tolerance * sqrt(2 * spec.num_layers)


def _directions(numbers: int) -> Tensor:
    random = torch.randn(numbers, DIRECTIONS, dtype=torch.float64, generator=generator(0, "fingerprint", numbers))
    return torch.linalg.qr(random).Q
