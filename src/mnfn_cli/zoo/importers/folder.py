"""Import anyone's folder of networks: one network a file, with tensors of any names, and labels in a table."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mnfn_cli.errors import DataError, UsageError
from mnfn_cli.runtime.context import Context
from mnfn_cli.weightspace.layer_order import OrderError
from mnfn_cli.weightspace.layout import Layout, Reading, find_layout
from mnfn_cli.weightspace.naming import Shape
from mnfn_cli.weightspace.spec import NetworkSpec, read_spec
from mnfn_cli.weightspace.spec_checks import is_inr
from mnfn_cli.zoo.importers.architecture import Architecture
from mnfn_cli.zoo.importers.bad_files import require_usable
from mnfn_cli.zoo.importers.folder_files import find_files, network_ids, source_root
from mnfn_cli.zoo.importers.folder_labels import LabelOptions, label_networks
from mnfn_cli.zoo.importers.inr_facts import InrOptions, facts_of_files, with_coordinates
from mnfn_cli.zoo.importers.network_files import Describe, NetworkFile, NetworkReader
from mnfn_cli.zoo.importers.network_plan import plan_of
from mnfn_cli.zoo.plan import Plan
from mnfn_cli.zoo.single_files import SUFFIXES

FORMAT = "folder"
UNKNOWN_SIZE = (
    "the size of the pictures is unknown, so nothing checks that stride, padding and pooling lead to the map that the "
    "dense layers read; say --input-size"
)


def plan_folder(
    path: str | Path,
    *,
    architecture: Architecture = Architecture(),
    reading: Reading = Reading(),
    labels: LabelOptions = LabelOptions(),
    inrs: InrOptions = InrOptions(),
    skip_bad: bool = False,
    context: Context | None = None,
) -> Plan:
    """Plan the import of all ``.safetensors``, ``.pt`` and ``.pth`` files of a folder and of the folders in it.

    Files with other architectures or other names of tensors make other weight spaces. A file whose metadata hold a
    ``spec``, as those of ``mnfn zoo export`` do, has the architecture that this says.

    Args:
        path: the folder.
        architecture: what weights do not tell, for files that do not say it themselves.
        reading: the order of the layers where their shapes leave it open, and where batch normalisations stand.
        labels: the table of labels and the splits.
        inrs: what is known about the pictures of INRs.
        skip_bad: leave out networks that cannot be used and rows without a network, instead of raising an error.
        context: where progress is reported and interrupts are noticed.

    Returns:
        a plan, which ``write_plan`` writes.

    Raises:
        DataError: there is no such folder; or networks, or rows of the table, cannot be used, all of which are named.
        OrderError: the order of the layers is not settled.
        UsageError: an option is missing or wrong.

    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from mnfn_cli.zoo import export_zoo, plan_folder
    >>> from mnfn_cli.testing import example_zoo
    >>> with TemporaryDirectory() as folder:
    ...     export_zoo(example_zoo(), f"{folder}/files")
    ...     plan_folder(f"{folder}/files").table.height
    12
    12
    """
    path = Path(path)
    root = source_root(path, f"files {', '.join(SUFFIXES)}")
    found, errors = find_files(root, lambda file: file.suffix in SUFFIXES)
    if not found and not errors:
        raise DataError(path, f"holds no {', '.join(SUFFIXES)} file")
    table = labels.read()
    names = [file.as_posix() for file in found]
    files, twice = _named_once(root, found)
    reader = NetworkReader(_describe(architecture, reading))
    good, bad = reader.check_all(files, context or Context(), path)
    specs = [space.spec for space in reader.spaces]
    labelled = label_networks(good, dict(zip(names, ids_of_files(names), strict=True)), labels, table, specs)
    errors += [*twice, *bad, *labelled.errors]
    require_usable(errors, skip_bad, len(labelled.files), path)
    inr = all(map(is_inr, specs))
    if not inr and inrs != InrOptions():
        raise UsageError("--size, --pixel-range, --coordinates", "belong to INRs, and these networks are none")
    metadata = [checked.metadata for checked in labelled.files]
    facts, assumed = facts_of_files(metadata, inrs) if inr else ({}, [])
    own = sum("spec" in texts for texts in metadata) if architecture != Architecture() else 0
    remarks = [f"{own} files say their architecture themselves; options are for the others"] if own else []
    if any(space.spec.flatten and space.spec.input_size is None for space in reader.spaces):
        remarks.append(UNKNOWN_SIZE)
    said = {"architecture": architecture.to_json(), "layers": list(reading.layers), "batchnorm": reading.batchnorm}
    plan = plan_of(
        FORMAT,
        path,
        reader,
        labelled.files,
        labelled.columns,
        made={**{name: value for name, value in said.items() if value}, **labelled.made, **facts},
        skipped=errors,
        notes=[*remarks, *labelled.notes, *assumed],
    )
    return with_coordinates(plan, inrs)


def _describe(architecture: Architecture, reading: Reading) -> Describe:
    def describe(
        shapes: Mapping[str, Shape], metadata: Mapping[str, str], hint: Hashable, where: str
    ) -> tuple[NetworkSpec, Layout]:
        stated = read_spec(metadata["spec"]) if "spec" in metadata else None
        if not isinstance(stated, NetworkSpec):
            architecture.require_activation()
            layout = find_layout(shapes, where, reading=reading)
            return architecture.spec(layout, where), layout
        try:
            return stated, find_layout(shapes, where, stated.weight_shapes, replace(reading, layers=()))
        except OrderError:
            return stated, find_layout(shapes, where, stated.weight_shapes, reading)

    return describe


def ids_of_files(paths: Sequence[str]) -> list[str]:
    """Return the ids of networks: the names of their files without suffix, with folders in front if names repeat.

    >>> ids_of_files(["a.pt", "b/c.pt"]), ids_of_files(["a/net.pt", "b/net.pt"])
    (['a', 'c'], ['a-net', 'b-net'])
    """
    bare = [Path(path).with_suffix("") for path in paths]
    stems = [path.name for path in bare]
    return network_ids(stems if len(set(stems)) == len(stems) else ["-".join(path.parts) for path in bare])


def _named_once(root: Path, found: Sequence[Path]) -> tuple[list[NetworkFile], list[DataError]]:
    """Return the files; two with one name and different endings are one network's name, and the second is an error."""
    first: dict[Path, Path] = {}
    files, errors = [], []
    for path in found:
        bare = path.with_suffix("")
        if bare in first:
            errors.append(
                DataError(root / path, f"has the name of {first[bare].name}; each network needs a name of its own")
            )
        else:
            first[bare] = path
            files.append(NetworkFile(root / path, path.as_posix()))
    return files, errors
