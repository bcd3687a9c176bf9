"""mnfn sweep: train several recipes with several seeds."""

from pathlib import Path
from typing import Annotated

import typer

from mnfn_cli.cli.completion import recipes
from mnfn_cli.cli.console import Console
from mnfn_cli.cli.job import claim, job, recipe_files, run_plugins
from mnfn_cli.cli.options import Device, Json, Log, Overrides, Plugins, Quiet, Writes, Zoos, examples

EXAMPLES = examples(
    "mnfn sweep --recipe generalization/relu-monomial --recipe generalization/relu-hnp --zoo zoos/digits-relu "
    "--seeds 0,1,2 -o sweeps/relu training.epochs=25",
    'mnfn sweep --recipe generalization/relu-monomial --vary "model.channels=[5]" --vary "model.channels=[16,5]" '
    "--zoo zoos/digits-relu -o sweeps/ablation",
    'mnfn sweep --recipe "generalization/relu-np;data.zoo=[zoos/digits-relu]" '
    '--recipe "generalization/tanh-np;data.zoo=[zoos/digits-tanh]" -o sweeps/both',
)


def sweep(
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="Write the runs and their table into this folder."),
        Writes("a sweep: its runs and their table", "a-sweep"),
    ],
    overrides: Overrides = None,
    recipe: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RECIPE[;KEY=VALUE...]",
            help="Train this recipe, changed by values of its own; give the option again for more recipes.",
            autocompletion=recipes,
        ),
    ] = None,
    vary: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE[;...]",
            help="Train every recipe also with these values; give the option again for more variants.",
        ),
    ] = None,
    seeds: Annotated[str, typer.Option(help="Train with each of these seeds, with commas between.")] = "0",
    zoo: Zoos = None,
    log: Log = None,
    plugin: Plugins = None,
    device: Device = "auto",
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Train recipes over several seeds, and tabulate the mean and the standard deviation of every test figure.

    An interrupted sweep continues when the same command is given again. Runs that are finished are not trained again.
    Several processes, started by torchrun or srun, take whole runs.
    """
    console = Console(quiet=quiet, json=json)
    from mnfn_cli.errors import UsageError
    from mnfn_cli.report.card import present_run
    from mnfn_cli.storage.outputs import Output
    from mnfn_cli.tasks.sweep import SWEEP, plan_sweep, run_sweep

    run_plugins(console, plugin)
    if not recipe:
        raise UsageError("mnfn sweep", "needs --recipe, once or more")
    numbers = [number.strip() for number in seeds.split(",")]
    if not all(number.isascii() and number.isdigit() for number in numbers):
        raise UsageError("--seeds", f"'{seeds}'; write whole numbers with commas between, such as 0,1,2")
    trials = plan_sweep(
        recipe,
        [int(number) for number in numbers],
        variants=[variant.split(";") for variant in vary] if vary else [()],
        overrides=overrides or [],
        zoos=zoo or [],
    )
    zoos = [given for trial in trials for given in trial.resolved.data.zoo]
    claim([Output(out, SWEEP, in_place=True)], [*recipe_files(trial.recipe for trial in trials), *zoos])
    with job(console, device, shared=True, tensorboard=log is not None) as context:
        rows = run_sweep(trials, out, context=context, illustrate=present_run)
    console.table(rows)
