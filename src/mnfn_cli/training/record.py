"""The contents of run.json."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from mnfn_cli.storage.records import Record, VersionedRecord
from mnfn_cli.weightspace.layout import Layout
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.record import Fit, SpecField


class ZooReference(Record):
    """A zoo that a run was trained on.

    Attributes:
        path: its absolute path.
        fingerprint: a text that changes when the zoo changes.
        command: the command line that made it, if that is known.
    """

    path: str
    fingerprint: str
    command: str | None = None


class Versions(Record):
    """The versions of the software that trained a run."""

    mnfn: str
    torch: str
    python: str


class PluginReference(Record):
    """The code behind a model that the user wrote: the argument of ``--plugin``, and the SHA-256 of its file."""

    name: str
    sha256: str | None = None


class RunRecord(VersionedRecord):
    """All of run.json.

    Format 2 has the key ``spec`` and one weight space. Format 3 has the key ``specs`` and several.

    Attributes:
        format: the version of the file format.
        state: ``running`` until every file of the run is written, then ``done``.
        task: the name of the task.
        spec: the weight space of the networks that the functional reads, in format 2.
        specs: the weight spaces of the networks that the functional reads, in either format.
        facts: what the task recorded about the zoos, such as the names of classes (``Task.Facts``).
        inr: how the INRs that the run was trained on were fitted; None for other networks.
        zoos: the zoos that the run was trained on.
        networks: the number of networks in each split.
        skipped: the (zoo path, network id) of every network that was left out.
        command: the command line that started the run.
        versions: the versions of the software that trained the run.
        layouts: how the files held the networks that the zoos were imported from.
        files: the names of the run's files beyond those that every run has.
        plugins: the user's own code that must be loaded with ``--plugin`` to read the run.
        sha256: the SHA-256 of files of the run as hexadecimal text, by name; empty in runs of earlier versions.
    """

    VERSION = 3
    ALSO_READ = (2,)

    state: Literal["running", "done"]
    task: str
    spec: Annotated[SpecField | None, Field(validate_default=True)] = None
    specs: Annotated[tuple[SpecField, ...], Field(validate_default=True)] = ()
    facts: Mapping[str, Any]
    inr: Fit | None = None
    zoos: tuple[ZooReference, ...]
    networks: Mapping[str, int]
    skipped: tuple[tuple[str, str], ...] = ()
    command: str = ""
    versions: Versions
    layouts: tuple[Layout, ...] = ()
    files: tuple[str, ...] = ()
    plugins: tuple[PluginReference, ...] = ()
    sha256: Mapping[str, str] = {}

    @field_validator("spec")
    @classmethod
    def _in_format_2(cls, value: NetworkSpec | None, info: ValidationInfo) -> NetworkSpec | None:
        if info.data.get("format") == 2 and value is None:
            raise ValueError("missing")
        return value

    @field_validator("specs")
    @classmethod
    def _in_format_3(cls, value: tuple[NetworkSpec, ...], info: ValidationInfo) -> tuple[NetworkSpec, ...]:
        if info.data.get("format") == 2 and info.data.get("spec") is not None:
            return (info.data["spec"],)
        if info.data.get("format") == cls.VERSION and not value:
            raise ValueError("missing")
        return value

    @staticmethod
    def describe(specs: Sequence[NetworkSpec]) -> dict[str, Any]:
        """Return the fields ``format`` and ``spec`` for one weight space, ``format`` and ``specs`` for several."""
        return {"format": 2, "spec": specs[0]} if len(specs) == 1 else {"format": 3, "specs": tuple(specs)}
