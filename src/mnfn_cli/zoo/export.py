"""Select networks of a zoo, and write each into a file of its own."""

import re
from collections.abc import Sequence
from pathlib import Path

from mnfn_cli.errors import DataError, UsageError
from mnfn_cli.storage.folders import new_folder
from mnfn_cli.storage.outputs import Output, check_outputs
from mnfn_cli.weightspace.naming import natural_key
from mnfn_cli.zoo.shards import tensor_names
from mnfn_cli.zoo.single_files import CHECKPOINTS, SUFFIX, write_manifest, write_state_dict
from mnfn_cli.zoo.store import Zoo, open_zoo

_SAFE_NAME = re.compile(r"[\w+-][\w .+-]*", re.ASCII)  # a name that starts with a dot is hidden


def export_zoo(
    zoo: Zoo | str | Path,
    output: str | Path,
    *,
    split: str | None = None,
    ids: Sequence[str] = (),
    limit: int | None = None,
    suffix: str = SUFFIX,
    original_names: bool = False,
    force: bool = False,
) -> int:
    """Write each network of a zoo into a file named by its id.

    The metadata of a safetensors file hold the row of the zoo's table and the ``NetworkSpec``, for INRs also how they
    were fitted.

    Args:
        zoo: the zoo to export, open or by path.
        output: the folder to create.
        split: the split to export, ``train``, ``val`` or ``test``; all by default.
        ids: the ids of the networks to export; all by default.
        limit: the largest number of networks to export; no limit by default.
        suffix: the ending of the files: .safetensors, or .pt for PyTorch's format, which has no metadata.
        original_names: write the names and shapes of the files from which the networks were imported, with an identity
            in place of every batch normalisation that was folded.
        force: replace an existing folder of exported networks.

    Returns:
        the number of files.

    Raises:
        UsageError: the zoo has no network with one of the ids, or no network is selected; or the networks were not
            imported from files and have no original names.
        DataError: an id cannot be a file name.
        OutputError: the folder exists, or is equal to, inside or around the zoo.

    >>> from tempfile import TemporaryDirectory
    >>> from mnfn_cli import export_zoo
    >>> from mnfn_cli.testing import example_zoo
    >>> with TemporaryDirectory() as folder:
    ...     export_zoo(example_zoo(), f"{folder}/files", split="test")
    2
    """
    zoo, output = open_zoo(zoo), Path(output)
    check_outputs([Output(output, CHECKPOINTS)], [zoo.path], force=force)
    every = zoo.ids
    rows = choose_rows(zoo, split=split, ids=ids, limit=limit)
    unfit = [every[row] for row in rows if not _SAFE_NAME.fullmatch(every[row]) or len(every[row]) > 200]
    if unfit:
        raise DataError.together([DataError(f"{zoo.path}:{name}", "this id cannot be a file name") for name in unfit])
    if original_names and any(space.layout is None for space in zoo.spaces):
        raise UsageError(
            "--names", f"the networks of {zoo.path} were not imported from files; leave out --names original"
        )
    origin, chosen = _origin(zoo), set(rows)
    with new_folder(output, CHECKPOINTS, force=force) as folder:
        for part in zoo.parts:
            for row, name in enumerate(part.ids):
                if part.numbers[row] not in chosen:
                    continue
                record = {
                    key: str(value) for key, value in part.table.row(row, named=True).items() if value is not None
                }
                metadata = record | {"spec": part.spec.to_text()} | origin
                tensors = [tensor[0, 0] for tensor in part.read([row]).tensors()]
                layout = part.layout if original_names else None
                state_dict = (
                    dict(zip(tensor_names(part.spec), tensors, strict=True))
                    if layout is None
                    else layout.write(tensors)
                )
                write_state_dict(folder / f"{name}{suffix}", state_dict, metadata)
        write_manifest(folder)
    return len(rows)


def choose_rows(zoo: Zoo, *, split: str | None = None, ids: Sequence[str] = (), limit: int | None = None) -> list[int]:
    """Return the rows of selected networks in the zoo's table.

    Args:
        zoo: the zoo.
        split: the split to select, ``train``, ``val`` or ``test``; all by default.
        ids: the ids of the networks to select; all by default.
        limit: the largest number of networks to select; no limit by default.

    Raises:
        UsageError: the zoo has no network with one of the ids, or no network is selected.
    """
    every = zoo.ids
    unknown = sorted(set(ids).difference(every), key=natural_key)
    if unknown:
        raise UsageError("--ids", f"{zoo.path} has no network {', '.join(unknown)}")
    wanted = set(ids)
    rows = [row for row in zoo.rows(split) if not wanted or every[row] in wanted][:limit]
    if not rows:
        raise UsageError(zoo.path, "no network fits --split, --ids and --limit")
    return rows


def _origin(zoo: Zoo) -> dict[str, str]:
    """Return the metadata of an exported INR: ``init``, ``start`` if it is shared, ``size`` and ``pixel_range``.

    A size is written as 16x16, and a pixel range as -1.0 1.0.
    """
    facts = zoo.record.fit
    texts = {name: str(facts[name]) for name in ("init", "start") if facts.get(name) is not None}
    if "size" in facts:
        texts["size"] = "x".join(map(str, facts["size"]))
    if "pixel_range" in facts:
        texts["pixel_range"] = " ".join(map(str, facts["pixel_range"]))
    return texts
