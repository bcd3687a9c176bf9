"""Divide the validation networks: one part chooses the best model, the other one calibrates and chooses nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from mnfn_cli.runtime.seeds import generator
from mnfn_cli.tasks.data import Skipped, Split, rows_of_split
from mnfn_cli.tasks.intervals import LEVEL, fewest
from mnfn_cli.zoo.splits import join_groups
from mnfn_cli.zoo.store import Zoo


@dataclass(frozen=True)
class Division:
    """The two parts of the validation networks.

    Args:
        selection: the networks that choose the best model.
        calibration: the networks that calibrate, one of each family; None if there are none.
        remarks: sentences that the user should read.
    """

    selection: Split
    calibration: Split | None = None
    remarks: Sequence[str] = ()


def divide(validation: Split, families: Sequence[int], share: float, seed: int) -> Division:
    """Divide validation networks by families, at random.

    Copies of one network make nearly the same error, so they count as one: a family chooses the model or calibrates
    with one of its networks, which is drawn at random. The calibrating networks are then exchangeable with one of a new
    family.

    Args:
        validation: the validation networks.
        families: the number of the family of each, from 0 without gaps (``families_of``).
        share: the fraction of the families that calibrate; 0 for none.
        seed: the seed of the draw.

    Returns:
        the parts. If fewer families would calibrate than an interval needs, none do, and a remark says so.
    """
    count = max(families, default=-1) + 1
    calibrating = round(share * count)
    if share == 0:
        return Division(validation)
    if calibrating < fewest() or count - calibrating < 2:
        return Division(
            validation,
            remarks=(
                f"{calibrating} of {count} validation networks would calibrate intervals of {LEVEL:.0%}; at least "
                f"{fewest()}, and 2 to choose the model, are needed, so there are no intervals",
            ),
        )
    random = generator(seed, "calibration")
    chosen = set(torch.randperm(count, generator=random)[:calibrating].tolist())
    others = [row for row, family in enumerate(families) if family not in chosen]
    calibrate = [row for row in one_of_each(families, seed) if families[row] in chosen]
    return Division(validation.select(others), validation.select(calibrate))


def one_of_each(families: Sequence[int], seed: int) -> list[int]:
    """Return the position of one network of each family, drawn at random, in ascending order."""
    drawn: dict[int, int] = {}
    for row in torch.randperm(len(families), generator=generator(seed, "one of each family")).tolist():
        drawn.setdefault(families[row], row)
    return sorted(drawn.values())


def families_of(zoos: Sequence[Zoo], name: str, skipped: Skipped) -> list[int]:
    """Return the number of the family of each network of a split, in the order of ``load_split``.

    A family is a network with its copies (``source_id``), and all networks of one picture (``image_id``). A name that
    stands in several of the zoos is taken for one network or picture, as it is where one zoo holds copies of another's.
    """
    first: dict[tuple[str, str], int] = {}
    links: list[tuple[int, int]] = []
    count = 0
    for zoo in zoos:
        kept = zoo.table[rows_of_split(zoo, name, skipped)]
        for column, kind in (("id", "network"), ("source_id", "network"), ("image_id", "picture")):
            if column not in kept.columns:
                continue
            for row, value in enumerate(kept[column].to_list()):
                if value is not None:
                    links.append((first.setdefault((kind, str(value)), count + row), count + row))
        count += kept.height
    return join_groups(count, [(a, b) for a, b in links if a != b])
