"""The contents of zoo.json, and the record of how INRs were fitted."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Annotated, Any, Literal

from pydantic import Field, PlainSerializer, PlainValidator, ValidationInfo, field_validator

from mnfn_cli.errors import MnfnError, UsageError
from mnfn_cli.storage.records import OpenRecord, Record, VersionedRecord
from mnfn_cli.weightspace.layout import Layout
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.weightspace.spec_checks import is_inr

PIXEL_RANGE = (-1.0, 1.0)


def _read_spec(value: Any) -> NetworkSpec:
    if isinstance(value, NetworkSpec):
        return value
    try:
        return NetworkSpec.from_json(value)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, MnfnError) as error:
        raise ValueError(f"is no weight space: {error}") from None


SpecField = Annotated[NetworkSpec, PlainValidator(_read_spec), PlainSerializer(lambda spec: spec.to_json())]
"""A field that holds a weight space, in JSON as ``NetworkSpec.to_json`` writes it."""

Positive = Annotated[int, Field(ge=1)]
Start = Annotated[str, Field(min_length=1, max_length=64)]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,200}$")]
"""The name of a file that mnfn writes beside zoo.json."""


class Fit(Record):
    """How INRs were fitted. Attributes that nobody recorded are None.

    Attributes:
        init: ``random`` if each network has initial weights of its own, ``shared`` if all have the same.
        start: the fingerprint of shared initial weights (``start_fingerprint``); None if each network has its own.
        steps, learning_rate: the number of steps and the learning rate of Adam.
        size: the (height, width) of the pictures in pixels.
        pixel_range: the values of black and white pixels.
    """

    init: Literal["random", "shared"] | None = None
    start: Start | None = None
    steps: Positive | None = None
    learning_rate: Annotated[float, Field(gt=0)] | None = None
    size: tuple[Positive, Positive]
    pixel_range: tuple[float, float] = PIXEL_RANGE


class FileRecord(Record):
    """A file of a zoo: its size in bytes and its SHA-256 as hexadecimal text."""

    bytes: int
    sha256: str


class Images(OpenRecord):
    """The source of a zoo's pictures, with their (height, width) and the values of black and white pixels."""

    size: tuple[Positive, Positive] | None = None
    pixel_range: tuple[float, float] | None = None


class Made(OpenRecord):
    """How a zoo was made: the command line and its settings, for INRs also the attributes of ``Fit``."""

    command: str | None = None


class Space(Record):
    """A weight space of a zoo.

    Attributes:
        name: its name in the column ``weight_space`` of the table and in the names of its shards.
        spec: the shapes and the activation of its networks.
        layout: how the files held the networks that were imported, so that they can be written back alike; None for
            networks that mnfn made itself.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,32}$")]
    spec: SpecField
    layout: Layout | None = None


def spaces_of(kinds: Sequence[tuple[NetworkSpec, Layout | None]]) -> tuple[Space, ...]:
    """Return weight spaces with these specifications and layouts, named ``1``, ``2`` and so on."""
    return tuple(Space(name=str(i), spec=spec, layout=layout) for i, (spec, layout) in enumerate(kinds, 1))


def _with_input_size(spec: NetworkSpec, size: tuple[int, int] | None) -> NetworkSpec:
    """Return the specification with the (height, width) of its zoo's pictures as input size, if it fits.

    Zoos of classifiers in format 1 recorded the size beside the specification. INRs read coordinates, not pictures.
    """
    if size is None or spec.input_size is not None or is_inr(spec):
        return spec
    channels = spec.widths[0] // prod(size)
    try:
        return replace(spec, input_size=size if spec.kernels else (channels, *size))
    except UsageError:
        return spec


class ZooRecord(VersionedRecord):
    """All of zoo.json.

    Format 1 has the key ``spec`` and one weight space, whose input size is that of ``images``. Format 2 has the key
    ``spaces``.

    Attributes:
        format: the version of the file format.
        spec: the weight space of all networks, in format 1.
        spaces: the weight spaces of the networks, in either format.
        count: the number of networks.
        images: the source of the pictures.
        made: how the networks were made.
        files: the size and checksum of every other file of the zoo, by its name.
    """

    VERSION = 2
    ALSO_READ = (1,)

    images: Images = Images()
    spec: Annotated[SpecField | None, Field(validate_default=True)] = None
    spaces: Annotated[tuple[Space, ...], Field(validate_default=True)] = ()
    count: Annotated[int, Field(ge=0)]
    made: Made = Made()
    files: Mapping[FileName, FileRecord]

    @field_validator("spec")
    @classmethod
    def _in_format_1(cls, value: NetworkSpec | None, info: ValidationInfo) -> NetworkSpec | None:
        if info.data.get("format") == 1 and value is None:
            raise ValueError("missing")
        return value

    @field_validator("spaces")
    @classmethod
    def _in_format_2(cls, value: tuple[Space, ...], info: ValidationInfo) -> tuple[Space, ...]:
        if info.data.get("format") == 1 and info.data.get("spec") is not None:
            size = info.data["images"].size if "images" in info.data else None
            return spaces_of([(_with_input_size(info.data["spec"], size), None)])
        if info.data.get("format") == cls.VERSION and not value:
            raise ValueError("missing")
        if len({space.name for space in value}) < len(value):
            raise ValueError("names a weight space twice")
        return value

    @property
    def fit(self) -> dict[str, Any]:
        """The recorded attributes of ``Fit`` by name; empty for networks that are not INRs."""
        if not all(is_inr(space.spec) for space in self.spaces):
            return {}
        recorded = self.images.to_json() | self.made.to_json()
        return {name: recorded[name] for name in Fit.model_fields if name in recorded}

    @property
    def split_protocol(self) -> str | None:
        """The protocol by which the networks were split, in words; None for a zoo that was imported with none.

        A zoo that was made from another, such as copies by augmentation, keeps its splits, and so its protocol.
        """
        made: Any = self.made.to_json()
        while isinstance(made, dict):
            if isinstance(found := made.get("split_protocol"), str):
                return found
            made = made.get("source_zoo")
        return None
