"""mnfn train: train a recipe's model on zoos, or resume a run."""

from collections.abc import Mapping
from functools import partial
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mnfn_cli.cli.completion import recipes
from mnfn_cli.cli.console import Console
from mnfn_cli.cli.job import claim, job, recipe_files, run_plugins
from mnfn_cli.cli.options import A_RUN, ON_BAD_HELP, Device, Force, Json, Log, Overrides, Plugins, Quiet, Zoos, examples
from mnfn_cli.cli.table import Table

if TYPE_CHECKING:
    from mnfn_cli.tasks.metrics import Metric

EXAMPLES = examples(
    "mnfn train --recipe generalization/relu-monomial --zoo zoos/digits-relu -o runs/relu",
    "mnfn train --recipe generalization/relu-monomial --zoo zoos/digits-relu -o runs/short training.epochs=5",
    "mnfn train --recipe generalization/relu-monomial --zoo zoos/digits-relu --label dropout -o runs/dropout",
    "mnfn train --resume runs/relu",
    "torchrun --nproc-per-node 8 -m mnfn_cli train --recipe generalization/relu-monomial --zoo zoos/digits-relu "
    "-o runs/relu --resume-or-start",
)


def train(
    overrides: Overrides = None,
    recipe: Annotated[
        str | None,
        typer.Option(help="Train this recipe: one that comes with mnfn, or a YAML file.", autocompletion=recipes),
    ] = None,
    zoo: Zoos = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the run into this new folder."), A_RUN] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Continue this interrupted run, to the same result.")
    ] = None,
    resume_or_start: Annotated[
        bool,
        typer.Option(
            "--resume-or-start",
            help="Continue the run in --out if there is one, so that the command of a stopped job can be given again.",
        ),
    ] = False,
    label: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Learn this column of the zoos' tables instead of test_accuracy; data.bounds=[0,1] says its range.",
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed the training with this number instead of the recipe's.")
    ] = None,
    precision: Annotated[
        Literal["bf16", "fp32", "fp64"] | None,
        typer.Option(help="Train in this precision: short for training.precision=...", show_default="the recipe's"),
    ] = None,
    on_bad: Annotated[
        Literal["fail", "skip"] | None, typer.Option("--on-bad", help=ON_BAD_HELP, show_default="fail")
    ] = None,
    log: Log = None,
    plugin: Plugins = None,
    device: Device = "auto",
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Train a neural functional on zoos, as a recipe says, and write the folder of the run.

    The folder holds the model, the recipe, figures on the test networks and pictures. An interrupted run continues with
    --resume. Several processes share the work if torchrun or srun starts them.
    """
    console = Console(quiet=quiet, json=json)
    from mnfn_cli.errors import UsageError

    run_plugins(console, plugin)
    if force and resume_or_start:
        raise UsageError("--force", "replaces a run, and --resume-or-start continues it; leave one of them out")
    if resume is not None:
        others = (label, seed, precision, on_bad, log)
        if recipe or zoo or out or overrides or force or resume_or_start or any(x is not None for x in others):
            problem = "a run continues as it began; leave out every other choice but --device and --plugin"
            raise UsageError("--resume", problem)
    elif recipe is None or out is None:
        raise UsageError("mnfn train", "needs --recipe and --out, or --resume")
    from mnfn_cli.report.card import present_run
    from mnfn_cli.storage.outputs import Output
    from mnfn_cli.tasks.training import resolve_recipe, resume_run, train_or_resume, train_run
    from mnfn_cli.training.run_folder import RUN

    with job(console, device, shared=True, tensorboard=log is not None) as context:
        console.note(f"device: {context.device}")
        if resume is not None:
            run, result = resume, resume_run(resume, context=context, illustrate=present_run)
        else:
            assert recipe is not None and out is not None
            resolved = resolve_recipe(recipe, _chosen(overrides or [], label, precision), zoo or [], seed)
            run = out
            output = Output(out, RUN, in_place=resume_or_start)
            claim([output], [*recipe_files([recipe]), *resolved.data.zoo], force=force)
            train = train_or_resume if resume_or_start else partial(train_run, force=force)
            result = train(resolved, out, skip_bad=on_bad == "skip", context=context, illustrate=present_run)
    tables = [Table(_rows(result.test), title=f"{run}: {result.parameters:,} parameters")]
    for within in result.by_weight_space:
        tables.append(Table(_rows(within.test), title=f"{within.networks} networks {within.spec}"))
    console.result({"run": str(run)} | result.to_json(), *tables)


def _rows(figures: "Mapping[str, Metric]") -> list[dict[str, float | str | None]]:
    return [
        {"test": name, "value": metric.value, "low 95 %": metric.interval[0], "high 95 %": metric.interval[1]}
        for name, metric in figures.items()
    ]


def _chosen(overrides: list[str], label: str | None, precision: str | None) -> list[str]:
    """Return overrides with those that options stand for."""
    found = overrides if label is None else [*overrides, f"data.label={dumps(label)}"]
    return found if precision is None else [*found, f"training.precision={precision}"]
