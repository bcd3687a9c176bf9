"""mnfn explain: what carried a run's prediction about one network."""

from pathlib import Path
from typing import Annotated

import typer

from mnfn_cli.cli.console import Console
from mnfn_cli.cli.job import claim, job, run_plugins
from mnfn_cli.cli.options import (
    A_PICTURE,
    BatchNorm,
    Device,
    Force,
    Json,
    Layers,
    Out,
    Plugins,
    Quiet,
    RunPath,
    Seed,
    examples,
    names,
)
from mnfn_cli.cli.table import Table

EXAMPLES = examples(
    "mnfn explain runs/relu net.safetensors -o picture.png",
    "mnfn explain runs/relu zoos/digits-relu --network 00012 -o picture.png --json",
)
MOST = 10


def explain(
    run: RunPath,
    checkpoint: Annotated[
        Path,
        typer.Argument(
            metavar="CHECKPOINT",
            help="The network: one .safetensors, .pt or .pth file, or with --network a folder of such files or a zoo.",
            show_default=False,
        ),
    ],
    out: Annotated[Out, A_PICTURE],
    network: Annotated[str | None, typer.Option(help="Take the network of this name from a folder or a zoo.")] = None,
    layers: Layers = None,
    batchnorm: BatchNorm = None,
    seed: Seed = 0,
    plugin: Plugins = None,
    device: Device = "auto",
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Draw what carried a prediction about a network: its layers, and the inputs that the functional has learned.

    A layer counts by how far the prediction moves when each of its numbers is shaken by 10 %, which no rescaling of
    neurons changes. A functional that has learned inputs is shown with the answers that it expects and with those of
    this network.
    """
    console = Console(quiet=quiet, json=json)
    from mnfn_cli.errors import printable
    from mnfn_cli.report.explanation import plot_explanation
    from mnfn_cli.storage.outputs import Output
    from mnfn_cli.tasks import explanation
    from mnfn_cli.weightspace.layout import Reading

    run_plugins(console, plugin)
    claim([Output(out)], [checkpoint, run], force=force)
    with job(console, device) as context:
        found = explanation.explain(
            run,
            checkpoint,
            network=network,
            reading=Reading(names(layers), batchnorm is not None),
            seed=seed,
            context=context,
        )
    for remark in found.remarks:
        console.note(remark)
    plot_explanation(found).save(out)
    document = found.to_json()
    shown = [name for name in ("network", "prediction", "low", "high", "unlike") if name in document]
    tables = [
        Table([{name: document[name] for name in shown}], title=printable(out)),
        Table(document["layers"], {"layer": "layer", "weights": "weights move it by", "biases": "biases move it by"}),
    ]
    if "inputs" in document:
        rows = [
            {**entry, "class": entry["answer"].index(max(entry["answer"])), "expected": max(entry["answer"])}
            for entry in document["inputs"][:MOST]
        ]
        rows = [{**row, "given": row["response"][row["class"]]} for row in rows]
        columns = {"input": "learned input", "weight": "weight", "class": "class", "expected": "expected"}
        columns |= {"given": "given", "agreement": "agreement"}
        tables.append(Table(rows, columns, f"The {len(rows)} heaviest of {len(document['inputs'])} learned inputs"))
    console.result({"output": str(out), "run": str(run)} | document, *tables)
