"""What several zoos have in common, and how their tables become one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from mnfn_cli.errors import DataError
from mnfn_cli.storage.tensors import map_tensors
from mnfn_cli.zoo.inr_design import START_FILE
from mnfn_cli.zoo.store import Zoo

if TYPE_CHECKING:
    import polars as pl

_KEYS = ("id", "source_id")


@dataclass(frozen=True)
class SharedFacts:
    """What is true of the networks of all zoos.

    Args:
        fit: how INRs were fitted; only the settings in which all agree.
        images: the source of the pictures, likewise.
        start: the tensors of start.safetensors by name, if all INRs share their initial weights.
        notes: sentences about what was dropped.
    """

    fit: Mapping[str, Any]
    images: Mapping[str, Any]
    start: Mapping[str, Tensor]
    notes: Sequence[str]


def shared_facts(zoos: Sequence[Zoo]) -> SharedFacts:
    """Return what is true of the networks of all zoos.

    Raises:
        DataError: INRs were fitted to pictures of another size or pixel range; all such zoos are named.
    """
    inrs = [(zoo, zoo.record.fit) for zoo in zoos if zoo.record.fit]
    misfits = [
        DataError(zoo.path, f"its INRs have another {name} of pictures than those of {inrs[0][0].path}")
        for zoo, fit in inrs[1:]
        for name in ("size", "pixel_range")
        if fit.get(name) != inrs[0][1].get(name)
    ]
    if misfits:
        raise DataError.together(misfits)
    fits = [zoo.record.fit for zoo in zoos]
    first, fit = fits[0], _agreeing(fits)
    notes = []
    if "start" in first and "start" not in fit:
        fit.pop("init", None)
        notes.append("the INRs do not share one set of initial weights, so none is recorded")
    starts = zoos[0].path / START_FILE
    start = map_tensors(starts) if "start" in fit and starts.exists() else {}
    return SharedFacts(fit, _agreeing([zoo.record.images.to_json() for zoo in zoos]), start, notes)


def merge_tables(zoos: Sequence[Zoo]) -> "pl.DataFrame":
    """Return the rows of all tables, one below the other, with unique ids.

    If an id stands in two tables, every id and source_id gets the name of its zoo in front; likewise every image_id, if
    one of them names different pictures in two zoos. Columns that a table lacks are empty in its rows.

    Raises:
        DataError: a column has text in one zoo and numbers in another.
    """
    import polars as pl

    tables = [zoo.table for zoo in zoos]
    for name in dict.fromkeys(column for table in tables for column in table.columns):
        holders = [(zoo, zoo.table[name]) for zoo in zoos if name in zoo.table.columns]
        texts = [zoo for zoo, values in holders if values.dtype == pl.String and values.null_count() < len(values)]
        if texts and len(texts) < sum(values.null_count() < len(values) for _, values in holders):
            raise DataError(f"{texts[0].path / 'table.csv'}:{name}", "is text here and a number in another zoo")
    ids = [name for table in tables for name in table["id"].to_list()]
    columns = list(_KEYS) if len(set(ids)) < len(ids) else []
    if not _same_pictures(zoos):
        columns.append("image_id")
    prefixes = _prefixes(zoos)
    renamed = [
        table.with_columns(
            (pl.lit(prefix) + pl.col(column)).alias(column) for column in columns if column in table.columns
        )
        for table, prefix in zip(tables, prefixes, strict=True)
    ]
    return pl.concat(renamed, how="diagonal_relaxed")


def shared_pictures(zoos: Sequence[Zoo], table: "pl.DataFrame") -> dict[str, Tensor]:
    """Return the tensors of images.safetensors for a zoo with this table, made of rows of these zoos in their order.

    Pictures of INRs are kept if all zoos hold theirs. Inputs of classifiers are kept if all zoos hold the same.
    """
    inputs = [_images(zoo).get("inputs") for zoo in zoos]
    kept: dict[str, Tensor] = {}
    if all(found is not None and inputs[0] is not None and torch.equal(found, inputs[0]) for found in inputs):
        kept["inputs"] = inputs[0]  # type: ignore[assignment]
    if "image_id" not in table.columns or any(zoo.pictures() is None for zoo in zoos):
        return kept
    by_name: dict[str, Tensor] = {}
    prefixes = _prefixes(zoos)
    for zoo, prefix in zip(zoos, prefixes, strict=True):
        places, pictures = zoo.pictures() or ({}, torch.empty(0))
        by_name |= {name: pictures[place] for key, place in places.items() for name in (key, prefix + key)}
    wanted = table["image_id"].unique(maintain_order=True).to_list()
    return kept | {"pictures": torch.stack([by_name[name] for name in wanted])}


def _agreeing(facts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        key: value for key, value in facts[0].items() if all(key in other and other[key] == value for other in facts)
    }


def _images(zoo: Zoo) -> dict[str, Tensor]:
    file = zoo.path / "images.safetensors"
    return map_tensors(file) if file.name in zoo.record.files else {}


def _same_pictures(zoos: Sequence[Zoo]) -> bool:
    """Return whether no image_id names different pictures in two zoos, as far as the zoos hold their pictures."""
    seen: dict[str, Tensor] = {}
    for zoo in zoos:
        places, pictures = zoo.pictures() or ({}, torch.empty(0))
        for name, place in places.items():
            if name in seen and not torch.equal(seen[name], pictures[place]):
                return False
            seen[name] = pictures[place]
    return True


def _prefixes(zoos: Sequence[Zoo]) -> list[str]:
    names = [zoo.path.resolve().name for zoo in zoos]
    made = [
        (column, f"{name}-{text}")  # b-1 in the zoo a would be 1 in the zoo a-b
        for zoo, name in zip(zoos, names, strict=True)
        for column in ("id", "image_id")
        if column in zoo.table.columns
        for text in zoo.table[column].unique().to_list()
    ]
    if len(set(names)) < len(names) or len(set(made)) < len(made):
        names = [f"{number}-{name}" for number, name in enumerate(names, 1)]
    return [f"{name}-" for name in names]
