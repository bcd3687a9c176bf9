"""Choose networks of a zoo, and write them as single files."""

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
    """Write networks of a zoo as single files, with id, spec and labels in their metadata, and of INRs their origin.

    Args:
        zoo: the source.
        output: the folder to make.
        split: only this split.
        ids: only these networks.
        limit: at most so many.
        force: replace an existing folder.

    Returns:
        How many files were written.

    Raises:
        UsageError: an id that the zoo does not have, or nothing to export.
        DataError: an id that cannot be a file name.
        OutputError: the folder exists.
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
    """Return the rows of networks that a user asks for.

    Args:
        zoo: the zoo.
        split: only this split.
        ids: only these networks.
        limit: at most so many.

    Raises:
        UsageError: an id that the zoo does not have, or nothing is left.
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
    """Return what a single INR tells about itself: ``init``, ``start`` if it was shared, ``size`` (16x16)."""
    facts = zoo.record.fit
    texts = {name: str(facts[name]) for name in ("init", "start") if facts.get(name) is not None}
    return texts | ({"size": "x".join(map(str, facts["size"]))} if "size" in facts else {})
