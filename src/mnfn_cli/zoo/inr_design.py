"""How the INRs of a zoo were fitted, which others must repeat if their networks are to be read by the same run."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from mnfn_cli.errors import DataError, UsageError
from mnfn_cli.storage.records import parse_record
from mnfn_cli.storage.tensors import read_tensors, save_tensors
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.rendering import is_inr
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.record import Fit
from mnfn_cli.zoo.store import Zoo, tensor_names

START_FILE = "start.safetensors"


@dataclass(frozen=True)
class InrDesign:
    """What networks have in common that one run can read: their shapes, their start, and how they were fitted.

    Args:
        spec: the weight space of the SIRENs.
        fit: how the SIRENs were fitted.
        start_weights: the shared start, raw weights of one network; None without one.
    """

    spec: NetworkSpec
    fit: Fit
    start_weights: WeightSpaceFeatures | None = field(default=None, compare=False, repr=False)

    @property
    def channels(self) -> int:
        """1 for grey pictures, 3 for colour."""
        return self.spec.widths[-1]

    def start_tensors(self) -> dict[str, Tensor]:
        """Return the tensors of start.safetensors: one network's, named as in a shard, without the batch axis."""
        if self.start_weights is None:
            return {}
        return self.start_weights.to_state_dicts(tensor_names(self.spec))[0]

    def save_start(self, folder: Path) -> None:
        """Write the shared start into a folder, if there is one."""
        if tensors := self.start_tensors():
            save_tensors(folder / START_FILE, tensors)

    @classmethod
    def of_zoo(cls, zoo: Zoo) -> "InrDesign":
        """Return the design of an INR zoo.

        Raises:
            UsageError: the zoo's networks are no INRs.
            DataError: it does not say how large its pictures are, or its start is missing or another one.
        """
        if not is_inr(zoo.spec):
            raise UsageError(zoo.path, f"holds networks {zoo.spec}, no INRs")
        return cls.of_folder(zoo.path, zoo.spec, parse_record(zoo.record.fit, zoo.path / "zoo.json", Fit))

    @classmethod
    def of_folder(cls, folder: Path, spec: NetworkSpec, fit: Fit) -> "InrDesign":
        """Return a design whose shared start, if there is one, lies in ``folder``.

        Raises:
            DataError: the start is missing, cannot be read, or is another one than ``fit`` says.
        """
        if fit.init != "shared":
            return cls(spec, fit)
        tensors, _ = read_tensors(folder / START_FILE)
        start = WeightSpaceFeatures.from_state_dicts([tensors], spec, names=[str(folder / START_FILE)])
        if (found := start_fingerprint(start)) != fit.start:
            raise DataError(folder / START_FILE, f"is start {found}, not {fit.start}, which the INRs had")
        return cls(spec, fit, start)


def start_fingerprint(start: WeightSpaceFeatures) -> str:
    """Return the first 16 hex digits of the SHA-256 of a start's float32 bytes, W(1), b(1), W(2), ..."""
    content = b"".join(tensor[0, 0].float().contiguous().numpy().tobytes() for tensor in start.tensors())
    return hashlib.sha256(content).hexdigest()[:16]
