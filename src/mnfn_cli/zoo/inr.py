"""How the INRs of a zoo were fitted, which others must repeat if their networks are to be read by the same run."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from mnfn_cli.errors import DataError, MnfnError, UsageError
from mnfn_cli.storage.tensors import read_tensors, save_tensors
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.rendering import is_inr
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.store import Zoo, open_zoo, tensor_names

INITS = ("random", "shared")
PIXEL_RANGE = (-1.0, 1.0)
START_FILE = "start.safetensors"


@dataclass(frozen=True)
class InrDesign:
    """What networks have in common that one run can read: their shapes, their start, and how they were fitted.

    Args:
        spec: the SIRENs.
        size: (height, width) of the pictures.
        init: ``random``, each network from its own start; ``shared``, all from one; None where nobody wrote it down.
        start_weights: the shared start, raw weights of one network; None otherwise.
        steps: of Adam; None where nobody wrote it down.
        learning_rate: of Adam; None where nobody wrote it down.
        pixel_range: the values that stand for black and white.
    """

    spec: NetworkSpec
    size: tuple[int, int]
    init: str | None = None
    start_weights: WeightSpaceFeatures | None = field(default=None, compare=False, repr=False)
    steps: int | None = None
    learning_rate: float | None = None
    pixel_range: tuple[float, float] = PIXEL_RANGE

    @property
    def start(self) -> str | None:
        """A text that tells shared starts apart: 16 hex digits; None without a shared start."""
        return None if self.start_weights is None else start_fingerprint(self.start_weights)

    @property
    def channels(self) -> int:
        """1 for grey pictures, 3 for colour."""
        return self.spec.widths[-1]

    def to_json(self) -> dict[str, Any]:
        """Return what zoo.json (under ``made``) and run.json (under ``inr``) keep; the spec stands beside it."""
        return {
            "init": self.init,
            "start": self.start,
            "steps": self.steps,
            "learning_rate": self.learning_rate,
            "size": list(self.size),
            "pixel_range": list(self.pixel_range),
        }

    @classmethod
    def from_json(
        cls, document: Mapping[str, Any], spec: NetworkSpec, start_weights: WeightSpaceFeatures | None = None
    ) -> "InrDesign":
        """Read what ``to_json`` wrote; raises KeyError, TypeError or ValueError for anything else."""
        height, width = document["size"]
        low, high = document.get("pixel_range", PIXEL_RANGE)
        steps, rate = document.get("steps"), document.get("learning_rate")
        return cls(
            spec,
            (int(height), int(width)),
            document.get("init"),
            start_weights,
            None if steps is None else int(steps),
            None if rate is None else float(rate),
            (float(low), float(high)),
        )

    def save_start(self, folder: Path) -> None:
        """Write the shared start into a folder, if there is one."""
        if self.start_weights is not None:
            save_tensors(folder / START_FILE, start_tensors(self.spec, self.start_weights))

    @classmethod
    def of_zoo(cls, zoo: Zoo) -> "InrDesign":
        """Return the design of an INR zoo.

        Raises:
            UsageError: the zoo's networks are no INRs.
            DataError: it does not say how large its pictures are, or its start is missing or another one.
        """
        if not is_inr(zoo.spec):
            raise UsageError(zoo.path, f"holds networks {zoo.spec}, no INRs")
        return _read(inr_facts(zoo), zoo.spec, zoo.path, zoo.path / "zoo.json")

    @classmethod
    def of_folder(cls, path: Path) -> "InrDesign":
        """Return the design of an INR zoo, or of the zoo that a finished run was trained on.

        Raises:
            UsageError: the zoo or the run has nothing to do with INRs.
            DataError: the folder is neither, or it is incomplete.
        """
        file = path / "run.json"
        if not file.exists():
            return cls.of_zoo(open_zoo(path))
        try:
            description = json.loads(file.read_text("utf-8"))
            if description["state"] != "done":
                raise DataError(path, f"this run is not done; continue it with: mnfn train --resume {path}")
            if description.get("inr") is None:
                raise UsageError(path, "is a run on networks that are no INRs")
            facts, spec = description["inr"], NetworkSpec.from_json(description["spec"])
        except MnfnError:
            raise
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(file, f"cannot be read: {error}") from None
        return _read(facts, spec, path, file)


def inr_facts(zoo: Zoo) -> dict[str, Any]:
    """Return what a zoo records of ``InrDesign``; nothing for a zoo of other networks."""
    if not is_inr(zoo.spec):
        return {}
    recorded = zoo.document.get("images", {}) | zoo.document.get("made", {})
    names = ("init", "start", "steps", "learning_rate", "size", "pixel_range")
    return {name: recorded[name] for name in names if name in recorded}


def start_tensors(spec: NetworkSpec, start: WeightSpaceFeatures) -> dict[str, Tensor]:
    """Return the tensors of start.safetensors: one network's, named as in a shard, without the batch axis."""
    return start.to_state_dicts(tensor_names(spec))[0]


def start_fingerprint(start: WeightSpaceFeatures) -> str:
    """Return the first 16 hex digits of the SHA-256 of a start's float32 bytes, W(1), b(1), W(2), ..."""
    content = b"".join(tensor[0, 0].float().contiguous().numpy().tobytes() for tensor in start.tensors())
    return hashlib.sha256(content).hexdigest()[:16]


def _read(facts: Any, spec: NetworkSpec, folder: Path, file: Path) -> InrDesign:
    try:
        shared = facts.get("init") == "shared"
        design = InrDesign.from_json(facts, spec, _read_start(folder / START_FILE, spec) if shared else None)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(file, f"does not say how its INRs were fitted: {error}") from None
    if shared and design.start != facts.get("start"):
        raise DataError(folder / START_FILE, f"is start {design.start}, not {facts.get('start')}, which the INRs had")
    return design


def _read_start(file: Path, spec: NetworkSpec) -> WeightSpaceFeatures:
    tensors, _ = read_tensors(file)
    return WeightSpaceFeatures.from_state_dicts([tensors], spec, names=[str(file)])
