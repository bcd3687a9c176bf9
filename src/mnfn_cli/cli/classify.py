"""mnfn classify-inr: the class of the picture inside each INR."""

from mnfn_cli.cli.console import Console
from mnfn_cli.cli.options import (
    CheckpointsPath,
    CsvOut,
    Device,
    Force,
    Json,
    OnBad,
    Quiet,
    RunPath,
    Split,
    checked_split,
    examples,
    note_unknown_start,
    skips,
)

EXAMPLES = examples(
    "mnfn classify runs/digits zoos/digits-inr --split test -o classes.csv",
    "mnfn classify runs/digits checkpoints/",
)


def classify(
    run: RunPath,
    checkpoints: CheckpointsPath,
    out: CsvOut = None,
    split: Split = None,
    on_bad: OnBad = "fail",
    device: Device = "auto",
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Classify the pictures inside implicit neural representations from their weights."""
    console = Console(quiet=quiet, json=json)
    from mnfn_cli.errors import printable
    from mnfn_cli.runtime.device import resolve_device
    from mnfn_cli.storage.atomic import write_text
    from mnfn_cli.storage.folders import check_output
    from mnfn_cli.tasks.classes import classify_checkpoints

    if out is not None:
        check_output(out, force)
    classes = classify_checkpoints(
        run, checkpoints, split=checked_split(split), skip_bad=skips(on_bad), device=resolve_device(device)
    )
    for fault in classes.skipped:
        console.note(f"skipped {fault}")
    note_unknown_start(console, classes.unknown_start)
    if out is None:
        console.result(classes.to_json(), classes.to_csv().rstrip("\n"))
        return
    write_text(out, classes.to_csv())
    known = [(guess, name) for guess, name in zip(classes.predicted, classes.true, strict=True) if name is not None]
    right = sum(guess == name for guess, name in known)
    document = {
        "output": str(out),
        "networks": len(classes.networks),
        "right": right if known else None,
        "known": len(known),
        "skipped": list(map(str, classes.skipped)),
    }
    score = f", {right} of {len(known)} known classes right" if known else ""
    console.result(document, f"{printable(out)}: {len(classes.networks)} networks{score}")
