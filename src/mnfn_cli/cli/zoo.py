"""mnfn zoo: build, inspect, check, draw and export zoos."""

from dataclasses import asdict
from typing import Annotated, Literal

import typer

from mnfn_cli.cli import build, import_zoo, selection
from mnfn_cli.cli.console import Console
from mnfn_cli.cli.help import App
from mnfn_cli.cli.job import claim, job
from mnfn_cli.cli.options import (
    A_PICTURE,
    CHECKPOINT_FILES,
    Force,
    Json,
    Out,
    Quiet,
    Split,
    ZooPath,
    examples,
    names,
)
from mnfn_cli.cli.summary import show_zoo
from mnfn_cli.cli.twins import show_twins

app = App(help="Build, inspect, check, draw and export zoos: folders of many networks and a table of their properties.")
Ids = Annotated[
    str | None, typer.Option("--ids", help="Take only the networks of these ids, with commas between, such as 3,17.")
]
app.add_typer(build.app, name="build")
app.command("import", epilog=import_zoo.EXAMPLES)(import_zoo.import_zoo)
for name, (command, shown) in selection.COMMANDS.items():
    app.command(name, epilog=examples(*shown))(command)


@app.command("info", epilog=examples("mnfn zoo info zoos/digits-relu"))
def info(zoo: ZooPath, quiet: Quiet = False, json: Json = False) -> None:
    """Print the number and kind of a zoo's networks, their splits, and their accuracies or PSNR.

    No weights are read; `mnfn zoo verify` checks them, and counts very large and very small ones and dead neurons.
    """
    from mnfn_cli.zoo.contents import open_contents

    show_zoo(Console(quiet=quiet, json=json), open_contents(zoo))


@app.command("verify", epilog=examples("mnfn zoo verify zoos/digits-relu", "mnfn zoo verify zoos/mine --twins"))
def verify(
    zoo: ZooPath,
    twins: Annotated[
        bool,
        typer.Option(
            "--twins",
            help="Also find networks that are the same up to permutations and factors of their neurons. "
            "Across splits they are leaks.",
        ),
    ] = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Check that a zoo is complete and undamaged: checksums, shapes, finite weights, and the table."""
    console = Console(quiet=quiet, json=json)
    from mnfn_cli.errors import MnfnError
    from mnfn_cli.zoo.contents import open_contents
    from mnfn_cli.zoo.magnitudes import look_at_magnitudes
    from mnfn_cli.zoo.verification import verify_zoo

    faults = verify_zoo(zoo)
    if faults:
        raise MnfnError.together(faults) if len({type(f) for f in faults}) > 1 else type(faults[0]).together(faults)
    opened = open_contents(zoo)
    unusual = look_at_magnitudes(opened)
    for sentence in unusual.sentences():
        console.note(sentence)
    document = {"zoo": str(zoo), "networks": len(opened), "faults": [], "numbers": asdict(unusual)}
    text = f"{zoo}: {len(opened)} networks, no fault found"
    if not twins:
        console.result(document, text)
        return
    from mnfn_cli.zoo.store import open_zoo
    from mnfn_cli.zoo.twins import find_twins

    with job(console) as context:
        show_twins(console, find_twins(open_zoo(zoo), context), document, text)


@app.command(
    "export",
    epilog=examples(
        "mnfn zoo export zoos/digits-relu -o checkpoints --split test --limit 20",
        "mnfn zoo export zoos/mine -o checkpoints --format state-dict --names original",
    ),
)
def export(
    zoo: ZooPath,
    out: Annotated[Out, CHECKPOINT_FILES],
    split: Split = None,
    ids: Ids = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Write at most this many networks.")] = None,
    format: Annotated[
        Literal["safetensors", "state-dict"],
        typer.Option("--format", help="Write .safetensors files, or .pt files with PyTorch's state dicts."),
    ] = "safetensors",
    names_: Annotated[
        Literal["mnfn", "original"],
        typer.Option("--names", help="Call the tensors layers.0.weight and so on, or as in the files they came from."),
    ] = "mnfn",
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Write each network of a zoo into a file of its own, with its id, architecture and labels inside.

    Files of PyTorch's format hold the tensors alone.
    """
    from mnfn_cli.storage.outputs import Output
    from mnfn_cli.zoo.export import export_zoo
    from mnfn_cli.zoo.single_files import CHECKPOINTS
    from mnfn_cli.zoo.store import open_zoo

    claim([Output(out, CHECKPOINTS)], [zoo], force=force)
    count = export_zoo(
        open_zoo(zoo),
        out,
        split=split,
        ids=names(ids),
        limit=limit,
        suffix=".pt" if format == "state-dict" else ".safetensors",
        original_names=names_ == "original",
        force=force,
    )
    Console(quiet=quiet, json=json).result({"output": str(out), "networks": count}, f"{out}: {count} networks")


@app.command(
    "render",
    epilog=examples(
        "mnfn zoo render zoos/digits-inr -o grid.png",
        "mnfn zoo render zoos/photos-inr -o test.png --split test --limit 24",
    ),
)
def render(
    zoo: ZooPath,
    out: Annotated[Out, A_PICTURE],
    split: Split = None,
    ids: Ids = None,
    limit: Annotated[int, typer.Option(min=1, help="Draw at most this many networks.")] = 12,
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Draw the pictures that implicit neural representations encode, below the original ones, into a PNG file."""
    from mnfn_cli.report.pictures import render_zoo
    from mnfn_cli.storage.outputs import Output
    from mnfn_cli.zoo.export import choose_rows
    from mnfn_cli.zoo.store import open_zoo

    opened = open_zoo(zoo)
    claim([Output(out)], [zoo], force=force)
    count = len(choose_rows(opened, split=split, ids=names(ids), limit=limit))
    render_zoo(opened, out, split=split, ids=names(ids), limit=limit, force=force)
    Console(quiet=quiet, json=json).result({"output": str(out), "networks": count}, f"{out}: {count} networks")
