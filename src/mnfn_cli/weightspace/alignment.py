"""Align networks: the group element that takes one network nearest to another, and what is left after it."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mnfn_cli.errors import NumericError
from mnfn_cli.runtime.threads import in_threads
from mnfn_cli.weightspace.canonical import active_neurons, form_up_to_sign
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.weightspace.match import SIGNS, to_element
from mnfn_cli.weightspace.matching import Pairs, assign, layers_of, norm, outgoing
from mnfn_cli.weightspace.spec import NetworkSpec

TOLERANCE = {torch.float64: 1e-11, torch.float32: 1e-5, torch.bfloat16: 1e-2, torch.float16: 1e-2}
"""By the dtype of the weights, the largest residual (see ``Alignment``) that their rounding may leave between twins."""

MOST_PAIRS, MOST_NUMBERS = 64, 2**23
"""The largest numbers of pairs, and of weights of A, that are aligned at once: few enough for a processor's cache."""


@dataclass(frozen=True)
class Alignment:
    """The result of ``align`` for a batch of pairs of networks A and B.

    Args:
        element: the group elements ``g`` that take A nearest to B, in float64.
        before, after: the relative distances ``|A - B| / |B|`` and ``|g A - B| / |B|`` of all weights, ``(batch,)``.
        residual_before, residual: the distances in canonical form before and after, ``(batch,)``: the root mean square
            over all layers of ``|A' - B'| / max(|A'|, |B'|)`` and ``|h A' - B'| / max(|A'|, |B'|)``. Here ``A'`` and
            ``B'`` are the canonical forms, and ``h`` the permutations and signs that take one nearest to the other.
        tolerance: the largest residual of twins.

    Source:
        mnfn's own.

    >>> import torch
    >>> from mnfn_cli.weightspace import MonomialElement, NetworkSpec, WeightSpaceFeatures, align
    >>> spec = NetworkSpec.mlp([2, 5, 4, 3], activation="relu")
    >>> a = WeightSpaceFeatures.randn(spec, batch=2, dtype=torch.float64)
    >>> b = MonomialElement.sample(spec, batch=2, scale=(1.0, 10.0)).act(a)
    >>> found = align(spec, a, b)
    >>> found.twins.tolist(), bool((found.after < 1e-9).all())
    ([True, True], True)
    """

    element: MonomialElement
    before: Tensor
    after: Tensor
    residual_before: Tensor
    residual: Tensor
    tolerance: float

    @property
    def twins(self) -> Tensor:
        """Whether A and B are the same network up to the group and rounding, ``(batch,)``."""
        return self.residual <= self.tolerance

    @classmethod
    def cat(cls, parts: Sequence["Alignment"]) -> "Alignment":
        """Return the alignment of the pairs of all parts, which have one tolerance."""
        before, after, residual_before, residual = (
            torch.cat([getattr(part, name) for part in parts])
            for name in ("before", "after", "residual_before", "residual")
        )
        element = MonomialElement.cat([part.element for part in parts])
        return cls(element, before, after, residual_before, residual, parts[0].tolerance)


def twin_tolerance(*networks: WeightSpaceFeatures) -> float:
    """Return the entry of ``TOLERANCE`` for the coarsest dtype among the tensors of ``networks``."""
    return max(TOLERANCE[tensor.dtype] for features in networks for tensor in features.tensors())


