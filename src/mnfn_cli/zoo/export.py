"""Select networks of a zoo, and write each into a file of its own."""

import re
from collections.abc import Sequence
from pathlib import Path

from mnfn_cli.errors import DataError, UsageError
from mnfn_cli.storage.folders import new_folder
from mnfn_cli.storage.outputs import Output, check_outputs
from mnfn_cli.storage.tensors import save_tensors
from mnfn_cli.weightspace.naming import natural_key
from mnfn_cli.zoo.single_files import CHECKPOINTS, SUFFIX, write_manifest
from mnfn_cli.zoo.store import Zoo

_SAFE_NAME = re.compile(r"[\w.+-][\w .+-]*", re.ASCII)


def export_zoo(
    zoo: Zoo,
    output: Path,
    *,
    split: str | None = None,
    ids: Sequence[str] = (),
    limit: int | None = None,
    force: bool = False,
) -> int:
    """Write each network of a zoo into a safetensors file named by its id.

    The metadata of a file hold the row of the zoo's table and the ``NetworkSpec``, for INRs also how they were fitted.

    Args:
        zoo: the zoo to export.
        output: the folder to create.
        split: the split to export, ``train``, ``val`` or ``test``; all by default.
        ids: the ids of the networks to export; all by default.
        limit: the largest number of networks to export; no limit by default.
        force: replace an existing folder of exported networks.

    Returns:
        the number of files.

    Raises:
        UsageError: the zoo has no network with one of the ids, or no network is selected.
        DataError: an id cannot be a file name.
        OutputError: the folder exists, or is equal to, inside or around the zoo.
    """
    check_outputs([Output(output, CHECKPOINTS)], [zoo.path], force=force)
    every = zoo.ids
    rows = choose_rows(zoo, split=split, ids=ids, limit=limit)
    unfit = [every[row] for row in rows if not _SAFE_NAME.fullmatch(every[row]) or len(every[row]) > 200]
    if unfit:
        raise DataError.together([DataError(f"{zoo.path}:{name}", "this id cannot be a file name") for name in unfit])
    origin = _origin(zoo)
    with new_folder(output, CHECKPOINTS, force=force) as folder:
        for row in rows:
            record = {key: str(value) for key, value in zoo.table.row(row, named=True).items() if value is not None}
            metadata = record | {"spec": zoo.spec.to_text()} | origin
            save_tensors(folder / f"{every[row]}{SUFFIX}", zoo.read([row]).to_state_dicts()[0], metadata)
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
    unknown = sorted(set(ids) - set(every), key=natural_key)
    if unknown:
        raise UsageError("--ids", f"{zoo.path} has no network {', '.join(unknown)}")
    rows = [row for row in zoo.rows(split) if not ids or every[row] in ids][:limit]
    if not rows:
        raise UsageError(zoo.path, "no network fits --split, --ids and --limit")
    return rows


def _origin(zoo: Zoo) -> dict[str, str]:
    """Return the metadata of an exported INR: ``init``, ``start`` if it is shared, and ``size``, such as 16x16."""
    facts = zoo.record.fit
    texts = {name: str(facts[name]) for name in ("init", "start") if facts.get(name) is not None}
    return texts | ({"size": "x".join(map(str, facts["size"]))} if "size" in facts else {})
