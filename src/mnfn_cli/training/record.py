"""The contents of run.json."""

from collections.abc import Mapping
from typing import Any, Literal

from mnfn_cli.storage.records import Record, VersionedRecord
from mnfn_cli.weightspace.layout import Layout
from mnfn_cli.zoo.record import Fit, SpecField


class ZooReference(Record):
    """A zoo that a run was trained on: its absolute path, and a fingerprint that changes when the zoo changes."""

    path: str
    fingerprint: str


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

    Attributes:
        format: the version of the file format.
        state: ``running`` until every file of the run is written, then ``done``.
        task: the name of the task.
        spec: the weight space of the networks that the functional reads.
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
    layouts: tuple[Layout, ...] = ()
    files: tuple[str, ...] = ()
    plugins: tuple[PluginReference, ...] = ()