def block_size(spec: NetworkSpec) -> int:
    """Return the number of pairs that are best aligned in one call."""
    return max(min(MOST_PAIRS, MOST_NUMBERS // spec.num_parameters), 1)


def align(spec: NetworkSpec, a: WeightSpaceFeatures, b: WeightSpaceFeatures) -> Alignment:
    """Find the group element that takes each network of ``a`` nearest to the network of ``b`` in the same row.

    Both are brought into canonical form in float64. Then ``scipy.optimize.linear_sum_assignment`` matches the neurons
    of one hidden layer after another (``Pairs.forward``): the cost is the squared distance of their biases and incoming
    weights, whose inputs are ordered as the layer before was matched. A neuron whose sign may flip takes the nearer of
    both signs, so that no rule for canonical signs has to hold. Unless the result is a twin, each layer is matched
    again by its incoming and outgoing weights until ``residual`` becomes no smaller, from the result and from the
    identity, and the better of both is kept.

    For twins the result is exact, unless a layer has two neurons with equal biases, incoming and outgoing weights after
    the weights from equal neurons are summed up. For other networks it is a local minimum.

    Twins are told from other networks in canonical form and layer by layer. In raw weights, factors of 1e4 can make
    the first layer larger than the last by 1e8, so that a change of the last would drown in the rounding of the first.

    Args:
        spec: the weight space of all networks.
        a, b: raw weights of one or more pairs, ``(batch, 1, ...)``, in any dtypes of ``TOLERANCE``.

    Returns:
        the group elements, and the distances before and after.

    Raises:
        NumericError: a canonical form exceeds the range of float64, or a weight is not finite.

    Source:
        mnfn's own.

    >>> spec = NetworkSpec.mlp([2, 8, 1], activation="relu")
    >>> a = WeightSpaceFeatures.randn(spec, batch=3)
    >>> alignment = align(spec, a, MonomialElement.sample(spec, batch=3).act(a))
    >>> alignment.twins.tolist()
    [True, True, True]
    """
    block = block_size(spec)
    rows = [slice(start, start + block) for start in range(0, a.batch, block)]
    parts = list(in_threads(lambda part: _align(spec, a.select(part), b.select(part)), rows))
    return parts[0] if len(parts) == 1 else Alignment.cat(parts)


def _align(spec: NetworkSpec, a: WeightSpaceFeatures, b: WeightSpaceFeatures) -> Alignment:
    """Align a block of pairs."""
    tolerance = twin_tolerance(a, b)
    a, b = a.to(dtype=torch.float64), b.to(dtype=torch.float64)
    (form_a, to_a), (form_b, to_b) = (form_up_to_sign(one, spec, tolerance) for one in (a, b))
    for form in (form_a, form_b):
        if not torch.isfinite(norm(form.flatten())).all():
            raise NumericError("alignment", "a canonical form is not finite in float64; the weights are too large")
    pairs = Pairs.of(spec, form_a, form_b, tolerance)
    still = pairs.identity()
    matches = pairs.forward()
    residual = pairs.distance(matches)
    if len(rows := torch.nonzero(residual > tolerance).flatten()):
        others = pairs.select(rows)
        first, second = (others.improve([match.select(rows) for match in start]) for start in (matches, still))
        better = torch.nonzero(others.distance(second) < others.distance(first)).flatten()
        improved = [one.replace(better, other.select(better)) for one, other in zip(first, second, strict=True)]
        matches = [match.replace(rows, new) for match, new in zip(matches, improved, strict=True)]
        residual = pairs.distance(matches)
    element = to_b.inverse().compose(to_element(matches, spec, form_a, form_b).compose(to_a))
    if spec.group != "permutation":
        for i, match in reversed(list(enumerate(matches))):
            silent_a, silent_b = (~active_neurons(form, spec, i, tolerance) for form in (form_a, form_b))
            silent = silent_a.gather(1, match.source) & silent_b
            if silent.any():
                element = _settled(spec, i, silent, element.act(a), b).compose(element)
    before, after = _relative(a, b), _relative(element.act(a), b)
    return Alignment(element, before, after, pairs.distance(still), residual, tolerance)


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
    x, y = (outgoing(layers_of(spec, weights)[i + 1]) for weights in (a, b))
    sizes = norm(x), norm(y)
    if spec.groups[i] == "scale":
        x, y = (t / torch.where(size > 0, size, 1.0)[:, :, None] for t, size in zip((x, y), sizes, strict=True))
    allowed = torch.eye(silent.shape[1], dtype=torch.bool) | (silent[:, :, None] & silent[:, None, :])
    group = spec.groups[i]
    ways = torch.tensor(SIGNS[group], dtype=x.dtype)[:, :1].expand(-1, x.shape[2])
    match = assign(x, y, group, ways, allowed)
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
