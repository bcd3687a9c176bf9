"""The options of ``mnfn zoo import``, grouped on its help page by the formats to which they belong."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from mnfn_cli.cli import completion
from mnfn_cli.cli.options import A_ZOO, ON_BAD_HELP

Format = Literal["small-cnn-zoo", "nfn-siren", "dws-inr", "model-zoos", "folder"]

FOLDER = ("folder",)
CNN_ZOO = ("small-cnn-zoo",)
INRS = ("nfn-siren", "dws-inr", "folder")
CLASSIFIERS = ("model-zoos", "folder")

BELONGS: dict[str, tuple[str, ...]] = {}
"""The formats to which each option belongs, by the name of its parameter."""


def _option(formats: Sequence[str], name: str, help: str, **more: Any) -> Any:
    """Return an option that belongs to some formats."""
    BELONGS[name.removeprefix("--").replace("-", "_")] = tuple(formats)
    return typer.Option(name, help=help, rich_help_panel=f"Options of {listed(formats)}", **more)


def listed(names: Sequence[str]) -> str:
    """Return names as a list in words.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


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
        FOLDER,
        "--labels",
        "Take labels from this .csv or .json file. Its column id, file, name or path names the network of each row. "
        "Without it, labels are those in the files themselves.",
    ),
]
Id = Annotated[str | None, _option(FOLDER, "--id", "Find the network of each row by this column of the labels.")]
Label = Annotated[
    str | None,
    _option(
        FOLDER,
        "--label",
        "Learn this column: it is written as class for INRs, else as test_accuracy, a number from 0 to 1.",
    ),
]
Activation = Annotated[
    str | None,
    _option(
        FOLDER,
        "--activation",
        "The activation after every layer but the last: relu, leaky_relu, tanh, sin, gelu, silu or sigmoid.",
        autocompletion=completion.every_activation,
    ),
]
Omega = Annotated[float | None, _option(FOLDER, "--omega", "The frequency of sine layers: sin(OMEGA * (W x + b)).")]
Layers = Annotated[
    str | None,
    _option(
        FOLDER,
        "--layers",
        "The names of the layers in their order, with commas between, where shapes and numbers do not settle it. "
        "A batch normalisation is added to its layer, as in conv1+bn1,conv2+bn2,fc.",
    ),
]
BatchNorm = Annotated[
    Literal["after-layer"] | None,
    _option(
        FOLDER,
        "--batchnorm",
        "after-layer: every batch normalisation directly follows its layer, before activation and pooling, and is "
        "folded into it.",
    ),
]
Stride = Annotated[
    str | None,
    _option(FOLDER, "--stride", "The stride of the convolutions: one number, or one for each.", show_default="1"),
]
Padding = Annotated[
    str | None,
    _option(FOLDER, "--padding", "The zero padding of the convolutions, in the same form.", show_default="0"),
]
Pool = Annotated[
    str | None,
    _option(
        CLASSIFIERS,
        "--pool",
        "The pooling after the activation of each convolution, such as max2,none: none, maxK or avgK over windows of "
        "KxK, maxK/S with stride S, max2:before before the activation.",
        show_default="none, in model-zoos as published",
    ),
]
InputSize = Annotated[
    str | None,
    _option(CLASSIFIERS, "--input-size", "The size of the pictures that the networks read, such as 28x28 or 3x32x32."),
]
InputMean = Annotated[
    str | None,
    _option(CLASSIFIERS, "--input-mean", "Subtract this from inputs: one number, or one for each channel."),
]
InputStd = Annotated[
    str | None,
    _option(CLASSIFIERS, "--input-std", "Then divide inputs by this: one number, or one for each channel."),
]
OutputOffset = Annotated[float | None, _option(FOLDER, "--output-offset", "Add this number to every output.")]
DrawnSplit = Annotated[
    str | None,
    _option(
        CLASSIFIERS,
        "--split",
        "Draw the splits in these percentages of train, val and test, instead of taking those that are stated.",
        show_default="70/10/20 where none are stated",
    ),
]
SplitSeed = Annotated[
    int | None,
    _option(("dws-inr", *CLASSIFIERS), "--seed", "Seed the draw of splits.", min=0, show_default="0"),
]
Epoch = Annotated[
    str | None,
    _option(
        ("model-zoos",), "--epoch", "The checkpoint of each run: the number of an epoch, last or all.",
        show_default="last",
    ),
]  # fmt: skip
Augmented = Annotated[
    bool, _option(("nfn-siren",), "--augmented", "Import the augmented copies too, in the split of their source.")
]
Size = Annotated[
    str | None,
    _option(
        INRS, "--size", "The size of the pictures in pixels, such as 28x28.",
        show_default="28x28 for grey, 32x32 for colour; in folder what files say",
    ),
]  # fmt: skip
PixelRange = Annotated[
    tuple[float, float] | None,
    _option(
        INRS, "--pixel-range", "The values of black and white pixels.", metavar="BLACK WHITE",
        show_default="-1 1, in dws-inr 0 1",
    ),
]  # fmt: skip
Coordinates = Annotated[
    Literal["yx", "xy"] | None,
    _option(
        INRS, "--coordinates", "xy: the networks read (x, y), and are changed to read (y, x) as those of mnfn do.",
        show_default="yx",
    ),
]  # fmt: skip
Protocol = Annotated[
    Literal["nfn", "monomial", "scalegmn"] | None,
    _option(
        CNN_ZOO, "--protocol", "Split as this library does: monomial keeps one activation before it splits, scalegmn "
        "after, nfn keeps all.",
    ),
]  # fmt: skip
Step = Annotated[
    int | None, _option(CNN_ZOO, "--step", "Import the networks of this step.", min=0, show_default="86, the last")
]
Where = Annotated[
    list[str] | None,
    _option(
        CNN_ZOO, "--where", "Import only networks with this value, as in config.activation=relu; may be repeated.",
        metavar="COLUMN=VALUE",
    ),
]  # fmt: skip
StrayRow = Annotated[
    Literal["drop", "keep"] | None,
    _option(
        CNN_ZOO, "--stray-row", "Read the 0 at the start of a split file as a lost heading, or as row 0 once more, as "
        "published loaders do.", show_default="drop",
    ),
]  # fmt: skip
SplitFile = Annotated[
    Path | None,
    _option(
        ("small-cnn-zoo", "dws-inr"), "--split-file", "Take the splits from this file.",
        show_default="the one in the folder",
    ),
]  # fmt: skip
