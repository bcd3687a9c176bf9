"""The options of ``mnfn zoo import``, grouped on its help page by the formats to which they belong."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from mnfn_cli.cli import completion
from mnfn_cli.cli.options import A_ZOO, ON_BAD_HELP
from mnfn_cli.zoo.importers.formats import BELONGS, Format, listed


def _option(name: str, help: str, **more: Any) -> Any:
    """Return an option that belongs to some formats."""
    formats = BELONGS[name.removeprefix("--").replace("-", "_")]
    return typer.Option(name, help=help, rich_help_panel=f"Options of {listed(formats)}", **more)


FormatName = Annotated[
    Format,
    typer.Argument(
        metavar="FORMAT",
        help="How the files are laid out: small-cnn-zoo, nfn-siren, dws-inr, model-zoos, or folder for your own files.",
        show_default=False,
    ),
]
Source = Annotated[Path, typer.Argument(metavar="PATH", help="The folder of the files.", show_default=False)]
OptionalOut = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="Write the zoo here. Nothing may stand there yet. Left out with --dry-run."),
    A_ZOO,
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Read all files and say which tensor becomes which layer and what is left out; write nothing."
    ),
]
OnBadFiles = Annotated[
    Literal["fail", "skip"],
    typer.Option("--on-bad", help=f"{ON_BAD_HELP} With skip, zoo.json holds their list."),
]
Labels = Annotated[
    Path | None,
    _option(
        "--labels",
        "Take labels from this .csv or .json file. Its column id, file, name or path names the network of each row. "
        "Without it, labels are those in the files themselves.",
    ),
]
Id = Annotated[str | None, _option("--id", "Find the network of each row by this column of the labels.")]
Label = Annotated[
    str | None,
    _option(
        "--label",
        "Learn this column: it is written as class for INRs, else as test_accuracy, a number from 0 to 1.",
    ),
]
Activation = Annotated[
    str | None,
    _option(
        "--activation",
        "The activation after every layer but the last: relu, leaky_relu, tanh, sin, gelu, silu or sigmoid.",
        autocompletion=completion.every_activation,
    ),
]
Omega = Annotated[float | None, _option("--omega", "The frequency of sine layers: sin(OMEGA * (W x + b)).")]
Layers = Annotated[
    str | None,
    _option(
        "--layers",
        "The names of the layers in their order, with commas between, where shapes and numbers do not settle it. "
        "A batch normalisation is added to its layer, as in conv1+bn1,conv2+bn2,fc.",
    ),
]
BatchNorm = Annotated[
    Literal["after-layer"] | None,
    _option(
        "--batchnorm",
        "after-layer: every batch normalisation directly follows its layer, before activation and pooling, and is "
        "folded into it.",
    ),
]
Stride = Annotated[
    str | None,
    _option("--stride", "The stride of the convolutions: one number, or one for each.", show_default="1"),
]
Padding = Annotated[
    str | None,
    _option("--padding", "The zero padding of the convolutions, in the same form.", show_default="0"),
]
Pool = Annotated[
    str | None,
    _option(
        "--pool",
        "The pooling after the activation of each convolution, such as max2,none: none, maxK or avgK over windows of "
        "KxK, maxK/S with stride S, max2:before before the activation.",
        show_default="none, in model-zoos as published",
    ),
]
InputSize = Annotated[
    str | None,
    _option("--input-size", "The size of the pictures that the networks read, such as 28x28 or 3x32x32."),
]
InputMean = Annotated[
    str | None,
    _option("--input-mean", "Subtract this from inputs: one number, or one for each channel."),
]
InputStd = Annotated[
    str | None,
    _option("--input-std", "Then divide inputs by this: one number, or one for each channel."),
]
OutputOffset = Annotated[float | None, _option("--output-offset", "Add this number to every output.")]
DrawnSplit = Annotated[
    str | None,
    _option(
        "--split",
        "Draw the splits in these percentages of train, val and test, instead of taking those that are stated.",
        show_default="70/10/20 where none are stated",
    ),
]
SplitSeed = Annotated[
    int | None,
    _option("--seed", "Seed the draw of splits.", min=0, show_default="0"),
]
Epoch = Annotated[
    str | None,
    _option(
        "--epoch", "The checkpoint of each run: the number of an epoch, last or all.",
        show_default="last",
    ),
]  # fmt: skip
Augmented = Annotated[bool, _option("--augmented", "Import the augmented copies too, in the split of their source.")]
Size = Annotated[
    str | None,
    _option(
        "--size", "The size of the pictures in pixels, such as 28x28.",
        show_default="28x28 for grey, 32x32 for colour; in folder what files say",
    ),
]  # fmt: skip
PixelRange = Annotated[
    tuple[float, float] | None,
    _option(
        "--pixel-range", "The values of black and white pixels.", metavar="BLACK WHITE",
        show_default="-1 1, in dws-inr 0 1",
    ),
]  # fmt: skip
Coordinates = Annotated[
    Literal["yx", "xy"] | None,
    _option(
        "--coordinates", "xy: the networks read (x, y), and are changed to read (y, x) as those of mnfn do.",
        show_default="yx",
    ),
]  # fmt: skip
Protocol = Annotated[
    Literal["nfn", "monomial", "scalegmn"] | None,
    _option(
        "--protocol", "Split as this library does: monomial keeps one activation before it splits, scalegmn "
        "after, nfn keeps all.",
    ),
]  # fmt: skip
Step = Annotated[int | None, _option("--step", "Import the networks of this step.", min=0, show_default="86, the last")]
Where = Annotated[
    list[str] | None,
    _option(
        "--where", "Import only networks with this value, as in config.activation=relu; may be repeated.",
        metavar="COLUMN=VALUE",
    ),
]  # fmt: skip
StrayRow = Annotated[
    Literal["drop", "keep"] | None,
    _option(
        "--stray-row", "Read the 0 at the start of a split file as a lost heading, or as row 0 once more, as "
        "published loaders do.", show_default="drop",
    ),
]  # fmt: skip
SplitFile = Annotated[
    Path | None,
    _option(
        "--split-file", "Take the splits from this file.",
        show_default="the one in the folder",
    ),
]  # fmt: skip
