"""mnfn evaluate: score runs before and after the weights of their test networks are changed."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from mnfn_cli.cli.console import Console
from mnfn_cli.cli.job import claim, job, run_plugins
from mnfn_cli.cli.options import Device, Force, Json, Out, Plugins, Quiet, RunPaths, Seed, Writes, examples
from mnfn_cli.cli.table import Table

EXAMPLES = examples(
    "mnfn evaluate runs/relu --scales 1,10,1e2,1e3,1e4 -o runs/relu-robustness",
    "mnfn evaluate runs/relu runs/hnp --scales 10,0.1:10 --no-permute -o comparison",
    "mnfn evaluate runs/digits-monomial --shifts 1,3 -o runs/digits-monomial-shifted",
)


ACTED_ON = {
    "scale": "U[1, x] means that every hidden neuron is scaled by a random factor between 1 and x, and its outgoing "
    "weights by one over that factor: other weights, the same function",
    "sign": "sign flips negate the weights into and out of random hidden neurons: other weights, the same function",
    "permutation": "permuted means that hidden neurons are in a random order: other weights, the same function",
}

SHIFTED = (
    "shifts up to K add k pi / omega to the biases of a SIREN's hidden neurons, with random whole numbers k from -K to "
    "K, and negate the weights that read a neuron with an odd k: other weights, the same function"
)


def evaluate(
    runs: RunPaths,
    out: Annotated[Out, Writes("an evaluation", "an-evaluation")],
    scales: Annotated[
        str,
        typer.Option(
            help="Draw factors from these ranges: x stands for 1 to x, and low:high for itself, with uniform "
            "logarithms as log:low:high."
        ),
    ] = "1,10,1e2,1e3,1e4",
    permute: Annotated[
        bool, typer.Option("--permute/--no-permute", help="Also put hidden neurons into a random order.")
    ] = True,
    shifts: Annotated[
        str,
        typer.Option(
            help="For SIRENs, also shift biases by up to so many times pi / omega: for example 1,3.", metavar="K,..."
        ),
    ] = "",
    zoo: Annotated[list[Path] | None, typer.Option(help="Say where the zoo of the runs is now, if it moved.")] = None,
    precision: Annotated[
        Literal["fp32", "fp64"], typer.Option(help="Compute in numbers of 32 or of 64 bits.")
    ] = "fp32",
    seed: Seed = 0,
    plugin: Plugins = None,
    device: Device = "auto",
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Measure runs of one task on their test networks, before and after a change of the networks' weights.

    The change leaves what the networks compute as it is, and is the same for all runs on the same zoos. The result is,
    for predicted accuracies, tau, Kendall's rank correlation of predicted and true accuracies: 1 means that the
    predictions rank the networks as the truth does, 0 that they know nothing of it. U[1, x] means that every hidden
    neuron is scaled by a random factor between 1 and x. For classes the result is their accuracy, for edits the mean
    squared error of the pictures. Runs that differ only in their seed are also averaged.
    """
    console = Console(quiet=quiet, json=json)
    import torch

    from mnfn_cli.report.evaluation import EVALUATION, to_document, write_evaluation
    from mnfn_cli.storage.outputs import Output
    from mnfn_cli.tasks.condition import parse_scales, parse_shifts
    from mnfn_cli.tasks.evaluation import evaluate_runs
    from mnfn_cli.tasks.finished_run import load_runs
    from mnfn_cli.tasks.task import task_class
    from mnfn_cli.training.run_folder import zoos_of

    run_plugins(console, plugin)
    ranges, turns = parse_scales(scales), parse_shifts(shifts)
    dtype = {"fp32": None, "fp64": torch.float64}[precision]
    claim([Output(out, EVALUATION)], [*runs, *(zoo or zoos_of(runs))], force=force)
    with job(console, device, shared=True) as context:
        loaded = [run.to(device=context.device, dtype=dtype) for run in load_runs(runs)]
        for remark in (remark for run in loaded for remark in run.remarks):
            console.note(remark)
        evaluation = evaluate_runs(
            loaded, ranges, zoos=zoo or None, permute=permute, shifts=turns, seed=seed, context=context
        )
    write_evaluation(evaluation, out, command=context.command, force=force)
    document = to_document(evaluation)
    figure, task = evaluation.figure, task_class(evaluation.task)
    columns = {"networks": "test networks", figure: figure, "low": "low 95 %", "high": "high 95 %"}
    shown = {"coverage": "coverage", "flagged": "flagged", "largest_change": "largest change"}
    shown |= {"reordered_pairs": "pairs reordered", "reordered_apart": "at most apart", "reads": "reads"}
    columns |= {name: title for name, title in shown.items() if any(name in row for row in document["rows"])}
    if len(runs) > 1:
        columns = {"run": "run", "model": "model", **columns}
    title = f"{out}: {evaluation.count} test networks (split: {evaluation.split_protocol})"
    tables = [Table(document["rows"], columns, title)]
    if document["means"]:
        columns = {"model": "model", "zoos": "zoos", "networks": "test networks", "seeds": "seeds", figure: figure}
        columns |= {f"{figure}_sd": "standard deviation", "largest_change": "largest change"}
        tables.append(Table(document["means"], columns, "Means over seeds"))
    within = [
        {"run": row.run, "networks": row.condition.label, "spec": str(figures.spec), "count": figures.networks}
        | {figure: figures.test[figure].value}
        for row in evaluation.rows
        for figures in row.by_weight_space
    ]
    if within:
        columns = {"networks": "test networks", "spec": "weight space", "count": "networks", figure: figure}
        tables.append(
            Table(within, ({"run": "run"} | columns) if len(runs) > 1 else columns, "Within each weight space")
        )
    if document["published"]:
        title = f"Published, and measured on {document['published'][0]['data_set']}"
        columns = {"model": "model", "trained_on": "trained on", "networks": "test networks", "tau": "tau"}
        tables.append(Table(document["published"], columns, title, {"tau": ".3f"}))
    console.note(task.meaning)
    for group in evaluation.group.split(" and "):
        console.note(ACTED_ON[group])
    if any(turns):
        console.note(SHIFTED)
    console.note(f"largest change is that of a {task.seen}, against the original networks")
    if any("reordered_pairs" in row for row in document["rows"]):
        console.note("pairs reordered are pairs of networks that are ranked otherwise than the original networks")
    console.result(document, *tables)
