"""Invariant statistics as functionals read them: standardised by the training networks, and remembered."""

import hashlib
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mnfn_cli.nn.canonical_statistics import CanonicalStatistics
from mnfn_cli.nn.mean_field import MeanFieldStatistics
from mnfn_cli.runtime.processes import current
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec

STATISTICS: Mapping[str, type[CanonicalStatistics] | type[MeanFieldStatistics]] = {
    "canonical": CanonicalStatistics,
    "mean-field": MeanFieldStatistics,
}
"""The kinds of statistics by the names that recipes use."""

SMALLEST_DEVIATION = 1e-3
"""A statistic that varies less over the training networks says nothing, and becomes 0."""

LARGEST = 4.0
"""Standardised statistics are clamped to plus and minus this."""

BLOCK = 256
"""The number of networks whose statistics are computed at a time."""

MEMORY = 20_000
"""The largest number of networks whose statistics are remembered."""


class InvariantStatistics(nn.Module):
    """Statistics that no element of the monomial group changes, minus their means and over their deviations.

    Means and deviations are those of the networks that ``fit`` is given. The statistics of networks that were seen
    before, which a training needs in every epoch, are remembered; networks are told apart by a hash of all weights.

    Args:
        spec: the weight space.
        kinds: keys of ``STATISTICS``.

    Attributes:
        numbers: the length of the output.

    Shapes:
        The input is raw weights with one channel, the output ``(batch, numbers)`` in the features' dtype.

    Source:
        mnfn's own.

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures
    >>> from mnfn_cli.nn import InvariantStatistics
    >>> spec = NetworkSpec.cnn([1, 4, 4], kernel=3, stride=2, outputs=10, activation="relu")
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2)
    >>> statistics = InvariantStatistics(spec, ["canonical"])
    >>> statistics.fit(networks)
    >>> statistics(networks).shape == (2, statistics.numbers)
    True
    """

    means: Tensor
    scales: Tensor

    def __init__(self, spec: NetworkSpec, kinds: Sequence[str]) -> None:
        super().__init__()
        parts = [STATISTICS[kind](spec) for kind in kinds]
        self.parts = nn.ModuleList(parts)
        self.numbers = sum(part.numbers for part in parts)
        self.register_buffer("means", torch.zeros(self.numbers, dtype=torch.float64))
        self.register_buffer("scales", torch.ones(self.numbers, dtype=torch.float64))
        self._known: dict[bytes, Tensor] = {}

    @torch.no_grad()
    def fit(self, features: WeightSpaceFeatures) -> None:
        """Compute the mean and the deviation of every statistic over all of ``features``."""
        processes = current()
        blocks = processes.own([slice(start, start + BLOCK) for start in range(0, features.batch, BLOCK)])
        own = [self._remembered(features.select(block), keep=True) for block in blocks]
        found = torch.cat(processes.in_order(own))
        for known in processes.gather(self._known):
            self._known |= known
        deviations, means = torch.std_mean(found, dim=0, correction=0)
        self.means.copy_(means)
        self.scales.copy_(torch.where(deviations > SMALLEST_DEVIATION, 1 / deviations, 0.0))

    def forward(self, features: WeightSpaceFeatures) -> Tensor:
        """Return the standardised statistics; they have no gradients."""
        with torch.no_grad():
            found = self._remembered(features, keep=not self.training)
            return ((found - self.means) * self.scales).clamp(-LARGEST, LARGEST).to(features.dtype)

    def _remembered(self, features: WeightSpaceFeatures, keep: bool) -> Tensor:
        """Return the statistics in float64, ``(batch, numbers)``; new ones are kept if ``keep``."""
        if features.device.type == "meta" or torch.compiler.is_exporting():
            return torch.cat([part(features) for part in self.parts], dim=1)
        rows = features.flatten().detach().cpu().numpy()
        keys = [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in rows]
        new = [row for row, key in enumerate(keys) if key not in self._known]
        fresh: dict[bytes, Tensor] = {}
        for start in range(0, len(new), BLOCK):
            chosen = new[start : start + BLOCK]
            found = torch.cat([part(features.select(chosen)) for part in self.parts], dim=1)
            fresh |= {keys[row]: numbers for row, numbers in zip(chosen, found.cpu(), strict=True)}
        result = torch.stack([fresh[key] if key in fresh else self._known[key] for key in keys])
        if keep and len(self._known) + len(fresh) <= MEMORY:
            self._known |= fresh
        return result.to(self.means.device)
