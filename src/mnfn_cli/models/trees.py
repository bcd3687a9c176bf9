"""Functionals whose last step is a forest: on a learned test set's summary, on statistics of weights, on responses."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mnfn_cli.models.forest import Forest, ForestOptions
from mnfn_cli.models.functional import ClosedFormFunctional, Functional, LearnedInputs
from mnfn_cli.models.learned_test_set import LearnedTestSet
from mnfn_cli.nn.canonical_statistics import CanonicalStatistics
from mnfn_cli.nn.inputs import runs_on
from mnfn_cli.nn.probe_statistics import ProbeStatistics
from mnfn_cli.runtime.processes import current
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec

BLOCK = 256
"""The number of networks whose features are computed at a time for a fit."""


UNEXPORTABLE = "its trees are followed until all end in leaves, and an exported program has a fixed number of steps"


class FixedFeatures(nn.Module):
    """Features that need no training: ``S``, statistics of canonical weights, and ``P``, of responses to fixed inputs.

    Args:
        spec: the weight space of the networks.
        features: some of the letters ``S`` and ``P``; others are left out.
        probes: the number of fixed inputs of ``P``.
        input_size: (height, width) of the networks' pictures where the specification does not know it.

    Shapes:
        The input is raw weights with one channel; the output is ``(batch, numbers)`` in float64.
    """

    def __init__(
        self, spec: NetworkSpec, features: Sequence[str], probes: int, input_size: Sequence[int] | None
    ) -> None:
        super().__init__()
        if "S" in features:
            self.statistics = CanonicalStatistics(spec)
        if "P" in features:
            self.responses = ProbeStatistics(spec, probes, input_size)

    def forward(self, features: WeightSpaceFeatures) -> Tensor:
        """Return all features, concatenated."""
        exact = features.to(dtype=torch.float64)
        return torch.cat([part(exact) for part in self.children()], dim=1)


class Trees(ClosedFormFunctional):
    """Predict accuracy by trees on features that need no training.

    Args:
        features: the features.
        head: the trees, not fitted yet.
        bounded: whether predictions are in [0, 1] or any numbers.

    Shapes:
        The input is raw weights, ``(batch, 1, out, in, *kernel)`` and ``(batch, 1, out)``; the output is ``(batch,)``,
        in [0, 1] if it is bounded.

    Source:
        mnfn's own.

    >>> from mnfn_cli import NetworkSpec, build_model
    >>> spec = NetworkSpec.cnn([1, 16, 16, 16], kernel=3, stride=2, outputs=10, input_size=(16, 16))
    >>> type(build_model("generalization/trees", spec, test_set=None)).__name__
    'Trees'
    """

    input_dtype = torch.float64
    unexportable = UNEXPORTABLE

    def __init__(self, features: FixedFeatures, head: Forest, bounded: bool) -> None:
        super().__init__()
        self.features, self.head, self.bounded = features, head, bounded

    def fit(self, features: WeightSpaceFeatures, targets: Tensor) -> None:
        """Fit the trees to accuracies ``(networks,)``."""
        self.head.fit(_in_blocks(self.features, features), targets)

    def forward(self, features: WeightSpaceFeatures) -> Tensor:
        """Return predicted accuracies, ``(batch,)``; NaN where a feature is not finite."""
        return _within(self.head(self.features(features)), self.bounded)

    def readable(self, features: WeightSpaceFeatures) -> Tensor:
        """Return whether each network can be run, ``(batch,)``, if the features need that."""
        inputs = getattr(self.features, "responses", None)
        return super().readable(features) if inputs is None else runs_on(inputs.spec, features, inputs.inputs)


class TreesOnTestSet(Functional):
    """Predict accuracy by trees on the summary ``Y`` of a learned test set, and on other features beside it.

    The learned test set is trained by gradient steps. When they are done, ``finish`` fits the trees; until then the
    prediction is that of the learned test set.

    Args:
        test_set: the learned test set, not trained yet.
        others: the features beside its summary; None for none.
        head: the trees, not fitted yet.
        bounded: whether predictions are in [0, 1] or any numbers.

    Shapes:
        The input is raw weights, ``(batch, 1, out, in, *kernel)`` and ``(batch, 1, out)``. The output is ``(batch,)``
        and in training ``(batch, members)``, in [0, 1] if it is bounded.

    Source:
        mnfn's own.

    >>> from mnfn_cli import NetworkSpec, build_model
    >>> spec = NetworkSpec.cnn([1, 16, 16, 16], kernel=3, stride=2, outputs=10, input_size=(16, 16))
    >>> type(build_model("generalization/trees", spec)).__name__
    'Trees'
    """

    input_dtype = torch.float64
    unexportable = UNEXPORTABLE

    def __init__(self, test_set: LearnedTestSet, others: FixedFeatures | None, head: Forest, bounded: bool) -> None:
        super().__init__()
        self.test_set, self.others, self.head, self.bounded = test_set, others, head, bounded

    def finish(self, features: WeightSpaceFeatures, targets: Tensor) -> bool:
        """Fit the trees to accuracies ``(networks,)``."""
        self.head.fit(_in_blocks(self._features, features), targets)
        return True

    def forward(self, features: WeightSpaceFeatures) -> Tensor:
        """Return predicted accuracies, ``(batch,)``; NaN where a feature is not finite."""
        if self.training or not self.head.fitted:
            predicted: Tensor = self.test_set(features)
            return predicted
        return _within(self.head(self._features(features)), self.bounded)

    def readable(self, features: WeightSpaceFeatures) -> Tensor:
        """Return whether each network can be run, ``(batch,)``."""
        return self.test_set.readable(features)

    def learned_inputs(self, features: WeightSpaceFeatures) -> LearnedInputs:
        """Return the inputs of the learned test set, on whose summary the trees were fitted."""
        return self.test_set.learned_inputs(features)

    def rate_factor(self, name: str) -> float:
        """Return the factor that the learned test set gives."""
        return self.test_set.rate_factor(name.removeprefix("test_set."))

    def _features(self, features: WeightSpaceFeatures) -> Tensor:
        summary = self.test_set.summary(features)
        return summary if self.others is None else torch.cat([summary, self.others(features)], dim=1)


def build_trees(
    spec: NetworkSpec,
    features: Sequence[str],
    probes: int,
    input_size: Sequence[int] | None,
    forest: dict[str, Any],
    bounded: bool = True,
    **learned: Any,
) -> Functional:
    """Return ``TreesOnTestSet`` if the letter ``Y`` is among the features, else ``Trees``.

    Args:
        spec: the weight space of the networks.
        features: the letters of the feature sets, some of ``Y``, ``S`` and ``P``.
        probes: the number of fixed inputs of ``P``.
        input_size: (height, width) of the networks' pictures where the specification does not know it.
        forest: the arguments of ``ForestOptions``.
        bounded: whether predictions are in [0, 1] or any numbers.
        learned: the options of ``LearnedTestSet``.

    Raises:
        UsageError: the networks must be run, and the size of their pictures is unknown.
    """
    head = Forest(ForestOptions(**forest), torch.initial_seed() % 2**31)  # the seed follows from the recipe's
    fixed = [letter for letter in features if letter != "Y"]
    if "Y" not in features:
        return Trees(FixedFeatures(spec, fixed, probes, input_size), head, bounded)
    test_set = LearnedTestSet(spec, input_size=input_size, bounded=bounded, **learned)
    others = FixedFeatures(spec, fixed, probes, input_size) if fixed else None
    return TreesOnTestSet(test_set, others, head, bounded)


def _in_blocks(function: Callable[[WeightSpaceFeatures], Tensor], features: WeightSpaceFeatures) -> Tensor:
    """Return what a function says of networks, in blocks that several processes share."""
    processes = current()
    blocks = [slice(start, start + BLOCK) for start in range(0, features.batch, BLOCK)]
    return torch.cat(processes.in_order([function(features.select(block)) for block in processes.own(blocks)]))


def _within(predicted: Tensor, bounded: bool) -> Tensor:
    return predicted.clamp(0, 1) if bounded else predicted
