"""mnfn predict-generalization: accuracies of networks that a run has never seen."""

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
    skips,
)

EXAMPLES = examples(
    "mnfn predict runs/relu zoos/digits-relu --split test -o predictions.csv",
    "mnfn predict runs/relu checkpoints/",
)


def predict(
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
    """Predict the test accuracy of networks from their weights."""
    console = Console(quiet=quiet, json=json)
    from mnfn_cli.errors import printable
    from mnfn_cli.runtime.device import resolve_device
    from mnfn_cli.storage.atomic import write_text
    from mnfn_cli.storage.folders import check_output
    from mnfn_cli.tasks.prediction import predict_checkpoints

    if out is not None:
        check_output(out, force)
    predictions = predict_checkpoints(
        run, checkpoints, split=checked_split(split), skip_bad=skips(on_bad), device=resolve_device(device)
    )
    for fault in predictions.skipped:
        console.note(f"skipped {fault}")
    if out is None:
        console.result(predictions.to_json(), predictions.to_csv().rstrip("\n"))
        return
    write_text(out, predictions.to_csv())
    document = {
        "output": str(out),
        "networks": len(predictions.networks),
        "skipped": list(map(str, predictions.skipped)),
    }
    console.result(document, f"{printable(out)}: {len(predictions.networks)} networks")
