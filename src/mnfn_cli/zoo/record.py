"""What zoo.json holds, and what is recorded of how INRs were fitted."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, PlainSerializer, PlainValidator

from mnfn_cli.errors import MnfnError
from mnfn_cli.storage.records import OpenRecord, Record, VersionedRecord
from mnfn_cli.weightspace.rendering import is_inr
from mnfn_cli.weightspace.spec import NetworkSpec

PIXEL_RANGE = (-1.0, 1.0)


def _read_spec(value: Any) -> NetworkSpec:
    if isinstance(value, NetworkSpec):
        return value
    try:
        return NetworkSpec.from_json(value)
    except (KeyError, TypeError, ValueError, AttributeError, MnfnError) as error:
        raise ValueError(f"is no weight space: {error}") from None


SpecField = Annotated[NetworkSpec, PlainValidator(_read_spec), PlainSerializer(lambda spec: spec.to_json())]
"""A weight space, written as ``NetworkSpec.to_json`` writes it."""

Positive = Annotated[int, Field(ge=1)]
Start = Annotated[str, Field(min_length=1, max_length=64)]


class Fit(Record):
    """How INRs were fitted, as far as somebody wrote it down.

    Attributes:
        init: ``random`` where each network had a start of its own, ``shared`` where all had one.
        start: a text that tells shared starts apart; None without a shared start.
        steps, learning_rate: the number of Adam's steps and its learning rate.
        size: (height, width) of the pictures.
        pixel_range: the values that stand for black and white.
    """

    init: Literal["random", "shared"] | None = None
    start: Start | None = None
    steps: Positive | None = None
    learning_rate: Annotated[float, Field(gt=0)] | None = None
    size: tuple[Positive, Positive]
    pixel_range: tuple[float, float] = PIXEL_RANGE


class FileRecord(Record):
    """A file of a zoo: its size and its checksum."""

    bytes: int
    sha256: str


class Images(OpenRecord):
    """Where a zoo's pictures came from."""

    size: tuple[Positive, Positive] | None = None
    pixel_range: tuple[float, float] | None = None


class Made(OpenRecord):
    """How a zoo was made; of INRs also how they were fitted."""

    command: str | None = None


class ZooRecord(VersionedRecord):
    """The whole of zoo.json.

    Attributes:
        format: the version of the format.
        spec: the weight space of the networks.
        count: the number of networks.
        images, made: the origin of the pictures and of the networks.
        files: every other file of the zoo, by name.
    """

    VERSION = 1

    spec: SpecField
    count: Annotated[int, Field(ge=0)]
    images: Images = Images()
    made: Made = Made()
    files: Mapping[str, FileRecord]

    @property
    def fit(self) -> dict[str, Any]:
        """What is recorded of how INRs were fitted, by the names of ``Fit``; nothing for other networks."""
        if not is_inr(self.spec):
            return {}
        recorded = self.images.to_json() | self.made.to_json()
        return {name: recorded[name] for name in Fit.model_fields if name in recorded}
