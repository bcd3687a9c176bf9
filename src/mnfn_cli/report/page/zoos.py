"""The section of a zoo: its numbers, how it was made, histograms, the pictures of INRs, and its table."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mnfn_cli.report.page.charts import bars, drawable, histogram
from mnfn_cli.report.page.images import picture_table
from mnfn_cli.report.page.markup import Content, Markup
from mnfn_cli.report.page.section import Section, block, details, figure, figures
from mnfn_cli.report.page.tables import ROWS, Whole, data_table, short
from mnfn_cli.report.pictures import renderings
from mnfn_cli.weightspace.spec_checks import is_inr
from mnfn_cli.zoo.store import Zoo
from mnfn_cli.zoo.table import SPLITS

if TYPE_CHECKING:
    import polars as pl

SHOWN = 12
"""The number of INRs whose pictures are shown, evenly spaced in the table."""
MOST_CLASSES = 24
"""The largest number of different texts of a column whose counts are drawn."""
SETTINGS = 24
"""The largest number of settings of ``made`` that are listed."""

_ACCURACY, _QUALITY = "test_accuracy", "psnr"


def zoo_section(zoo: Zoo, name: str) -> Section:
    """Return the section of a zoo.

    Args:
        zoo: the open zoo. Its table is in memory; of its weights only those of the INRs that are drawn are read.
        name: the anchor of the section, with which the names of its charts begin.
    """
    made = block("How it was made", _made(zoo))
    return Section("zoo", zoo.path, _facts(zoo), [_figures(zoo, name), *_pictures(zoo), made, *_tables(zoo)])


def _facts(zoo: Zoo) -> dict[str, str]:
    found = {"networks": f"{len(zoo):,}"}
    counts = {split: len(zoo.rows(split)) for split in SPLITS}
    found["train / val / test"] = " / ".join(f"{count:,}" for count in counts.values())
    sizes = sorted({space.spec.num_parameters for space in zoo.spaces})
    found["numbers each"] = " – ".join(f"{size:,}" for size in dict.fromkeys((sizes[0], sizes[-1])))
    if len(zoo.spaces) > 1:
        found["weight spaces"] = str(len(zoo.spaces))
    found["symmetry"] = ", ".join(dict.fromkeys(space.spec.group for space in zoo.spaces))
    for column, words, unit in ((_ACCURACY, "median test accuracy", ""), (_QUALITY, "median PSNR", " dB")):
        values = numbers_of(zoo.table, column)
        if len(values):
            found[words] = f"{np.median(values):.3f}" if not unit else f"{np.median(values):.1f}{unit}"
    errors = numbers_of(zoo.table, "relative_error")
    if len(errors):
        found["largest change of an output"] = f"{errors.max():.1e}"
    return found


def numbers_of(table: "pl.DataFrame", column: str, split: str | None = None) -> NDArray[np.float64]:
    """Return the finite numbers in a column of a table, of all rows or of a split; none if there is no such column."""
    import polars as pl

    if column not in table.columns:
        return np.empty(0)
    rows = table if split is None else table.filter(pl.col("split") == split)
    values = rows[column].cast(pl.Float64, strict=False).drop_nulls().to_numpy()
    return values[np.isfinite(drawable(values))]


def _made(zoo: Zoo) -> Markup:
    """Return how the networks were made, in the words of zoo.json."""
    record, made = zoo.record, zoo.record.made.to_json()
    spaces = {
        f"weight space {space.name}" if len(zoo.spaces) > 1 else "architecture": space.spec for space in zoo.spaces
    }
    pairs: dict[str, object] = dict(list(spaces.items())[:SETTINGS])
    pairs["made by"] = made.pop("command", None)
    pairs["split"] = record.split_protocol
    pairs["pictures"] = _words(record.images.to_json())
    # Of the zoo that this one comes from, the command says all; long lists and ranges have lines of their own.
    if isinstance(source := made.pop("source_zoo", None), dict):
        pairs["made from"] = source.get("command") or source.get("path")
    rest = {key: value for key, value in made.items() if key not in ("split_protocol", *pairs)}
    short_ones = {key: value for key, value in rest.items() if not isinstance(value, dict) and len(str(value)) < 40}
    pairs["settings"] = _words(short_ones)
    for key in [key for key in rest if key not in short_ones][:SETTINGS]:
        pairs[key.replace("_", " ")] = _words(rest[key])
    size = sum(entry.bytes for entry in record.files.values())
    pairs["on disk"] = f"{len(record.files)} files, {size / 2**20:,.1f} MiB"
    return details({term: short(str(text), 400) if text else None for term, text in pairs.items()})


def _words(value: Any, depth: int = 4) -> str:
    """Return a value of a JSON file in words: the keys and values of an object, the entries of a list, not too deep."""
    if not depth:
        return "…"
    if isinstance(value, dict):
        return ", ".join(
            f"{key.replace('_', ' ')} {_words(entry, depth - 1)}" for key, entry in value.items() if entry is not None
        )
    if isinstance(value, list):
        return ", ".join(_words(entry, depth - 1) for entry in value)
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _figures(zoo: Zoo, name: str) -> Content:
    shown = []
    for column, title, label, bounds in (
        (_ACCURACY, "Test accuracy", "test accuracy", (0.0, 1.0)),
        (_QUALITY, "Quality of the fit", "PSNR, in dB", None),
    ):
        groups = {split: numbers_of(zoo.table, column, split) for split in SPLITS}
        groups = {split: values for split, values in groups.items() if len(values)}
        if groups:
            known = sum(map(len, groups.values()))
            left = f" {len(zoo) - known:,} have none." if known < len(zoo) else ""
            svg = histogram(f"{name}-{column.replace('_', '-')}", groups, label, bounds)
            shown.append(figure(title, svg, f"All {known:,} networks, by split.{left}"))
    if counts := _class_counts(zoo.table):
        shown.append(figure("Classes", bars(f"{name}-classes", counts, "class"), "Networks of each class, by split."))
    return figures(*shown)


def _class_counts(table: "pl.DataFrame") -> Mapping[str, Mapping[str, int]]:
    """Return the number of networks of each class, by split and class; nothing if there are too many classes."""
    from mnfn_cli.weightspace.naming import natural_key

    if "class" not in table.columns or not 1 < table["class"].n_unique() <= MOST_CLASSES:
        return {}
    found: dict[str, dict[str, int]] = {}
    names = sorted(map(str, table["class"].unique().to_list()), key=natural_key)
    for split, one, count in table.group_by("split", "class").len().iter_rows():
        found.setdefault(split, dict.fromkeys(names, 0))[str(one)] = count
    return {split: found[split] for split in SPLITS if split in found}


def _pictures(zoo: Zoo) -> Iterator[Content]:
    for part in zoo.parts:
        if not is_inr(part.spec) or not len(part) or not part.record.fit.get("size"):
            continue
        rows = np.linspace(0, len(part) - 1, min(SHOWN, len(part))).round().astype(int).tolist()
        grids = renderings(part, rows)
        titles = [[short(part.table["id"][row], 14), *_quality(part, row)] for row in rows]
        label = "Pictures" if len(zoo.parts) == 1 else f"Pictures of weight space {part.spaces[0].name}"
        caption = f"{len(rows)} of {len(part):,} networks, evenly spaced in the table, drawn from their weights"
        yield block(label, picture_table(grids, caption, titles))


def _quality(zoo: Zoo, row: int) -> list[Content]:
    from mnfn_cli.report.page.markup import element

    if _QUALITY not in zoo.table.columns or not isinstance(value := zoo.table[_QUALITY][row], float):
        return []
    return [element("small", f"{value:.1f} dB")]


def _tables(zoo: Zoo) -> Iterator[Content]:
    import polars as pl

    table, file = zoo.table, zoo.path / "table.csv"
    summary = []
    for column in table.columns:
        series = table[column]
        entry: dict[str, Any] = {"column": column, "missing": series.null_count(), "distinct": series.n_unique()}
        if series.dtype.is_numeric():
            quartiles = [series.cast(pl.Float64).quantile(share) for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
            entry |= dict(zip(("least", "quarter", "median", "three quarters", "largest"), quartiles, strict=True))
        summary.append({key: entry.get(key) for key in _SUMMARY})
    formats = dict.fromkeys(_SUMMARY, ".4g")
    folder = data_table(summary, _SUMMARY, "Columns", formats=formats, whole=Whole(file, len(summary), len(_SUMMARY)))
    yield block("What is known of the networks", folder)
    rows = table.head(ROWS).to_dicts()
    columns = {column: column for column in table.columns}
    yield block("Networks", data_table(rows, columns, "Networks", whole=Whole(file, table.height, len(columns))))


_SUMMARY = {
    name: name for name in ("column", "missing", "distinct", "least", "quarter", "median", "three quarters", "largest")
}
