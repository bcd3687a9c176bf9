"""Tell networks that are unlike those of the training zoo, by statistics of their canonical weights.

What a functional says of a network of another kind, and the interval around it, promise nothing. A network is flagged
if its distance to the training networks is larger than that of 95 % of the validation networks, so that 5 % of networks
like those of the zoo are flagged by chance. No element of the symmetry group changes the distance.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mnfn_cli.nn.canonical_statistics import CanonicalStatistics
from mnfn_cli.runtime.processes import current
from mnfn_cli.storage.records import Record
from mnfn_cli.tasks.functional import BLOCK
from mnfn_cli.tasks.intervals import fewest, rank
from mnfn_cli.weightspace.canonical import canonicalize
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.mixed import MixedFeatures, Networks
from mnfn_cli.weightspace.spec import NetworkSpec

FALSE_ALARMS = 0.05
"""The share of networks like those of the training zoo that are flagged."""
WIDTHS = (0.5, 10.0)
"""The deviations at which the two distances level off: one sees many small deviations, the other few large ones."""
USUAL = (0.95, 0.98)
"""The share of the training networks whose distance is at most 1, by either."""
MOST = 4096
"""The largest number of training networks that are compared with, chosen at even distances."""
NORMAL_QUARTILES = 1.349
"""The distance between the quartiles of a normal distribution, in standard deviations."""
_FLOOR = 1e-6


class FamiliarityFigures(Record):
    """What the flag promises, and what it did on the test networks.

    Attributes:
        promised: the share of networks like those of the training zoo that are flagged.
        calibration: the number of families of validation networks that calibrated it.
        test: the number of families of test networks (a network with its copies is one).
        false_alarms: the share of the test networks that are flagged.
        two_standard_errors: how far ``false_alarms`` may lie from ``promised`` by chance.
    """

    promised: float
    calibration: int
    test: int
    false_alarms: float
    two_standard_errors: float


@dataclass(frozen=True)
class Reference:
    """The training networks of one weight space, as a distance to them.

    With statistics s of canonical weights (``nn.canonical_statistics``), and their medians c and quartile ranges r over
    the training networks, u = (s - c) / r are deviations, and z = w tanh(u / w) levels them off at w. The distance is
    the root mean square of z, less its mean, in the axes of its covariance, each divided by its standard deviation (a
    Mahalanobis distance), as a multiple of a usual one. The larger of two such distances counts: the one with small w
    sees many small deviations, where single large ones would hide them, and the one with large w those.

    Args:
        centre, range: medians and quartile ranges (in standard deviations of a normal distribution), ``(numbers,)``.
        mean: the mean of z for each w, ``(2, numbers)``.
        whitening: for each w, the axes of the covariance divided by their standard deviations, ``(2, numbers,
            numbers)``. Float32 numbers, stored as such, so that a run that was read flags the same networks.
        usual: for each w, a quantile of the distances of the training networks, ``(2,)``.
    """

    centre: Tensor
    range: Tensor
    mean: Tensor
    whitening: Tensor
    usual: Tensor

    @classmethod
    def fit(cls, statistics: Tensor) -> "Reference":
        """Learn the distance from the statistics of training networks, ``(networks, numbers)`` in float64."""
        low, centre, high = statistics.quantile(statistics.new_tensor([0.25, 0.5, 0.75]), dim=0)
        size = statistics.abs().amax(dim=0).clamp_min(1.0)
        spread = ((high - low) / NORMAL_QUARTILES).maximum(_FLOOR * size)
        means, whitenings, usuals = [], [], []
        for width, share in zip(WIDTHS, USUAL, strict=True):
            levelled = _level((statistics - centre) / spread, width)
            means.append(levelled.mean(dim=0))
            whitenings.append(_whitening(levelled - means[-1]).float().double())
            distances = _root_mean_square((levelled - means[-1]) @ whitenings[-1])
            usuals.append(distances.quantile(share).clamp_min(_FLOOR))
        return cls(centre, spread, torch.stack(means), torch.stack(whitenings), torch.stack(usuals))

    def distances(self, statistics: Tensor) -> Tensor:
        """Return the distances of networks with these statistics, ``(networks,)``."""
        deviations = (statistics - self.centre) / self.range
        views = zip(WIDTHS, self.mean, self.whitening, self.usual, strict=True)
        found = [_root_mean_square((_level(deviations, w) - mean) @ axes) / usual for w, mean, axes, usual in views]
        return torch.stack(found).amax(dim=0)


@dataclass(frozen=True)
class Familiarity:
    """The flag of networks unlike those of a training zoo.

    Args:
        specs: the weight spaces.
        references: the training networks of each.
        threshold: the distance above which a network is flagged.
        calibration: the number of networks that calibrated the threshold.
    """

    specs: tuple[NetworkSpec, ...]
    references: tuple[Reference, ...]
    threshold: float
    calibration: int

    @classmethod
    def fit(cls, specs: Sequence[NetworkSpec], train: Networks, calibration: Networks) -> "Familiarity":
        """Learn the distance from training networks, and the threshold from networks that were not trained on.

        Args:
            specs: the weight spaces of the networks.
            train: the training networks, at least one of each weight space.
            calibration: networks of other families, one of each; no choice of the model depends on the flag, so all
                validation networks can serve.

        Raises:
            ValueError: there are fewer calibration networks than ``enough()``.
        """
        if calibration.batch < enough():
            raise ValueError(f"{calibration.batch} calibration networks; at least {enough()} are needed")
        references = [
            Reference.fit(_by_blocks(spec, part.select(slice(None, None, -(-part.batch // MOST)))))
            for spec, part in zip(specs, _parts(train), strict=True)
        ]
        found = cls(tuple(specs), tuple(references), 1.0, calibration.batch)
        ordered = np.sort(found.scores(calibration))
        threshold = float(ordered[rank(len(ordered), 1 - FALSE_ALARMS) - 1])
        return cls(found.specs, found.references, threshold, calibration.batch)

    @classmethod
    def if_enough(
        cls, specs: Sequence[NetworkSpec], train: Networks, calibration: Networks
    ) -> tuple["Familiarity | None", list[str]]:
        """Return what ``fit`` returns, or None and a remark if there are too few calibration networks."""
        if (count := calibration.batch) >= enough():
            return cls.fit(specs, train, calibration), []
        needed = f"at least {enough()} are needed to flag networks unlike the training zoo"
        return None, [f"{count} validation networks; {needed}"]

    def scores(self, networks: Networks) -> NDArray[np.float64]:
        """Return the distances of networks to the training networks, as a multiple of the threshold, ``(networks,)``.

        A network is flagged as unlike the training zoo if its score is above 1.
        """
        found = [
            _by_blocks(spec, part, reference.distances)
            for spec, reference, part in zip(self.specs, self.references, _parts(networks), strict=True)
        ]
        together = networks.merge(found) if isinstance(networks, MixedFeatures) else found[0]
        scores: NDArray[np.float64] = together.numpy() / self.threshold
        return scores

    def figures(self, test: Networks, families: int) -> FamiliarityFigures:
        """Return what the flag did on test networks of this number of families."""
        spread = FALSE_ALARMS * (1 - FALSE_ALARMS) * (1 / self.calibration + 1 / families)
        return FamiliarityFigures(
            promised=FALSE_ALARMS,
            calibration=self.calibration,
            test=families,
            false_alarms=float((self.scores(test) > 1).mean()),
            two_standard_errors=2 * sqrt(spread),
        )

    def to_tensors(self) -> dict[str, Tensor]:
        """Return the flag as tensors by name, which ``from_tensors`` reads."""
        tensors = {
            "threshold": torch.tensor(self.threshold, dtype=torch.float64),
            "calibration": torch.tensor(float(self.calibration), dtype=torch.float64),
        }
        for number, reference in enumerate(self.references):
            tensors |= {f"{number}.{name}": tensor for name, tensor in vars(reference).items() if name != "whitening"}
            tensors[f"{number}.whitening"] = reference.whitening.float()
        return tensors

    @classmethod
    def from_tensors(cls, specs: Sequence[NetworkSpec], tensors: Mapping[str, Tensor]) -> "Familiarity":
        """Return the flag of ``to_tensors``; raises KeyError or ValueError if something is missing or wrong."""
        references = []
        for number, spec in enumerate(specs):
            parts = {name: tensors[f"{number}.{name}"].double() for name in Reference.__dataclass_fields__}
            numbers = CanonicalStatistics(spec).numbers
            views = len(WIDTHS)
            shapes = {"whitening": (views, numbers, numbers), "mean": (views, numbers), "usual": (views,)}
            if any(tuple(part.shape) != shapes.get(name, (numbers,)) for name, part in parts.items()):
                raise ValueError(f"the statistics are not those of networks {spec}")
            references.append(Reference(**parts))
        return cls(tuple(specs), tuple(references), float(tensors["threshold"]), int(tensors["calibration"]))


def enough() -> int:
    """Return the smallest number of calibration networks for which there is a flag.

    >>> enough()
    19
    """
    return fewest(1 - FALSE_ALARMS)


def _level(deviations: Tensor, width: float) -> Tensor:
    return width * torch.tanh(deviations / width)


def _root_mean_square(rows: Tensor) -> Tensor:
    return rows.square().mean(dim=1).sqrt()


def _whitening(centred: Tensor) -> Tensor:
    """Return the axes of the covariance of rows with mean 0, divided by standard deviations.

    Variances are drawn towards their mean, by half if there are as many rows as numbers, and less by more rows.
    """
    rows, numbers = centred.shape
    variances, axes = torch.linalg.eigh(centred.T @ centred / rows)
    mean = variances.mean().clamp_min(_FLOOR)
    return axes / torch.lerp(variances.clamp_min(0), mean.expand_as(variances), numbers / (numbers + rows)).sqrt()


def _parts(networks: Networks) -> Sequence[WeightSpaceFeatures]:
    return networks.parts if isinstance(networks, MixedFeatures) else [networks]


def _by_blocks(
    spec: NetworkSpec, networks: WeightSpaceFeatures, function: Callable[[Tensor], Tensor] = lambda found: found
) -> Tensor:
    """Return what a function makes of the statistics of all networks, ``(networks, ...)``, some networks at a time.

    The statistics are ``(some, numbers)``, in float64 on the CPU, after shifts are removed; they are what is returned
    by default.
    """
    statistics = CanonicalStatistics(spec)

    def blocks() -> Iterator[Tensor]:
        for start in current().own(range(0, networks.batch, BLOCK)):
            block = networks.select(slice(start, start + BLOCK)).to(device="cpu", dtype=torch.float64)
            yield function(statistics(canonicalize(block, spec, shifts=True)[0] if any(spec.periodic) else block))

    with torch.no_grad():
        found = current().in_order(list(blocks()))
    return torch.cat(found) if found else function(torch.zeros(0, statistics.numbers, dtype=torch.float64))
