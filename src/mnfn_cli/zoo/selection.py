"""Make a new zoo from the networks of others: with other splits, of several zoos, or of some networks only."""

import re
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from mnfn_cli.errors import UsageError
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.zoo.merging import merge_tables, shared_facts, shared_pictures
from mnfn_cli.zoo.plan import Plan
from mnfn_cli.zoo.record import spaces_of
from mnfn_cli.zoo.splits import draw_group_splits, join_groups, leaks
from mnfn_cli.zoo.store import Zoo, open_zoo
from mnfn_cli.zoo.table import SPACE_COLUMN

if TYPE_CHECKING:
    import polars as pl

MOST_OPERATORS = 100
"""The number of operators that a condition may have; thousands keep the parser busy for hours, or end the process."""

_OPERATOR = re.compile(r"\b(and|or|not|case|when|like|between|is|in)\b|[-+*/%|&<>=!~]+", re.IGNORECASE)

Place = tuple[int, int, int]
"""A network: the index of its zoo, of its part of that zoo, and its row in that part."""


def plan_split(
    zoo: Zoo | str | Path, fractions: dict[str, float], seed: int, twins: Sequence[tuple[str, str]] = ()
) -> Plan:
    """Plan a zoo with the same networks and newly drawn splits.

    Networks that are copies of one another (``source_id``), that encode one picture (``image_id``) or that are twins
    share a split. The proportions are those of such groups.

    Args:
        zoo: the zoo, open or by path.
        fractions: the shares of train, val and test, which add up to 1.
        seed: the seed of the draw.
        twins: the ids of pairs of networks that are one another up to the group, as of ``find_twins``.

    Returns:
        a plan, which ``write_plan`` writes.

    Raises:
        UsageError: the fractions are not those of train, val and test, or do not add up to 1.

    >>> from mnfn_cli.zoo import plan_split
    >>> from mnfn_cli.testing import example_zoo
    >>> plan = plan_split(example_zoo(), {"train": 0.5, "val": 0.25, "test": 0.25}, seed=0)
    >>> plan.table["split"].value_counts(sort=True)["count"].to_list()
    [6, 3, 3]
    """
    import polars as pl

    zoo = open_zoo(zoo)
    rows = {name: row for row, name in enumerate(zoo.ids)}
    links = [*_common_origins(zoo.table), *((rows[a], rows[b]) for a, b in twins)]
    splits = draw_group_splits(join_groups(len(zoo), links), seed, fractions)
    table = zoo.table.with_columns(pl.Series("split", splits, dtype=pl.String))
    made = {"split": {"fractions": fractions, "seed": seed}}
    return _plan([zoo], [range(len(zoo))], table, made)


def plan_filter(zoo: Zoo | str | Path, condition: str) -> Plan:
    """Plan a zoo with the networks whose row in the table fulfils a condition.

    Args:
        zoo: the zoo, open or by path.
        condition: an SQL expression over the columns of the table, such as ``test_accuracy > 0.5``. It is parsed by
            polars and can compute with columns only; nothing is evaluated as code.

    Returns:
        a plan, which ``write_plan`` writes.

    Raises:
        UsageError: the condition cannot be read, is neither true nor false, or no network fulfils it.

    >>> from mnfn_cli.zoo import plan_filter
    >>> from mnfn_cli.testing import example_zoo
    >>> plan_filter(example_zoo(), "test_accuracy > 0.5").table.height
    3
    """
    zoo = open_zoo(zoo)
    rows = rows_where(zoo.table, condition)
    if not rows:
        raise UsageError(condition, f"no network of {zoo.path} fulfils this")
    return _plan([zoo], [rows], zoo.table[rows], {"filter": condition})


def plan_merge(zoos: Sequence[Zoo | str | Path]) -> Plan:
    """Plan a zoo with the networks of several, in the order of the zoos.

    Ids that two zoos share get the name of their zoo in front. Columns that a zoo lacks are empty in its rows.

    Args:
        zoos: the zoos, open or by path; of INRs, all with pictures of one size and pixel range.

    Returns:
        a plan, which ``write_plan`` writes.

    Raises:
        UsageError: there are fewer than two zoos, or one twice.
        DataError: a column has text in one zoo and numbers in another, or INRs were fitted to other pictures.

    >>> from mnfn_cli.zoo import plan_merge
    >>> from mnfn_cli.testing import example_zoo
    >>> plan = plan_merge([example_zoo(), example_zoo()])
    Traceback (most recent call last):
    mnfn_cli.errors.UsageError: zoo merge: takes two different zoos or more
    """
    opened = [open_zoo(zoo) for zoo in zoos]
    if len({zoo.path.resolve() for zoo in opened}) < max(len(opened), 2):
        raise UsageError("zoo merge", "takes two different zoos or more")
    table = merge_tables(opened)
    plan = _plan(opened, [range(len(zoo)) for zoo in opened], table, {})
    if torn := leaks(join_groups(len(table), _common_origins(table)), table["split"].to_list()):
        knowing = f"{torn} pictures or sources have networks in several splits, so that splits know each other"
        plan = replace(plan, notes=[*plan.notes, f"{knowing}; mnfn zoo split draws them anew"])
    return plan


