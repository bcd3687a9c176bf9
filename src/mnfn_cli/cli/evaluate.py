"""mnfn evaluate: how a run's predictions stand when its test networks are rescaled."""

from pathlib import Path
from typing import Annotated

import typer

from mnfn_cli.cli.console import Console, table
from mnfn_cli.cli.options import Device, Force, Json, Out, Quiet, RunPath, Seed, examples

EXAMPLES = examples("mnfn evaluate runs/relu --scales 1,10,1e2,1e3,1e4 -o runs/relu-robustness")


def evaluate(
    run: RunPath,
    out: Out,
    scales: Annotated[str, typer.Option(help="The x of U[1, x], with commas between.")] = "1,10,1e2,1e3,1e4",
    zoo: Annotated[list[Path] | None, typer.Option(help="Where the run's zoo is now, if it moved.")] = None,
    precision: Annotated[str, typer.Option(help="fp32 or fp64.")] = "fp32",
    seed: Seed = 0,
    device: Device = "auto",
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Score a run on its test networks, original and acted on by random group elements."""
    console = Console(quiet=quiet, json=json)
    from mnfn_cli.cli.options import choice
    from mnfn_cli.report.evaluation import write_evaluation
    from mnfn_cli.runtime.device import resolve_device
    from mnfn_cli.storage.folders import check_output
    from mnfn_cli.tasks.evaluation import evaluate_run, parse_scales
    from mnfn_cli.tasks.run import load_run

    chosen = resolve_device(device)
    limits = parse_scales(scales)
    check_output(out, force, inputs=(run,))
    loaded = load_run(run, "generalization").to(device=chosen)
    if choice("--precision", precision, ("fp32", "fp64")) == "fp64":
        loaded.model.double()
    evaluation = evaluate_run(loaded, limits, zoos=zoo or None, seed=seed, progress=console.progress())
    write_evaluation(evaluation, out, force=force)
    rows = [[row.networks, row.tau, row.low, row.high, row.largest_change] for row in evaluation.rows]
    header = ["test networks", "tau", "low 95 %", "high 95 %", "largest change"]
    console.result(evaluation.to_json(), f"{out}: {evaluation.count} test networks\n{table(header, rows)}")
