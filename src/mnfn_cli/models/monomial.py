"""The Monomial-NFN that predicts accuracy: monomial layers, an invariant step, mean pool, MLP (paper, Section 5.3)."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

from torch import nn

from mnfn_cli.errors import UsageError
from mnfn_cli.models.accuracy import AccuracyPredictor
from mnfn_cli.models.permutation import PermutationStack
from mnfn_cli.nn.activation import EquivariantActivation
from mnfn_cli.nn.blockwise import BlockwiseInvariant
from mnfn_cli.nn.invariant import AbsoluteValue, MeanPool, NormalizeEntries
from mnfn_cli.nn.messages import MessageLayer
from mnfn_cli.nn.monomial import MonomialLinear
from mnfn_cli.nn.scaling import RescalePositions
from mnfn_cli.symmetry import INVARIANT_STEPS, LAYER_ACTIVATIONS
from mnfn_cli.weightspace.spec import NetworkSpec

_LAYERS = {"linear": MonomialLinear, "messages": MessageLayer}


class MonomialGeneralization(AccuracyPredictor):
    """Predict a network's accuracy from its weights. The prediction is invariant to the network's monomial group.

    The monomial group permutes hidden neurons, and scales them (ReLU) or flips their signs (tanh, sin).

    Args:
        spec: the weight space of the networks.
        channels: the number of output channels of each monomial layer.
        activation: the activation after each monomial layer: ``relu`` for the scaling group, ``tanh`` or ``sin`` for
            the sign group; ``auto`` for the published one of the networks' group, ``relu`` or ``tanh``.
        invariant: the step that makes the features invariant: ``normalize`` removes scales, ``absolute`` removes
            signs, ``auto`` is that of the networks' group. The absolute value stands in place of the last activation.
        sign_terms: whether the monomial layers have the terms that only the sign group allows (``MonomialLinear``).
        layer: ``linear`` for ``MonomialLinear``, or ``messages`` for ``MessageLayer``, which also reads products along
            the edges of the network.
        hnp_channels: the number of output channels of each HNP layer between the invariant step and the mean, each
            followed by ReLU; empty for none (an ablation of the paper).
        options: further arguments of ``AccuracyPredictor``, such as ``head``.

    Shapes:
        The input is raw weights, ``(batch, 1, out, in, *kernel)`` and ``(batch, 1, out)``; the output is ``(batch,)``,
        in [0, 1].

    Raises:
        UsageError: the activation or the invariant step does not fit the networks' group.

    Source:
        paper, Section 6.1 and Theorem 5.3.

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures, build_model
    >>> spec = NetworkSpec.cnn([1, 4, 4], kernel=3, stride=2, outputs=10, activation="relu")
    >>> model = build_model("generalization/monomial", spec)
    >>> from mnfn_cli.testing import assert_invariant
    >>> assert_invariant(model.double(), spec)
    """

    def __init__(
        self,
        spec: NetworkSpec,
        channels: Sequence[int],
        activation: str,
        invariant: Literal["normalize", "absolute", "auto"],
        sign_terms: bool,
        layer: Literal["linear", "messages"],
        hnp_channels: Sequence[int],
        **options: Any,
    ) -> None:
        fitting = INVARIANT_STEPS[spec.group]
        step = fitting[0] if invariant == "auto" else invariant
        if step not in fitting:
            raise UsageError(
                "model.invariant",
                f"{step} is not invariant for {spec.activation} networks; use {' or '.join(fitting)}, or auto",
            )
        function = LAYER_ACTIVATIONS[spec.group][0] if activation == "auto" else activation
        # Positions alone may be rescaled only where no layer multiplies one with another.
        rescale = step == "normalize" and layer == "linear"
        layers: list[nn.Module] = [RescalePositions(spec)] if rescale else []
        for d, e in pairwise([1, *channels]):
            layers += [
                _LAYERS[layer](spec, d, e, sign_terms=sign_terms),
                EquivariantActivation(spec, function),
            ]
        if step == "normalize":
            layers.append(NormalizeEntries(spec, channels[-1]))
        else:
            layers[-1] = AbsoluteValue()
        if hnp_channels:
            layers.append(PermutationStack(spec, channels[-1], "hnp", hnp_channels))
        pool = MeanPool(spec, [*channels, *hnp_channels][-1])
        # Messages and HNP layers combine positions of several blocks.
        in_blocks = layer == "linear" and not hnp_channels
        stack = BlockwiseInvariant(layers, pool) if in_blocks else nn.Sequential(*layers, pool)
        super().__init__(spec, stack, pool.numbers, **options)
