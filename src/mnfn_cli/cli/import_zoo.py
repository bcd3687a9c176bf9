"""mnfn zoo import: make a zoo of networks that others trained."""

from typing import Any

from mnfn_cli.cli import import_options as options
from mnfn_cli.cli.console import Console
from mnfn_cli.cli.import_values import read_values
from mnfn_cli.cli.job import claim, job
from mnfn_cli.cli.options import Force, Json, Quiet, examples
from mnfn_cli.errors import DataError, UsageError
from mnfn_cli.zoo.importers.formats import BELONGS, input_files, plan_import, refuse_foreign

EXAMPLES = examples(
    "mnfn zoo export zoos/digits-relu -o checkpoints",
    "mnfn zoo import folder checkpoints -o zoos/imported",
    "mnfn zoo import folder checkpoints --dry-run",
    "mnfn zoo import folder nets --activation relu --stride 2 --labels labels.csv --label accuracy -o zoos/mine",
    "mnfn zoo import nfn-siren siren_mnist_wts -o zoos/mnist-inr",
    "mnfn zoo import dws-inr mnist-inrs --split-file mnist_splits.json -o zoos/mnist-dws",
    "mnfn zoo import model-zoos tune_zoo_mnist_uniform --epoch 50 -o zoos/mnist-uniform",
    "mnfn zoo import small-cnn-zoo cifar10 --protocol monomial --where config.activation=relu -o zoos/cifar10-relu",
)


def import_zoo(
    format: options.FormatName,
    path: options.Source,
    out: options.OptionalOut = None,
    dry_run: options.DryRun = False,
    on_bad: options.OnBadFiles = "fail",
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
    labels: options.Labels = None,
    id: options.Id = None,
    label: options.Label = None,
    activation: options.Activation = None,
    omega: options.Omega = None,
    layers: options.Layers = None,
    batchnorm: options.BatchNorm = None,
    stride: options.Stride = None,
    padding: options.Padding = None,
    output_offset: options.OutputOffset = None,
    pool: options.Pool = None,
    input_size: options.InputSize = None,
    input_mean: options.InputMean = None,
    input_std: options.InputStd = None,
    split: options.DrawnSplit = None,
    seed: options.SplitSeed = None,
    epoch: options.Epoch = None,
    augmented: options.Augmented = False,
    size: options.Size = None,
    pixel_range: options.PixelRange = None,
    coordinates: options.Coordinates = None,
    split_file: options.SplitFile = None,
    protocol: options.Protocol = None,
    step: options.Step = None,
    where: options.Where = None,
    stray_row: options.StrayRow = None,
) -> None:
    """Copy networks that others trained into a zoo, with their labels and splits. The files stay as they are.

    Files are never unpickled freely, no code in them runs, and no link out of the folder is followed. What weights do
    not tell, such as the activation, has to be said. All networks that cannot be used are named in one pass. An
    interrupted import continues when the same command is given again.
    """
    every: dict[str, Any] = {name: value for name, value in locals().items() if name in BELONGS}
    refuse_foreign(format, [name for name, value in every.items() if value is not None and value is not False])
    given = read_values(every)
    if out is None and not dry_run:
        raise UsageError("--out", "say where to write the zoo, or give --dry-run to write nothing")
    from mnfn_cli.cli.import_report import show_plan
    from mnfn_cli.storage.outputs import Output
    from mnfn_cli.zoo.contents import ZOO
    from mnfn_cli.zoo.magnitudes import look_at_magnitudes
    from mnfn_cli.zoo.plan import write_plan

    console = Console(quiet=quiet, json=json)
    with job(console, shared=True) as context:
        if out is not None and not dry_run:
            claim([Output(out, ZOO, continues=True)], [path, *input_files(given)], force=force)
        try:
            plan = plan_import(format, path, given, skip_bad=on_bad == "skip", context=context)
        except DataError as error:
            if (orders := error.details.get("orders")) and dry_run and not json:
                console.result({}, *map(",".join, orders))
            raise
        if out is None or dry_run:
            show_plan(console, plan, dry_run=True)
            return
        zoo = write_plan(plan, out, force=force, context=context)
    show_plan(console, plan, look_at_magnitudes(zoo), zoo=str(out), fingerprint=zoo.fingerprint)
