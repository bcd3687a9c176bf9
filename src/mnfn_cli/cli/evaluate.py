"""mnfn evaluate: how runs' predictions stand when their test networks are rescaled."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from mnfn_cli.cli.console import Console
from mnfn_cli.cli.options import Device, Force, Json, Out, Quiet, RunPaths, Seed, command_line, examples
from mnfn_cli.cli.table import Table

EXAMPLES = examples(
    "mnfn evaluate runs/relu --scales 1,10,1e2,1e3,1e4 -o runs/relu-robustness",
    "mnfn evaluate runs/relu runs/hnp --scales 10,0.1:10 --no-permute -o comparison",
)


def evaluate(
    runs: RunPaths,
    out: Out,
    scales: Annotated[
        str, typer.Option(help="The x of U[1, x], or ranges low:high, with commas between.")
    ] = "1,10,1e2,1e3,1e4",
    permute: Annotated[bool, typer.Option("--permute/--no-permute", help="Also permute hidden neurons.")] = True,
    zoo: Annotated[list[Path] | None, typer.Option(help="Where the runs' zoo is now, if it moved.")] = None,
    precision: Annotated[
        Literal["fp32", "fp64"], typer.Option(help="Compute in numbers of 32 or of 64 bits.")
    ] = "fp32",
    seed: Seed = 0,
    device: Device = "auto",
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Score runs on their test networks, original and acted on by random group elements, the same for all."""
    console = Console(quiet=quiet, json=json)
    import torch

    from mnfn_cli.report.evaluation import to_document, write_evaluation
    from mnfn_cli.runtime.device import resolve_device
    from mnfn_cli.storage.folders import check_output
    from mnfn_cli.tasks.evaluation import evaluate_runs, parse_scales
    from mnfn_cli.tasks.run import load_runs

    chosen = resolve_device(device)
    ranges = parse_scales(scales)
    dtype = {"fp32": None, "fp64": torch.float64}[precision]
    check_output(out, force, inputs=tuple(runs))
    loaded = [run.to(device=chosen, dtype=dtype) for run in load_runs(runs, "generalization")]
    evaluation = evaluate_runs(
        loaded, ranges, zoos=zoo or None, permute=permute, seed=seed, progress=console.progress()
    )
    write_evaluation(evaluation, out, command=command_line(), force=force)
    document = to_document(evaluation)
    columns = {"networks": "test networks", "tau": "tau", "low": "low 95 %", "high": "high 95 %"}
    columns["largest_change"] = "largest change"
    if len(runs) > 1:
        columns = {"run": "run", "model": "model", **columns}
    if any(row["published_tau"] is not None for row in document["rows"]):
        columns["published_tau"] = f"published ({document['published_on']})"
    console.result(document, Table(document["rows"], columns, f"{out}: {evaluation.count} test networks"))
