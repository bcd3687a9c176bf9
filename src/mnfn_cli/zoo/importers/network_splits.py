"""Give each imported network a split: the one that is stated, or a drawn one."""

from collections.abc import Mapping, Sequence

from mnfn_cli.errors import DataError
from mnfn_cli.zoo.splits import SPLIT_FRACTIONS, draw_splits
from mnfn_cli.zoo.table import SPLITS

SPLIT = "split"


def check_splits(values: Sequence[str | None], places: Sequence[str]) -> dict[int, DataError]:
    """Return by their rows errors for texts that are no split.

    Args:
        values: the split that is stated for each network; None where there is none.
        places: the name of each row for errors.
    """
    known = ", ".join(SPLITS)
    return {
        row: DataError(
            f"{place}:{SPLIT}", "has no split" if value is None else f"'{value}' is no split; splits are {known}"
        )
        for row, (value, place) in enumerate(zip(values, places, strict=True))
        if value not in SPLITS
    }


def draw_by_group(
    groups: Sequence[str], seed: int, fractions: Mapping[str, float] | None = None, together: str = ""
) -> tuple[list[str], str]:
    """Draw a split for each network, the same one for all networks of a group.

    Args:
        groups: what each network was learned from, such as its picture or the network of which it is a copy.
        seed: the seed of the draw.
        fractions: the fraction of each split; 70, 10 and 20 % by default.
        together: what is kept together, in words.

    Returns:
        the splits, and how they were drawn in words.
    """
    shares = fractions or SPLIT_FRACTIONS
    each = list(dict.fromkeys(groups))
    drawn = dict(zip(each, draw_splits(len(each), seed, shares), strict=True))
    percent = "/".join(f"{100 * shares[name]:g}" for name in SPLITS)
    kept = "" if len(each) == len(groups) else f", {together} together"
    return [drawn[group] for group in groups], f"drawn {percent} with seed {seed}{kept}"
