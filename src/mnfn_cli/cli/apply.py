"""The commands that apply a run to networks: one for each task, as ``task_list`` declares them."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnfn_cli.cli.console import Console
from mnfn_cli.cli.job import claim, job, run_plugins
from mnfn_cli.cli.options import (
    A_PICTURE,
    BatchNorm,
    CheckpointsPath,
    CsvOut,
    Device,
    Force,
    Json,
    Layers,
    OnBad,
    Out,
    Plugins,
    Quiet,
    RunPath,
    Split,
    Writes,
    names,
)
from mnfn_cli.cli.table import Table
from mnfn_cli.cli.terminal import is_capable

if TYPE_CHECKING:
    from mnfn_cli.tasks.application import Application


def table_command(task: str) -> Callable[..., None]:
    """Return the command that applies runs of a task, a key of ``TASKS``, and prints or writes a table."""

    def apply(
        run: RunPath,
        checkpoints: CheckpointsPath,
        out: CsvOut = None,
        split: Split = None,
        layers: Layers = None,
        batchnorm: BatchNorm = None,
        on_bad: OnBad = "fail",
        plugin: Plugins = None,
        device: Device = "auto",
        force: Force = False,
        quiet: Quiet = False,
        json: Json = False,
    ) -> None:
        console = Console(quiet=quiet, json=json)
        from mnfn_cli.errors import printable
        from mnfn_cli.storage.outputs import Output
        from mnfn_cli.tasks.application import apply_run
        from mnfn_cli.weightspace.layout import Reading

        run_plugins(console, plugin)
        if out is not None:
            claim([Output(out)], [checkpoints, run], force=force)
        with job(console, device, shared=True) as context:
            applied = apply_run(
                run,
                checkpoints,
                task=task,
                split=split,
                skip_bad=on_bad == "skip",
                reading=Reading(names(layers), batchnorm is not None),
                context=context,
            )
        _note(console, applied)
        if out is not None:
            applied.write_csv(out)
            text = f"{printable(out)}: {len(applied.names)} networks" + f"; {applied.summary}" * bool(applied.summary)
            console.result(_document(out, applied), text)
            return
        if is_capable(sys.stdout):
            console.result(applied.to_rows(), Table(applied.to_rows(), {name: name for name in applied.shown}))
        else:
            console.result(applied.to_rows(), applied.to_csv().rstrip("\n"))
        if applied.summary:
            console.note(applied.summary)

    return apply


def networks_command(task: str) -> Callable[..., None]:
    """Return the command that applies runs of a task, a key of ``TASKS``, and writes new networks."""

    def apply(
        run: RunPath,
        checkpoints: CheckpointsPath,
        out: Annotated[Out, Writes("the changed networks, a zoo or files, as CHECKPOINTS are")],
        picture: Annotated[
            Path | None,
            typer.Option(help="Also draw before, after and target of up to 12 networks, as a PNG."),
            A_PICTURE,
        ] = None,
        split: Split = None,
        layers: Layers = None,
        batchnorm: BatchNorm = None,
        on_bad: OnBad = "fail",
        plugin: Plugins = None,
        device: Device = "auto",
        force: Force = False,
        quiet: Quiet = False,
        json: Json = False,
    ) -> None:
        console = Console(quiet=quiet, json=json)
        from mnfn_cli.errors import printable
        from mnfn_cli.report.pictures import draw_grid
        from mnfn_cli.storage.outputs import Output
        from mnfn_cli.tasks.application import apply_run, written
        from mnfn_cli.weightspace.layout import Reading

        run_plugins(console, plugin)
        drawn = [] if picture is None else [Output(picture)]
        claim([written(checkpoints, out), *drawn], [checkpoints, run], force=force)
        with job(console, device, shared=True) as context:
            applied = apply_run(
                run,
                checkpoints,
                task=task,
                split=split,
                skip_bad=on_bad == "skip",
                reading=Reading(names(layers), batchnorm is not None),
                output=out,
                force=force,
                context=context,
            )
        _note(console, applied)
        if picture is not None:
            draw_grid(applied.pictures, picture)
        text = f"{printable(out)}: {len(applied.names)} networks, {applied.summary}"
        console.result(_document(out, applied) | {"networks": applied.to_rows()}, text)

    return apply


def _note(console: Console, applied: "Application") -> None:
    for fault in applied.skipped:
        console.note(f"skipped {fault}")
    for remark in applied.remarks:
        console.note(remark)


def _document(out: Path, applied: "Application") -> dict[str, Any]:
    figures = {name: metric.to_json() for name, metric in applied.figures.items()}
    return {
        "output": str(out),
        "networks": len(applied.names),
        **applied.facts,
        "known": applied.known,
        **figures,
        "skipped": list(map(str, applied.skipped)),
    }
