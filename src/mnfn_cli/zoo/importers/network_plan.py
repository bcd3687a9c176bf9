"""Make a plan of files that were checked."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mnfn_cli.errors import DataError, one_line
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.zoo.importers.network_files import CheckedFile, NetworkReader, identity_of
from mnfn_cli.zoo.plan import Plan
from mnfn_cli.zoo.record import spaces_of
from mnfn_cli.zoo.table import SPACE_COLUMN


def plan_of(
    format_name: str,
    path: Path,
    reader: NetworkReader,
    files: Sequence[CheckedFile],
    columns: Mapping[str, Sequence[Any]],
    *,
    made: Mapping[str, Any],
    skipped: Sequence[DataError],
    notes: Sequence[str],
) -> Plan:
    """Return the plan to import the networks of some files.

    Args:
        format_name: the name of the format, as the command line has it.
        path: the folder that the user named.
        reader: what has checked the files, and reads them.
        files: the files, in the order of the table.
        columns: the columns of the table, among them ``id`` and ``split``; weight space and activation are added.
        made: what zoo.json records of the import.
        skipped: an error for each network that is left out.
        notes: sentences that the user should read.
    """
    import polars as pl

    used = sorted({checked.space for checked in files})
    every = reader.spaces
    spaces = spaces_of([(every[number].spec, every[number].layout) for number in used])
    name_of = {number: space.name for number, space in zip(used, spaces, strict=True)}
    members = {name: [checked for checked in files if name_of[checked.space] == name] for name in name_of.values()}
    first = {name: list(columns[name]) for name in ("id", "split")}
    if len(spaces) > 1:
        first[SPACE_COLUMN] = [name_of[checked.space] for checked in files]
    first["activation"] = [every[checked.space].spec.activation for checked in files]
    rest = {one_line(name): list(map(_readable, values)) for name, values in columns.items() if name not in first}
    table = pl.DataFrame(first | rest)

    def read(space: str, chosen: range) -> WeightSpaceFeatures:
        return reader.read(members[space][chosen.start : chosen.stop])

    recorded = {"format": format_name, "source": str(path), **made}
    contents = hashlib.sha256(table.write_csv().encode()).hexdigest()
    return Plan(
        sources=[path],
        spaces=spaces,
        table=table,
        read=read,
        made=recorded,
        identity={
            **recorded,
            "files": identity_of(files),
            "table": contents,
            "spaces": [space.to_json() for space in spaces],
        },
        skipped=skipped,
        notes=[*reader.casts, *notes],
    )


def _readable(value: Any) -> Any:
    """Return a text without control characters and without what is no Unicode, which names of files may have."""
    return one_line(value) if isinstance(value, str) else value