def rows_where(table: "pl.DataFrame", condition: str) -> list[int]:
    """Return the indices of a table's rows that fulfil an SQL condition.

    Raises:
        UsageError: the condition cannot be read, or is neither true nor false.
    """
    import polars as pl

    bare = re.sub(r"'[^']*'|\"[^\"]*\"", "", condition)
    if len(_OPERATOR.findall(bare)) > MOST_OPERATORS:
        problem = f"has more than {MOST_OPERATORS} operators; say several values as in id IN ('a', 'b')"
        raise UsageError("condition", problem)
    try:
        found = table.select(pl.sql_expr(condition).alias("chosen"))["chosen"]
    except pl.exceptions.ColumnNotFoundError:
        raise UsageError(condition, f"names no column of the table; it has {', '.join(table.columns)}") from None
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise UsageError(condition, f"is no condition that can be read: {str(error).splitlines()[0]}") from None
    if found.dtype != pl.Boolean or len(found) != table.height:
        raise UsageError(condition, "is not true or false for each network")
    return [row for row, chosen in enumerate(found.to_list()) if chosen]


def _common_origins(table: "pl.DataFrame") -> list[tuple[int, int]]:
    """Return pairs of rows that join all networks of one picture, and all copies of a network with it."""
    links = []
    for column in ("source_id", "image_id"):
        if column in table.columns:
            links += _links(table[column].to_list())
    if "source_id" in table.columns:
        rows = {name: row for row, name in enumerate(table["id"].to_list())}
        links += [(row, rows[name]) for row, name in enumerate(table["source_id"].to_list()) if name in rows]
    return links


def _links(names: Sequence[Any]) -> list[tuple[int, int]]:
    """Return the pairs of neighbours among the rows with one name."""
    last: dict[Any, int] = {}
    links = []
    for row, name in enumerate(names):
        if name is not None and name in last:
            links.append((last[name], row))
        last[name] = row
    return links


def _plan(zoos: Sequence[Zoo], chosen: Sequence[Sequence[int]], table: "pl.DataFrame", made: dict[str, Any]) -> Plan:
    import polars as pl

    parts = [zoo.parts for zoo in zoos]
    kinds: list[Any] = []
    places: list[list[Place]] = []
    space_of_row: list[str] = []
    for i, zoo in enumerate(zoos):
        found = {number: (i, p, row) for p, part in enumerate(parts[i]) for row, number in enumerate(part.numbers)}
        for number in chosen[i]:
            _, p, _ = place = found[number]
            kind = (parts[i][p].spec, parts[i][p].layout)
            if kind not in kinds:
                kinds.append(kind)
                places.append([])
            place_of_kind = kinds.index(kind)
            places[place_of_kind].append(place)
            space_of_row.append(str(place_of_kind + 1))
    spaces = spaces_of(kinds)
    table = table.drop(SPACE_COLUMN, strict=False)
    if len(spaces) > 1:
        table = table.with_columns(pl.Series(SPACE_COLUMN, space_of_row, dtype=pl.String))
    dtypes = [
        _widest([parts[i][p].read(slice(0, 1)).dtype for i, p in dict.fromkeys((i, p) for i, p, _ in those)])
        for those in places
    ]

    def read(space: str, rows: range) -> WeightSpaceFeatures:
        those = places[int(space) - 1][rows.start : rows.stop]
        batches = [
            parts[i][p].read([row for _, _, row in group])
            for (i, p), group in groupby(those, key=lambda place: place[:2])
        ]
        return WeightSpaceFeatures.cat([batch.to(dtype=dtypes[int(space) - 1]) for batch in batches])

    shared = shared_facts(zoos)
    sources = [
        {"path": str(zoo.path), "fingerprint": zoo.fingerprint, "made": zoo.record.made.to_json()} for zoo in zoos
    ]
    made = {**({"source_zoo": sources[0]} if len(zoos) == 1 else {"source_zoos": sources}), **made, **shared.fit}
    return Plan(
        sources=[zoo.path for zoo in zoos],
        spaces=spaces,
        table=table,
        read=read,
        made=made,
        identity={"made": made, "table": sha256(table.write_csv().encode()).hexdigest()},
        images=shared.images,
        pictures=shared_pictures(zoos, table),
        start=shared.start,
        notes=shared.notes,
        what="copying",
    )


def _widest(dtypes: Sequence[torch.dtype]) -> torch.dtype:
    widest = dtypes[0]
    for dtype in dtypes[1:]:
        widest = torch.promote_types(widest, dtype)
    return widest
