"""mnfn edit-style: change the picture inside each INR by changing its weights."""

from pathlib import Path
from typing import Annotated

import typer

from mnfn_cli.cli.console import Console
from mnfn_cli.cli.options import (
    CheckpointsPath,
    Device,
    Force,
    Json,
    OnBad,
    Out,
    Quiet,
    RunPath,
    Split,
    checked_split,
    command_line,
    examples,
    note_unknown_start,
    skips,
)

EXAMPLES = examples(
    "mnfn edit runs/dilate zoos/digits-inr --split test -o edited --picture before-after.png",
    "mnfn edit runs/dilate checkpoints/ -o edited-checkpoints",
)


def edit(
    run: RunPath,
    checkpoints: CheckpointsPath,
    out: Out,
    picture: Annotated[
        Path | None, typer.Option(help="Also draw before, after and target of up to 12, as a PNG.")
    ] = None,
    split: Split = None,
    on_bad: OnBad = "fail",
    device: Device = "auto",
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Edit the pictures inside implicit neural representations; networks are written back as they came."""
    console = Console(quiet=quiet, json=json)
    from mnfn_cli.errors import printable
    from mnfn_cli.report.pictures import draw_grid
    from mnfn_cli.runtime.device import resolve_device
    from mnfn_cli.storage.folders import check_output
    from mnfn_cli.tasks.edited import edit_checkpoints

    if picture is not None:
        check_output(picture, force, inputs=(checkpoints, run))
    edited = edit_checkpoints(
        run,
        checkpoints,
        out,
        split=checked_split(split),
        skip_bad=skips(on_bad),
        force=force,
        command=command_line(),
        device=resolve_device(device),
    )
    for fault in edited.skipped:
        console.note(f"skipped {fault}")
    note_unknown_start(console, edited.unknown_start)
    if picture is not None:
        draw_grid(edited.pictures, picture)
    before, after = (sum(errors) / len(errors) for errors in (edited.before, edited.after))
    text = (
        f"{printable(out)}: {len(edited.networks)} networks, {edited.edit}; mean squared error to the target, made "
        f"from {edited.targets_from}: {before:.4f} before, {after:.4f} after"
    )
    console.result({"output": str(out)} | edited.to_json(), text)
