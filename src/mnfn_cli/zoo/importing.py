"""Make a zoo of networks that others trained: the function that does what ``mnfn zoo import`` does."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from mnfn_cli.runtime.context import Context
from mnfn_cli.storage.outputs import Output, check_outputs
from mnfn_cli.weightspace.layout import Reading
from mnfn_cli.weightspace.spec import Pair
from mnfn_cli.zoo.contents import ZOO
from mnfn_cli.zoo.importers.formats import Format, input_files, plan_import, refuse_foreign
from mnfn_cli.zoo.plan import write_plan
from mnfn_cli.zoo.store import Zoo


def import_zoo(
    source: str | Path,
    output: str | Path,
    format: Format = "folder",
    *,
    activation: str | None = None,
    omega: float | None = None,
    stride: int | Sequence[int | Pair] | None = None,
    padding: int | Sequence[int | Pair] | None = None,
    pool: str | Sequence[str] | None = None,
    input_size: int | Sequence[int] | None = None,
    input_mean: float | Sequence[float] | None = None,
    input_std: float | Sequence[float] | None = None,
    output_offset: float | None = None,
    reading: Reading = Reading(),
    labels: str | Path | None = None,
    id: str | None = None,
    label: str | None = None,
    fractions: Mapping[str, float] | None = None,
    seed: int | None = None,
    size: int | tuple[int, int] | None = None,
    pixel_range: tuple[float, float] | None = None,
    coordinates: Literal["yx", "xy"] | None = None,
    augmented: bool = False,
    epoch: int | Literal["last", "all"] | None = None,
    protocol: Literal["nfn", "monomial", "scalegmn"] | None = None,
    step: int | None = None,
    where: Mapping[str, str] | None = None,
    split_file: str | Path | None = None,
    stray_row: Literal["drop", "keep"] | None = None,
    skip_bad: bool = False,
    force: bool = False,
    context: Context | None = None,
) -> Zoo:
    """Copy networks that others trained into a zoo, with their labels and splits: ``mnfn zoo import``.

    The files stay as they are. They are never unpickled freely, and no code in them runs. What weights do not tell,
    such as the activation, has to be said, unless the files say it, as those of ``export_zoo`` do. Every option belongs
    to the formats that stand behind it; INRs are those of nfn-siren, dws-inr and folder. An interrupted call is
    continued by the same call.

    Args:
        source: the folder of the files.
        output: the folder of the zoo, which is created.
        format: how the files are laid out: ``folder`` for files of one's own, ``small-cnn-zoo``, ``nfn-siren``,
            ``dws-inr`` or ``model-zoos``.
        activation: the activation after every layer but the last, such as ``relu`` (folder).
        omega: the frequency of sine layers, ``sin(omega (W x + b))`` (folder).
        stride, padding: of the convolutions, one number or one for each, such as ``2`` or ``[2, (1, 2)]`` (folder).
        pool: the pooling after each convolution, one text or one for each, such as ``"max2"`` or ``["max2", "none"]``
            (model-zoos, folder).
        input_size: the size in pixels of the pictures that the networks read, ``28``, ``(28, 28)`` or ``(3, 32, 32)``
            (model-zoos, folder).
        input_mean, input_std: what is subtracted from inputs, and by what they are then divided: one number, or one for
            each channel (model-zoos, folder).
        output_offset: a number that is added to every output (folder).
        reading: the order of the layers where their shapes leave it open, and where batch normalisations stand
            (folder).
        labels: a table of labels, in CSV or JSON; by default labels are those in the files (folder).
        id: the column of the table that names the networks; by default id, file, name or path (folder).
        label: the column to learn, which is written as class for INRs, else as test_accuracy, a number from 0 to 1
            (folder).
        fractions: draw the splits in these shares of ``train``, ``val`` and ``test``, instead of taking those that are
            stated (model-zoos, folder).
        seed: the seed of drawn splits, 0 by default (dws-inr, model-zoos, folder).
        size: the (height, width) in pixels of the pictures of INRs, or the side of squares.
        pixel_range: the values of black and white pixels of INRs.
        coordinates: the order in which INRs read the coordinates of a pixel; networks of mnfn read (y, x).
        augmented: import the augmented copies too, in the split of their source (nfn-siren).
        epoch: the checkpoint of each run, the last one by default (model-zoos).
        protocol: the library by whose rule the networks are split; it has to be said (small-cnn-zoo).
        step: import the networks of this step, 86 by default, the last one (small-cnn-zoo).
        where: import only networks with these values in these columns, such as ``{"config.activation": "relu"}``
            (small-cnn-zoo).
        split_file: the file that says the splits; by default the one in the folder (small-cnn-zoo, dws-inr).
        stray_row: how the 0 at the start of a split file is read, ``drop`` by default (small-cnn-zoo).
        skip_bad: leave out networks that cannot be used, instead of raising an error; zoo.json holds their list.
        force: replace an existing zoo.
        context: where progress and notes are reported and interrupts are noticed, and the command line to record.

    Returns:
        the new zoo, opened.

    Raises:
        UsageError: an option is missing, wrong, or belongs to another format.
        DataError: networks cannot be used, all of which are named; or there is no such folder.
        OrderError: the order of the layers is not settled; a ``DataError``.
        OutputError: the output exists, or is equal to, inside or around the source.
        InterruptedRun: the user interrupted the import.

    Source:
        Unterthiner et al. (2020) for small-cnn-zoo; Zhou et al. (2023) for nfn-siren; Navon et al. (2023) for dws-inr;
        Schürholt et al. (2022) for model-zoos.

    >>> from tempfile import TemporaryDirectory
    >>> from mnfn_cli import export_zoo, import_zoo
    >>> from mnfn_cli.testing import example_zoo
    >>> with TemporaryDirectory() as folder:
    ...     count = export_zoo(example_zoo(), f"{folder}/files", suffix=".pt")
    ...     zoo = import_zoo(f"{folder}/files", f"{folder}/zoo", activation="relu", stride=2, seed=1)
    >>> len(zoo), zoo.spec.strides[0], zoo.record.made.split_protocol
    (12, (2, 2), 'drawn 70/10/20 with seed 1')
    """
    said: dict[str, Any] = {
        "activation": activation,
        "omega": omega,
        "stride": stride,
        "padding": padding,
        "pool": pool,
        "input_size": input_size,
        "input_mean": input_mean,
        "input_std": input_std,
        "output_offset": output_offset,
        "layers": reading.layers or None,
        "batchnorm": reading.batchnorm or None,
        "labels": None if labels is None else Path(labels),
        "id": id,
        "label": label,
        "split": fractions,
        "seed": seed,
        "size": size,
        "pixel_range": pixel_range,
        "coordinates": coordinates,
        "augmented": augmented or None,
        "epoch": epoch,
        "protocol": protocol,
        "step": step,
        "where": where,
        "split_file": None if split_file is None else Path(split_file),
        "stray_row": stray_row,
    }
    given = {name: value for name, value in said.items() if value is not None}
    refuse_foreign(format, given)
    source, output, context = Path(source), Path(output), context or Context()
    if context.processes.first:
        check_outputs([Output(output, ZOO, continues=True)], [source, *input_files(given)], force=force)
    plan = plan_import(format, source, given, skip_bad=skip_bad, context=context)
    for note in plan.notes:
        context.progress.note(note)
    return write_plan(plan, output, force=force, context=context)
