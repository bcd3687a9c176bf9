"""Align networks: the group element that takes one network nearest to another, and what is left after it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mnfn_cli.errors import NumericError
from mnfn_cli.weightspace.canonical import canonicalize
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.weightspace.matching import Pairs, assign, layer_of, norm, outgoing, to_element
from mnfn_cli.weightspace.spec import NetworkSpec

TOLERANCE = {torch.float64: 1e-11, torch.float32: 1e-5, torch.bfloat16: 1e-2, torch.float16: 1e-2}
"""By the dtype of the weights, the largest residual (see ``Alignment``) that their rounding may leave between twins."""

BLOCK = 128
"""A number of pairs that is large enough to hide the cost of a call, and small enough for the cache."""


@dataclass(frozen=True)
class Alignment:
    """The result of ``align`` for a batch of pairs of networks A and B.

    Args:
        element: the group elements ``g`` that take A nearest to B, in float64.
        before, after: the relative distances ``|A - B| / |B|`` and ``|g A - B| / |B|`` of all weights, ``(batch,)``.
        residual: what is left in canonical form, ``(batch,)``: the largest over all layers of
            ``|h A' - B'| / max(|A'|, |B'|)``, where ``A'`` and ``B'`` are the canonical forms and ``h`` the
            permutations and signs that take one nearest to the other.
        tolerance: the largest residual of twins.
    """

    element: MonomialElement
    before: Tensor
    after: Tensor
    residual: Tensor
    tolerance: float

    @property
    def twins(self) -> Tensor:
        """Whether A and B are the same network up to the group and rounding, ``(batch,)``."""
        return self.residual <= self.tolerance


def twin_tolerance(*networks: WeightSpaceFeatures) -> float:
    """Return the entry of ``TOLERANCE`` for the coarsest dtype among the tensors of ``networks``."""
    return max(TOLERANCE[tensor.dtype] for features in networks for tensor in features.tensors())


def align(spec: NetworkSpec, a: WeightSpaceFeatures, b: WeightSpaceFeatures) -> Alignment:
    """Find the group element that takes each network of ``a`` nearest to the network of ``b`` in the same row.

    Both are brought into canonical form in float64. Then ``scipy.optimize.linear_sum_assignment`` matches the neurons
    of one hidden layer after another (``Pairs.forward``): the cost is the squared distance of their biases and incoming
    weights, whose inputs are ordered as the layer before was matched. A neuron whose sign may flip takes the nearer of
    both signs, so that no rule for canonical signs has to hold. Afterwards each layer is matched again by its incoming
    and outgoing weights, until the sum over layers of the squared residuals becomes no smaller. Unless the result is a
    twin, the same is done from the identity, and the better of both is kept.

    For twins the result is exact, unless a layer has two neurons with equal biases, incoming and outgoing weights after
    the weights from equal neurons are summed up. For other networks it is a local minimum.

    Twins are told from other networks in canonical form and layer by layer. In raw weights, factors of 1e4 can make
    the first layer larger than the last by 1e8, so that a change of the last would drown in the rounding of the first.

    Args:
        spec: the weight space of all networks.
        a, b: raw weights of the pairs, ``(batch, 1, ...)``, in any dtypes of ``TOLERANCE``.

    Returns:
        the group elements, and the distances before and after.

    Raises:
        NumericError: a canonical form exceeds the range of float64, or a weight is not finite.

    >>> spec = NetworkSpec.mlp([2, 8, 1], activation="relu")
    >>> a = WeightSpaceFeatures.randn(spec, batch=3)
    >>> alignment = align(spec, a, MonomialElement.sample(spec, batch=3).act(a))
    >>> alignment.twins.tolist()
    [True, True, True]
    """
    tolerance = twin_tolerance(a, b)
    a, b = a.to(dtype=torch.float64), b.to(dtype=torch.float64)
    (form_a, to_a), (form_b, to_b) = canonicalize(a, spec), canonicalize(b, spec)
    for form in (form_a, form_b):
        if not all(torch.isfinite(tensor).all() for tensor in form.tensors()):
            raise NumericError("alignment", "a canonical form is not finite in float64; the weights are too large")
    pairs = Pairs.of(spec, form_a, form_b, tolerance)
    matches = pairs.improve(pairs.forward())
    distances = pairs.distances(matches)
    if len(rows := torch.nonzero(distances.amax(dim=1) > tolerance**2).flatten()):
        others = pairs.select(rows)
        again = others.improve(others.identity())
        better = others.distances(again).sum(dim=1) < distances[rows].sum(dim=1)
        matches = [match.replace(rows[better], new.select(better)) for match, new in zip(matches, again, strict=True)]
        distances = pairs.distances(matches)
    element = to_b.inverse().compose(to_element(matches).compose(to_a))
    if spec.group != "permutation":
        for i, match in reversed(list(enumerate(matches))):
            silent = ~pairs.active(pairs.a, i).gather(1, match.source) & ~pairs.active(pairs.b, i)
            if silent.any():
                element = _settled(spec, i, silent, element.act(a), b).compose(element)
    return Alignment(element, _relative(a, b), _relative(element.act(a), b), distances.amax(dim=1).sqrt(), tolerance)


def _settled(
    spec: NetworkSpec, i: int, silent: Tensor, a: WeightSpaceFeatures, b: WeightSpaceFeatures
) -> MonomialElement:
    """Return elements that take the outgoing weights of silent neurons of A nearest to those of B.

    A silent neuron, whose bias and incoming weights in canonical form are 0, always has the output 0. Neither the
    function nor the canonical form says anything about its place and its factor.

    Args:
        spec: the weight space.
        i: the index of the hidden layer.
        silent: whether the neuron in this place is silent in A and in B, ``(batch, neurons)``.
        a, b: raw weights of A, after the alignment of all other neurons, and of B, in float64.
    """
    x, y = outgoing(layer_of(a, i + 1)), outgoing(layer_of(b, i + 1))
    sizes = norm(x), norm(y)
    if spec.groups[i] == "scale":
        x, y = (t / torch.where(size > 0, size, 1.0)[:, :, None] for t, size in zip((x, y), sizes, strict=True))
    allowed = torch.eye(silent.shape[1], dtype=torch.bool) | (silent[:, :, None] & silent[:, None, :])
    match = assign(x, y, spec.groups[i], allowed)
    factors = torch.where(silent, match.sign, 1.0)
    if spec.groups[i] == "scale":
        size = sizes[0].gather(1, match.source)
        factors = torch.where(silent & (size > 0) & (sizes[1] > 0), size / sizes[1], 1.0)
    element = MonomialElement.identity(spec, a.batch)
    permutations, scales = list(element.permutations), list(element.scales)
    permutations[i], scales[i] = match.source.argsort(dim=1), factors
    return MonomialElement(permutations, scales)


def _relative(a: WeightSpaceFeatures, b: WeightSpaceFeatures) -> Tensor:
    """Return ``|a - b| / |b|``, ``(batch,)``; 0 where both are 0."""
    x, y = a.flatten(), b.flatten()
    difference = norm(x - y)
    return torch.where(difference == 0, 0.0, difference / norm(y))
