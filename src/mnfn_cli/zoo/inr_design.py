"""How the INRs of a zoo were fitted. A run reads only INRs that were fitted as those that it was trained on."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from mnfn_cli.errors import DataError, UsageError
from mnfn_cli.storage.records import parse_record
from mnfn_cli.storage.tensors import read_tensors, save_tensors
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.weightspace.spec_checks import is_inr
from mnfn_cli.zoo.record import Fit
from mnfn_cli.zoo.shards import tensor_names
from mnfn_cli.zoo.store import Zoo

START_FILE = "start.safetensors"


@dataclass(frozen=True)
class InrDesign:
    """What INRs must have in common to be read by one run: architecture, initial weights and settings of the fit.

    Args:
        spec: the weight space of the INRs.
        fit: the settings of the fit.
        start_weights: the initial weights that all INRs share, as raw weights of one network, ``(1, 1, ...)``; None if
            each INR has its own.
        folder: the folder of the zoo or of the run that says so; None for a new design.

    >>> from mnfn_cli.zoo import InrDesign
    >>> from mnfn_cli.testing import example_zoo
    >>> InrDesign.of_zoo(example_zoo())
    Traceback (most recent call last):
    mnfn_cli.errors.UsageError: ...zoo: holds networks 1 -> 16 -> 16 -> 16 -> 10,... relu, no INRs
    """

    spec: NetworkSpec
    fit: Fit
    start_weights: WeightSpaceFeatures | None = field(default=None, compare=False, repr=False)
    folder: Path | None = field(default=None, compare=False, repr=False)

    @property
    def channels(self) -> int:
        """The number of channels of the pictures: 1 for grey, 3 for colour."""
        return self.spec.widths[-1]

    def start_tensors(self) -> dict[str, Tensor]:
        """Return the tensors of start.safetensors, named as in a shard, without the batch axis; empty if not shared."""
        if self.start_weights is None:
            return {}
        return self.start_weights.to_state_dicts(tensor_names(self.spec))[0]

    def save_start(self, folder: Path) -> None:
        """Write shared initial weights into ``folder`` as start.safetensors; do nothing if there are none."""
        if tensors := self.start_tensors():
            save_tensors(folder / START_FILE, tensors)

    @classmethod
    def of_zoo(cls, zoo: Zoo) -> "InrDesign":
        """Return the design of an INR zoo.

        Raises:
            UsageError: the zoo's networks are not INRs.
            DataError: zoo.json does not hold the size of the pictures, or the shared initial weights are missing or
                not those that zoo.json names.
        """
        if not is_inr(zoo.spec):
            raise UsageError(zoo.path, f"holds networks {zoo.spec}, no INRs")
        return cls.of_folder(zoo.path, zoo.spec, parse_record(zoo.record.fit, zoo.path / "zoo.json", Fit))

    @classmethod
    def of_folder(cls, folder: Path, spec: NetworkSpec, fit: Fit) -> "InrDesign":
        """Return the design of INRs whose shared initial weights, if there are some, are stored in ``folder``.

        Args:
            folder: the folder of a zoo or of a run.
            spec: the weight space of the INRs.
            fit: the settings of the fit.

        Raises:
            DataError: the shared initial weights are missing, cannot be read, or do not match ``fit.start``.
        """
        if fit.init != "shared":
            return cls(spec, fit, None, folder)
        tensors, _ = read_tensors(folder / START_FILE)
        start = WeightSpaceFeatures.from_state_dicts([tensors], spec, names=[str(folder / START_FILE)])
        if (found := start_fingerprint(start)) != fit.start:
            raise DataError(folder / START_FILE, f"is start {found}, not {fit.start}, which the INRs had")
        return cls(spec, fit, start, folder)


def start_fingerprint(start: WeightSpaceFeatures) -> str:
    """Return 16 hex digits of the SHA-256 of initial weights, as float32 in the order W(1), b(1), W(2), ..."""
    content = b"".join(tensor[0, 0].float().contiguous().numpy().tobytes() for tensor in start.tensors())
    return hashlib.sha256(content).hexdigest()[:16]
