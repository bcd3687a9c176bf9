"""The Monomial-NFN for one number a network: monomial layers, invariant step, mean pool, MLP (paper, Section 5.3)."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

from torch import nn

from mnfn_cli.errors import UsageError
from mnfn_cli.models.accuracy import AccuracyPredictor
from mnfn_cli.models.permutation import PermutationStack
from mnfn_cli.nn.activation import EquivariantActivation
from mnfn_cli.nn.invariant import AbsoluteValue, MeanPool, NormalizeEntries
from mnfn_cli.nn.monomial import MonomialLinear
from mnfn_cli.nn.scaling import RescalePositions
from mnfn_cli.symmetry import INVARIANT_STEPS
from mnfn_cli.weightspace.spec import NetworkSpec


class MonomialGeneralization(AccuracyPredictor):
    """Predict a network's accuracy, a number in [0, 1], from its weights: invariant to its monomial group.

    Args:
        spec: the weight space.
        channels: after each monomial layer; an activation follows each one, but where ``invariant`` is ``absolute``
            the absolute value takes the place of the last activation.
        activation: ``relu`` for the scaling group, ``tanh`` or ``sin`` for the sign group.
        invariant: ``normalize`` removes scaling, ``absolute`` removes signs.
        sign_terms: whether the layers have the terms that only the sign group allows (``MonomialLinear``).
        hnp_channels: the number of channels after each HNP layer that follows the invariant step (paper, ablation).
        options: ``head``, ``dropout`` and ``canonicalize`` of ``AccuracyPredictor``.

    Shapes:
        in raw weights, one channel; out ``(batch,)``.

    Raises:
        UsageError: an activation or an invariant step that breaks the spec's group.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        channels: Sequence[int],
        activation: str,
        invariant: Literal["normalize", "absolute"],
        sign_terms: bool,
        hnp_channels: Sequence[int],
        **options: Any,
    ) -> None:
        fitting = INVARIANT_STEPS[spec.group]
        if invariant not in fitting:
            raise UsageError(
                "model.invariant",
                f"{invariant} is not invariant for {spec.activation} networks; use {' or '.join(fitting)}",
            )
        layers: list[nn.Module] = [RescalePositions(spec)] if invariant == "normalize" else []
        for d, e in pairwise([1, *channels]):
            layers += [
                MonomialLinear(spec, d, e, sign_terms=sign_terms),
                EquivariantActivation(spec, activation),
            ]
        if invariant == "normalize":
            layers.append(NormalizeEntries(spec, channels[-1]))
        else:
            layers[-1] = AbsoluteValue()
        if hnp_channels:
            layers.append(PermutationStack(spec, channels[-1], "hnp", hnp_channels))
        pool = MeanPool(spec, [*channels, *hnp_channels][-1])
        super().__init__(spec, nn.Sequential(*layers, pool), pool.numbers, **options)
