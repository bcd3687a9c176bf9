"""mnfn zoo split, merge and filter: make a new zoo from the networks of others."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mnfn_cli.cli.console import Console
from mnfn_cli.cli.import_values import read_fractions
from mnfn_cli.cli.job import claim, job
from mnfn_cli.cli.options import A_ZOO, Force, Json, Out, Quiet, Seed, ZooPath

if TYPE_CHECKING:
    from mnfn_cli.runtime.context import Context
    from mnfn_cli.zoo.plan import Plan


def split(
    zoo: ZooPath,
    fractions: Annotated[
        str,
        typer.Argument(
            metavar="TRAIN/VAL/TEST", help="The percentages of the three splits, such as 70/10/20.", show_default=False
        ),
    ],
    out: Annotated[Out, A_ZOO],
    seed: Seed = 0,
    no_twins: Annotated[
        bool, typer.Option("--no-twins", help="Do not search for twins, which takes a while in a large zoo.")
    ] = False,
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Copy a zoo and draw the splits of its networks anew.

    Copies of one network, twins, and networks that encode one picture stay in one split.
    """
    from mnfn_cli.zoo.selection import plan_split
    from mnfn_cli.zoo.store import open_zoo
    from mnfn_cli.zoo.twins import find_twins

    shares = read_fractions("TRAIN/VAL/TEST", fractions)

    def plan(context: "Context") -> "Plan":
        source = open_zoo(zoo)
        twins = [] if no_twins else find_twins(source, context)
        return plan_split(source, shares, seed, [pair.ids for pair in twins])

    _write([zoo], out, plan, force, Console(quiet=quiet, json=json))


def merge(
    zoos: Annotated[list[Path], typer.Argument(metavar="ZOO...", help="Two zoos or more.", show_default=False)],
    out: Annotated[Out, A_ZOO],
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Put the networks of several zoos into a new one, which may hold several weight spaces.

    Ids that two zoos share get the name of their zoo in front.
    """
    from mnfn_cli.zoo.selection import plan_merge
    from mnfn_cli.zoo.store import open_zoo

    _write(
        zoos,
        out,
        lambda context: plan_merge([open_zoo(zoo) for zoo in zoos]),
        force,
        Console(quiet=quiet, json=json),
    )


def select(
    zoo: ZooPath,
    condition: Annotated[
        str,
        typer.Argument(
            metavar="CONDITION",
            help="An SQL expression over the columns of the table, such as 'test_accuracy > 0.5'.",
            show_default=False,
        ),
    ],
    out: Annotated[Out, A_ZOO],
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Put the networks whose row in the table fulfils a condition into a new zoo."""
    from mnfn_cli.zoo.selection import plan_filter
    from mnfn_cli.zoo.store import open_zoo

    _write([zoo], out, lambda context: plan_filter(open_zoo(zoo), condition), force, Console(quiet=quiet, json=json))


COMMANDS: dict[str, tuple[Callable[..., None], tuple[str, ...]]] = {
    "split": (split, ("mnfn zoo split zoos/mine 70/10/20 -o zoos/mine-split --seed 1",)),
    "merge": (merge, ("mnfn zoo merge zoos/digits-relu zoos/digits-tanh -o zoos/both",)),
    "filter": (select, ("mnfn zoo filter zoos/digits-relu 'test_accuracy > 0.5' -o zoos/good",)),
}
"""The commands by name, each with its examples."""


def _write(zoos: Sequence[Path], out: Path, plan: "Callable[[Context], Plan]", force: bool, console: Console) -> None:
    from mnfn_cli.storage.outputs import Output
    from mnfn_cli.zoo.contents import ZOO
    from mnfn_cli.zoo.plan import write_plan

    claim([Output(out, ZOO, continues=True)], zoos, force=force)
    with job(console) as context:
        planned = plan(context)
        for note in planned.notes:
            console.note(note)
        zoo = write_plan(planned, out, force=force, context=context)
    splits = {name: len(zoo.rows(name)) for name in ("train", "val", "test")}
    text = ", ".join(f"{name} {count}" for name, count in splits.items())
    console.result(
        {"zoo": str(out), "networks": len(zoo), "spaces": len(zoo.spaces), "splits": splits},
        f"{out}: {len(zoo)} networks" + f" of {len(zoo.spaces)} weight spaces" * (len(zoo.spaces) > 1) + f"; {text}",
    )
