"""Print the twins of a zoo."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mnfn_cli.cli.console import Console
from mnfn_cli.cli.table import Table

if TYPE_CHECKING:
    from mnfn_cli.zoo.twins import Twins


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
