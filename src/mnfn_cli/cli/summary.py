"""Print a summary of a zoo, and its twins."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mnfn_cli.cli.console import Console
from mnfn_cli.cli.table import Table

if TYPE_CHECKING:
    from mnfn_cli.zoo.store import Zoo
    from mnfn_cli.zoo.twins import Twins


def show_zoo(console: Console, zoo: "Zoo") -> None:
    """Print the number and kind of a zoo's networks, their splits, and their accuracies or PSNR."""
    splits = {name: len(zoo.rows(name)) for name in ("train", "val", "test")}
    document: dict[str, Any] = {
        "zoo": str(zoo.path),
        "networks": len(zoo),
        "spec": zoo.spec.to_json(),
        "group": zoo.spec.group,
        "splits": splits,
        "fingerprint": zoo.fingerprint,
        "columns": zoo.table.columns,
        "made": zoo.record.made.to_json(),
    }
    parts: list[str | Table] = [
        f"{zoo.path}: {len(zoo)} networks {zoo.spec}; {zoo.spec.num_parameters} numbers each, {zoo.spec.group} group",
        "splits: " + ", ".join(f"{name} {count}" for name, count in splits.items()),
    ]
    if "test_accuracy" in zoo.table.columns and len(zoo):
        accuracy = zoo.table["test_accuracy"].cast(float)
        deciles = [int(((accuracy >= k / 10) & (accuracy < (k + 1) / 10 + (k == 9))).sum()) for k in range(10)]
        document["test_accuracy"] = {
            "quantiles": {f"{q:g}": accuracy.quantile(q) for q in (0.1, 0.25, 0.5, 0.75, 0.9)},
            "tenths": deciles,
        }
        bars = [
            {"accuracy": f"{k / 10:.1f}-{(k + 1) / 10:.1f}", "networks": n, "": "#" * round(40 * n / len(zoo))}
            for k, n in enumerate(deciles)
        ]
        parts.append(Table(bars))
    if "psnr" in zoo.table.columns and len(zoo):
        quantiles = {f"{q:g}": zoo.table["psnr"].cast(float).quantile(q) for q in (0.1, 0.25, 0.5, 0.75, 0.9)}
        document["psnr"] = {"quantiles": quantiles}
        parts.append("PSNR in dB: " + ", ".join(f"{q} quantile {value:.1f}" for q, value in quantiles.items()))
    console.result(document, *parts)


def show_twins(console: Console, twins: Sequence["Twins"], document: Mapping[str, Any], text: str) -> None:
    """Print the twins of a zoo, leaks first. Copies that say so and share a split are only counted.

    Args:
        console: where to print.
        twins: all pairs of twins.
        document: what else the JSON document holds.
        text: the line above the twins.
    """
    leaks = sum(pair.leak for pair in twins)
    expected = sum(pair.expected for pair in twins)
    shown = [pair for pair in twins if not pair.expected]
    lines = []
    if leaks:
        what = "this is a LEAK" if leaks == 1 else "these are LEAKS"
        lines.append(f"{_pairs(leaks)} across splits: {what}, what is learned from one network is tested on its twin")
    lines.append(text)
    if not twins:
        lines.append("no two networks are the same up to the group")
    if len(shown) > leaks:
        lines.append(f"{_pairs(len(shown) - leaks)} of twins within a split, without a source_id that says so")
    if expected:
        lines.append(f"{_pairs(expected)} of copies within a split, as their source_id says")
    rows = [
        {
            "network": pair.ids[0],
            "split": pair.splits[0],
            "twin": pair.ids[1],
            "its split": pair.splits[1],
            "distance": pair.distance,
            "leak": "LEAK" if pair.leak else "no",
        }
        for pair in shown
    ]
    found = {"leaks": leaks, "expected": expected, "twins": [pair.to_json() for pair in twins]}
    if console.json and leaks:
        console.note(lines[0])
    console.result({**document, **found}, *lines, *([Table(rows)] if rows else []))


def _pairs(count: int) -> str:
    return f"{count} pair{'s' * (count != 1)}"
