"""mnfn export-functional: write a trained functional as a program that torch runs without mnfn."""

from pathlib import Path
from typing import Annotated

import typer

from mnfn_cli.cli.console import Console
from mnfn_cli.cli.job import claim, job, run_plugins
from mnfn_cli.cli.options import Force, Json, Plugins, Quiet, RunPath, examples
from mnfn_cli.cli.table import Table

EXAMPLES = examples(
    "mnfn export-functional runs/relu -o relu.pt2",
    "mnfn export-functional classification/digits-graded -o digits.pt2 --json",
)


def export_functional(
    run: RunPath,
    out: Annotated[
        Path,
        typer.Option("--out", "-o", metavar="FILE.pt2", help="Write the program into this file.", show_default=False),
    ],
    plugin: Plugins = None,
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Write a run's functional as a program of torch.export, which runs on a CPU where mnfn is not installed.

    It takes the raw weights of any number of networks and returns the answers of mnfn predict, classify or edit, to a
    relative 1e-6. The file describes its inputs and outputs (mnfn.json inside it). Tracing takes up to two minutes.
    """
    console = Console(quiet=quiet, json=json)
    from mnfn_cli.errors import printable
    from mnfn_cli.storage.outputs import Output
    from mnfn_cli.tasks import exported

    run_plugins(console, plugin)
    claim([Output(out)], [run], force=force)
    with job(console) as context:
        written = exported.export_functional(run, out, force=force, context=context)
    for remark in written.remarks:
        console.note(remark)
    told = written.metadata
    rows = [
        {
            "tensor": f"{kind}: {tensor['name']}",
            "shape": " x ".join(map(str, tensor["shape"])),
            "dtype": tensor["dtype"],
        }
        for kind in ("inputs", "outputs")
        for tensor in told[kind]
    ]
    console.note(f"{written.bytes:,} bytes; it returns {told['returns']}; largest difference {written.difference:.1e}")
    document = {"output": str(out), "run": str(run), "bytes": written.bytes, "largest_difference": written.difference}
    console.result(document | dict(told), Table(rows, title=printable(out)))
