"""Import published sets of INRs: SIRENs in one file each, with layers in the order of their numbers."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnfn_cli.errors import DataError
from mnfn_cli.runtime.context import Context
from mnfn_cli.weightspace.layout import Layout, Reading, find_layout
from mnfn_cli.weightspace.naming import Shape, find_modules
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.weightspace.spec_checks import is_inr
from mnfn_cli.zoo.importers.architecture import Architecture
from mnfn_cli.zoo.importers.bad_files import require_usable
from mnfn_cli.zoo.importers.inr_facts import InrOptions, with_coordinates
from mnfn_cli.zoo.importers.network_files import CheckedFile, Describe, NetworkFile, NetworkReader
from mnfn_cli.zoo.importers.network_plan import plan_of
from mnfn_cli.zoo.plan import Plan

OMEGA = 30.0
SIZES = {1: (28, 28), 3: (32, 32)}
"""The (height, width) of pictures by their channels, where nobody says it: those of MNIST and of CIFAR-10."""


@dataclass(frozen=True)
class Inr:
    """An INR of a published set.

    Args:
        file: the file of the network.
        id: the network's id.
        image_id: the id of its picture.
        split: the split of its picture.
        label: the class of its picture, a number as text; None if only the file itself says it, as ``label``.
        source_id: the id of the network of which this one is a copy; its own if it is none; None without copies.
    """

    file: NetworkFile
    id: str
    image_id: str
    split: str
    label: str | None
    source_id: str | None = None


@dataclass(frozen=True)
class InrSet:
    """What the folders of a published set hold.

    Args:
        format: the name of the format, as the command line has it.
        pixel_range: the values of black and white pixels.
        output_offset: a number that is added to every output.
        members: the networks, in the order of the table.
        errors: an error for each file or entry that cannot be used.
        split_protocol: how the networks are split, in words.
        notes: sentences that the user should read.
    """

    format: str
    pixel_range: tuple[float, float]
    output_offset: float
    members: Sequence[Inr]
    errors: Sequence[DataError]
    split_protocol: str
    notes: Sequence[str] = ()


def plan_inrs(
    path: Path, found: InrSet, *, options: InrOptions, skip_bad: bool = False, context: Context | None = None
) -> Plan:
    """Plan the import of a published set of INRs.

    Args:
        path: the folder that the user named.
        found: what its folders hold.
        options: what the user says about the pictures. The size is by default that of MNIST for grey pictures, and that
            of CIFAR-10 for pictures in colour.
        skip_bad: leave out networks that cannot be used, instead of raising an error.
        context: where progress is reported and interrupts are noticed.

    Raises:
        DataError: networks cannot be used, all of which are named; or some have one output and some three.
    """
    reader = NetworkReader(_describe(found.output_offset))
    members = {member.file.name: member for member in found.members}
    files, bad = reader.check_all([member.file for member in found.members], context or Context(), path)
    files, labels, unlabelled = _labelled(files, members)
    files, torn = _with_source(files, members)
    errors = [*found.errors, *bad, *unlabelled, *torn]
    require_usable(errors, skip_bad, len(files), path)
    chosen = [members[checked.file.name] for checked in files]
    columns: dict[str, list[Any]] = {
        "id": [member.id for member in chosen],
        "split": [member.split for member in chosen],
        "image_id": [member.image_id for member in chosen],
        "class": [labels[checked.file.name] for checked in files],
        "source_id": [member.source_id for member in chosen],
    }
    if all(source is None for source in columns["source_id"]):
        del columns["source_id"]
    size, assumed = _size(path, reader, options)
    plan = plan_of(
        found.format,
        path,
        reader,
        files,
        columns | {"file": [checked.file.name for checked in files]},
        made={
            "split_protocol": found.split_protocol,
            "init": "random",
            "size": list(size),
            "pixel_range": list(options.pixel_range or found.pixel_range),
        },
        skipped=errors,
        notes=[*found.notes, *assumed],
    )
    return with_coordinates(plan, options)


def _describe(output_offset: float) -> Describe:
    architecture = Architecture(activation="sin", omega=OMEGA, output_offset=output_offset)

    def describe(
        shapes: Mapping[str, Shape], metadata: Mapping[str, str], hint: Hashable, where: str
    ) -> tuple[NetworkSpec, Layout]:
        layers = tuple(module.name for module in find_modules(shapes, where))
        layout = find_layout(shapes, where, reading=Reading(layers))
        spec = architecture.spec(layout, where)
        if not is_inr(spec):
            raise DataError(where, f"is a network {spec}; an INR has 2 inputs, 1 or 3 outputs and no convolution")
        return spec, layout

    return describe


def _labelled(
    files: Sequence[CheckedFile], members: Mapping[str, Inr]
) -> tuple[list[CheckedFile], dict[str, str], list[DataError]]:
    """Return the files with a label, the labels by the names of the files, and errors for the others."""
    kept, labels, errors = [], {}, []
    for checked in files:
        stated, inside = members[checked.file.name].label, checked.metadata.get("label")
        label = inside or stated
        if label is None or not (label.isascii() and label.isdigit()):
            errors.append(DataError(f"{checked.file.path}:label", "there is no class number of this name in the file"))
        elif stated is not None and stated != label:
            errors.append(DataError(f"{checked.file.path}:label", f"is {label}, and elsewhere {stated}"))
        else:
            kept.append(checked)
            labels[checked.file.name] = label
    return kept, labels, errors


def _with_source(files: Sequence[CheckedFile], members: Mapping[str, Inr]) -> tuple[list[CheckedFile], list[DataError]]:
    """Return the files without copies of networks that are not there, and errors for those."""
    there = {members[checked.file.name].id for checked in files}
    kept, errors = [], []
    for checked in files:
        source = members[checked.file.name].source_id
        if source is None or source in there:
            kept.append(checked)
        else:
            errors.append(DataError(checked.file.path, f"is a copy of network {source}, which cannot be imported"))
    return kept, errors


def _size(path: Path, reader: NetworkReader, options: InrOptions) -> tuple[tuple[int, int], list[str]]:
    channels = {space.spec.widths[-1] for space in reader.spaces}
    if len(channels) > 1:
        raise DataError(path, "holds INRs of grey pictures and of pictures in colour; import them apart")
    if options.size is not None:
        return options.size, []
    height, width = SIZES[channels.pop()]
    return (height, width), [f"pictures are taken to be {height}x{width} pixels; say --size if they are not"]
