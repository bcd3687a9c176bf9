"""mnfn train: a recipe and a zoo in, a run folder out."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mnfn_cli.cli.completion import recipes
from mnfn_cli.cli.console import Console
from mnfn_cli.cli.options import Device, Force, Json, OnBad, Overrides, Quiet, command_line, examples, skips
from mnfn_cli.cli.table import Table

EXAMPLES = examples(
    "mnfn train --recipe generalization/relu-monomial --zoo zoos/digits-relu -o runs/relu",
    "mnfn train --recipe generalization/relu-monomial --zoo zoos/digits-relu -o runs/short training.epochs=5",
    "mnfn train --resume runs/relu",
)


def train(
    overrides: Overrides = None,
    recipe: Annotated[
        str | None,
        typer.Option(help="The name of a recipe that comes with mnfn, or a YAML file.", autocompletion=recipes),
    ] = None,
    zoo: Annotated[list[Path] | None, typer.Option(help="A zoo; may be given more than once.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The run folder to make.")] = None,
    resume: Annotated[Path | None, typer.Option(metavar="RUN", help="Continue an interrupted run.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="In place of the recipe's training.seed.")] = None,
    on_bad: OnBad = "fail",
    device: Device = "auto",
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Train a neural functional from a recipe; the run folder explains itself."""
    console = Console(quiet=quiet, json=json)
    from mnfn_cli.errors import UsageError

    if resume is not None:
        if recipe or zoo or out or overrides or force or seed is not None:
            raise UsageError("--resume", "a run continues as it began; leave out every other choice but --device")
    elif recipe is None or out is None:
        raise UsageError("mnfn train", "needs --recipe and --out, or --resume")
    from mnfn_cli.report.figures import draw_run
    from mnfn_cli.runtime.device import resolve_device
    from mnfn_cli.runtime.interruption import interruptible
    from mnfn_cli.tasks.training import resume_run, train_run

    chosen = resolve_device(device)
    console.note(f"device: {chosen}")
    with interruptible() as interruption:
        shared: dict[str, Any] = {
            "device": chosen,
            "progress": console.progress(),
            "interruption": interruption,
            "illustrate": draw_run,
        }
        if resume is not None:
            run = resume
            result = resume_run(resume, **shared)
        else:
            assert recipe is not None and out is not None
            run = out
            resolved = _resolve(recipe, overrides or [], zoo or [], seed)
            result = train_run(resolved, out, force=force, skip_bad=skips(on_bad), command=command_line(), **shared)
    rows = [
        {"test": name, "value": entry["value"], "low 95 %": entry["interval"][0], "high 95 %": entry["interval"][1]}
        for name, entry in result["test"].items()
    ]
    table = Table(rows, title=f"{run}: {result['parameters']:,} parameters")
    console.result({"run": str(run)} | result, table)


def _resolve(recipe: str, overrides: list[str], zoos: list[Path], seed: int | None) -> Any:
    from mnfn_cli.recipe import load_recipe

    resolved = load_recipe(recipe, overrides)
    if zoos:
        data = resolved.data.model_copy(update={"zoo": tuple(map(str, zoos))})
        resolved = resolved.model_copy(update={"data": data})
    if seed is not None:
        training = resolved.training.model_copy(update={"seed": seed})
        resolved = resolved.model_copy(update={"training": training})
    return resolved
