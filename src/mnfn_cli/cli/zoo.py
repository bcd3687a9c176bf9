"""mnfn zoo: build, look at, check, draw and export zoos."""

from typing import Annotated

import typer

from mnfn_cli.cli import build
from mnfn_cli.cli.console import Console
from mnfn_cli.cli.options import (
    Force,
    Json,
    Out,
    Quiet,
    Split,
    ZooPath,
    checked_split,
    examples,
)
from mnfn_cli.cli.summary import show_zoo

app = typer.Typer(help="Build, look at, check, draw and export zoos of networks.", no_args_is_help=True)
app.add_typer(build.app, name="build")


@app.command("info", epilog=examples("mnfn zoo info zoos/digits-relu"))
def info(zoo: ZooPath, quiet: Quiet = False, json: Json = False) -> None:
    """Say what a zoo holds."""
    from mnfn_cli.zoo.store import open_zoo

    show_zoo(Console(quiet=quiet, json=json), open_zoo(zoo))


@app.command("verify", epilog=examples("mnfn zoo verify zoos/digits-relu"))
def verify(zoo: ZooPath, quiet: Quiet = False, json: Json = False) -> None:
    """Check checksums, shapes, finite values, and the table against the tensors."""
    from mnfn_cli.errors import MnfnError
    from mnfn_cli.zoo.store import open_zoo, verify_zoo

    faults = verify_zoo(zoo)
    if faults:
        raise MnfnError.together(faults) if len({type(f) for f in faults}) > 1 else type(faults[0]).together(faults)
    opened = open_zoo(zoo)
    Console(quiet=quiet, json=json).result(
        {"zoo": str(zoo), "networks": len(opened), "faults": []}, f"{zoo}: {len(opened)} networks, no fault found"
    )


@app.command(
    "export",
    epilog=examples("mnfn zoo export zoos/digits-relu -o checkpoints --split test --limit 20"),
)
def export(
    zoo: ZooPath,
    out: Out,
    split: Split = None,
    ids: Annotated[str | None, typer.Option(help="Only these networks, with commas between.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many.")] = None,
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Write networks as single .safetensors files, with id, spec and labels in their metadata."""
    from mnfn_cli.zoo.checkpoints import export_zoo
    from mnfn_cli.zoo.store import open_zoo

    chosen = [name.strip() for name in ids.split(",")] if ids else []
    count = export_zoo(open_zoo(zoo), out, split=checked_split(split), ids=chosen, limit=limit, force=force)
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
    out: Out,
    split: Split = None,
    ids: Annotated[str | None, typer.Option(help="Only these networks, with commas between.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 12,
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Draw what INRs hold, below the pictures they were fitted to, as one PNG."""
    from mnfn_cli.report.pictures import draw_zoo
    from mnfn_cli.storage.folders import check_output
    from mnfn_cli.zoo.checkpoints import choose_rows
    from mnfn_cli.zoo.store import open_zoo

    opened = open_zoo(zoo)
    check_output(out, force, inputs=(zoo,))
    chosen = [name.strip() for name in ids.split(",")] if ids else []
    rows = choose_rows(opened, split=checked_split(split), ids=chosen, limit=limit)
    draw_zoo(opened, rows, out)
    Console(quiet=quiet, json=json).result({"output": str(out), "networks": len(rows)}, f"{out}: {len(rows)} networks")
