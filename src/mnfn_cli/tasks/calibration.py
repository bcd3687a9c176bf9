"""What a run learned from calibration networks, and how it is stored: intervals, and the flag of unlike networks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from mnfn_cli.errors import DataError
from mnfn_cli.storage.tensors import read_tensors, save_tensors
from mnfn_cli.tasks.familiarity import Familiarity
from mnfn_cli.tasks.intervals import Intervals
from mnfn_cli.training.run_folder import CALIBRATION_FILE
from mnfn_cli.weightspace.spec import NetworkSpec


@dataclass(frozen=True)
class Calibration:
    """What can be said of a run's answers beside the answers.

    Args:
        intervals: the intervals around predictions; None where the run has none.
        familiarity: the flag of networks unlike those of the training zoo; None where the run has none.
    """

    intervals: Intervals | None = None
    familiarity: Familiarity | None = None

    def save(self, folder: Path) -> None:
        """Write the calibration into the folder of a run, if there is any; raises StorageError if that fails."""
        tensors: dict[str, Tensor] = {}
        for name, part in vars(self).items():
            if part is not None:
                tensors |= {f"{name}.{key}": tensor for key, tensor in part.to_tensors().items()}
        if tensors:
            save_tensors(folder / CALIBRATION_FILE, tensors)

    @classmethod
    def read(cls, folder: Path, specs: Sequence[NetworkSpec]) -> "Calibration":
        """Return the calibration of a run, which is empty for runs without one.

        Args:
            folder: the folder of the run.
            specs: the weight spaces of the networks that the run reads.

        Raises:
            DataError: the file cannot be read, or something in it is missing or wrong.
        """
        file = folder / CALIBRATION_FILE
        if not file.exists():
            return cls()
        tensors, _ = read_tensors(file)

        def part(name: str) -> dict[str, Tensor]:
            return {key.partition(".")[2]: tensor for key, tensor in tensors.items() if key.startswith(f"{name}.")}

        try:
            intervals, familiarity = part("intervals"), part("familiarity")
            return cls(
                Intervals.from_tensors(intervals) if intervals else None,
                Familiarity.from_tensors(specs, familiarity) if familiarity else None,
            )
        except (KeyError, ValueError, RuntimeError) as error:
            raise DataError(file, f"is no calibration of a run: {error}") from None
