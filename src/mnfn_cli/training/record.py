"""What run.json holds."""

from collections.abc import Mapping
from typing import Any, Literal

from mnfn_cli.storage.records import Record, VersionedRecord
from mnfn_cli.zoo.record import Fit, SpecField


class ZooReference(Record):
    """A zoo that a run learned from: where it was, and a text that changes when the zoo does."""

    path: str
    fingerprint: str


class Versions(Record):
    """What a run was made with."""

    mnfn: str
    torch: str
    python: str


class PluginReference(Record):
    """Code of the user's own that a run's model comes from: what was given, and the SHA-256 of the file."""

    name: str
    sha256: str | None = None


class RunRecord(VersionedRecord):
    """The whole of run.json.

    Attributes:
        format: the version of the format.
        state: ``running`` until everything is written, then ``done``.
        task: the name of the task that the run learned, such as ``generalization``.
        spec: the weight space that the functional reads.
        facts: what the task found out about its zoos; the task knows the keys.
        inr: how the INRs that the run learned from were fitted; None for other networks.
        zoos: the zoos that the run learned from.
        networks: the number of networks in each split.
        skipped: the networks that were left out, each as (path of its zoo, id).
        command: the command line that started the run.
        versions: the versions of mnfn, torch and Python that started the run.
        files: names of what the run holds beside the files that every run has.
        plugins: code of the user's own that must be given again to read the run.
    """

    VERSION = 2

    state: Literal["running", "done"]
    task: str
    spec: SpecField
    facts: Mapping[str, Any]
    inr: Fit | None = None
    zoos: tuple[ZooReference, ...]
    networks: Mapping[str, int]
    skipped: tuple[tuple[str, str], ...] = ()
    command: str = ""
    versions: Versions
    files: tuple[str, ...] = ()
    plugins: tuple[PluginReference, ...] = ()
