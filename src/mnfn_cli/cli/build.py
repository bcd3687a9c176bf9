"""mnfn zoo build: train or fit the networks of a zoo."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnfn_cli.cli.console import Console
from mnfn_cli.cli.help import App
from mnfn_cli.cli.job import claim, job
from mnfn_cli.cli.options import A_ZOO, Activation, Device, Force, Json, Out, Quiet, Seed, examples
from mnfn_cli.cli.summary import show_zoo

if TYPE_CHECKING:
    from mnfn_cli.zoo.store import Zoo

POOR_PSNR = 20.0
"""The PSNR in dB below which a picture is hard to recognise in its network."""

app = App(help="Build a zoo by training its networks on this machine.")

LabelledImages = Annotated[
    str,
    typer.Option(
        "--images",
        help="Train on these pictures: digits, a folder with a subfolder for each class, a folder or file of MNIST, "
        "of FashionMNIST (IDX files) or of CIFAR-10 (binary version), or an .npz file with labels.",
    ),
]
Count = Annotated[int, typer.Option("--count", min=1, help="Train this many networks.")]
Epochs = Annotated[
    int, typer.Option("--epochs", min=1, help="Train each network for this many passes over its pictures.")
]
Size = Annotated[
    int | None,
    typer.Option("--size", min=1, help="Resize the pictures to SIZE x SIZE pixels.", show_default="16 for digits"),
]


@app.command(
    "cnn",
    epilog=examples(
        "mnfn zoo build cnn --images digits --activation relu --count 600 -o zoos/digits-relu",
        "mnfn zoo build cnn --images digits --activation tanh --count 200 --epochs 10 -o zoos/digits-tanh",
        "mnfn zoo build cnn --channels 8,8 --kernel 5,3 --hidden 32 --count 200 -o zoos/digits-8-8",
    ),
)
def build_cnn(
    out: Annotated[Out, A_ZOO],
    images: LabelledImages = "digits",
    activation: Activation = "relu",
    channels: Annotated[
        str, typer.Option(help="Give the convolutions these numbers of output channels, with commas between.")
    ] = "16,16,16",
    kernel: Annotated[
        str,
        typer.Option(
            help="Give the convolutions square kernels of this side: one number, or one for each convolution."
        ),
    ] = "3",
    hidden: Annotated[
        str | None,
        typer.Option(
            help="Add hidden dense layers of these widths after the pooling, such as 32.", show_default="none"
        ),
    ] = None,
    count: Count = 600,
    epochs: Epochs = 10,
    size: Size = None,
    seed: Seed = 0,
    device: Device = "auto",
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Train a zoo of convolutional image classifiers, each with hyperparameters drawn for it.

    By default they have the architecture of the Small CNN Zoo. An interrupted build continues when the same command is
    given again.
    """
    from mnfn_cli.zoo.build.zoos import build_cnn_zoo

    options = {
        "activation": activation,
        "channels": _whole_numbers("--channels", channels),
        "kernel": _whole_numbers("--kernel", kernel),
        "hidden": _whole_numbers("--hidden", hidden) if hidden is not None else [],
        "count": count,
        "epochs": epochs,
        "seed": seed,
    }
    show_zoo(*_build(build_cnn_zoo, Console(quiet=quiet, json=json), images, size, out, device, force, options))


@app.command(
    "mlp",
    epilog=examples(
        "mnfn zoo build mlp --images digits --hidden 32 --count 200 -o zoos/digits-mlp",
        "mnfn zoo build mlp --images digits --size 28 --hidden 64,32 --activation tanh --count 200 -o zoos/digits-deep",
    ),
)
def build_mlp(
    out: Annotated[Out, A_ZOO],
    images: LabelledImages = "digits",
    activation: Activation = "relu",
    hidden: Annotated[
        str, typer.Option(help="Give the networks hidden layers of these widths, with commas between.")
    ] = "32",
    count: Count = 600,
    epochs: Epochs = 10,
    size: Size = None,
    seed: Seed = 0,
    device: Device = "auto",
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Train a zoo of dense image classifiers on flattened pictures, each with hyperparameters drawn for it.

    A network has an input for each channel of each pixel, and an output for each class. An interrupted build continues
    when the same command is given again.
    """
    from mnfn_cli.zoo.build.zoos import build_mlp_zoo

    options = {
        "activation": activation,
        "hidden": _whole_numbers("--hidden", hidden),
        "count": count,
        "epochs": epochs,
        "seed": seed,
    }
    show_zoo(*_build(build_mlp_zoo, Console(quiet=quiet, json=json), images, size, out, device, force, options))


def _build(
    build: "Callable[..., Zoo]",
    console: Console,
    source: str,
    size: int | None,
    out: Path,
    device: str,
    force: bool,
    options: dict[str, Any],
    like: Path | None = None,
) -> "tuple[Console, Zoo]":
    """Load the pictures of ``--images``, say which ones were read, and build a zoo on them."""
    from mnfn_cli.storage.outputs import Output
    from mnfn_cli.zoo.contents import ZOO
    from mnfn_cli.zoo.images import image_paths, load_images

    design = options.get("like")
    pictures = load_images(source, size, expected=None if design is None else design.fit.size)
    if pictures.files:
        names = ", ".join(file.name for file in pictures.files)
        console.note(f"read {len(pictures.ids):,} pictures and their labels from {pictures.files[0].parent}: {names}")
    with job(console, device, shared=True) as context:
        claim([Output(out, ZOO, continues=True)], [*image_paths(source), like], force=force)
        zoo = build(out, pictures, **options, force=force, context=context)
    return console, zoo


def _whole_numbers(option: str, text: str) -> list[int]:
    """Read positive whole numbers with commas between; raises UsageError for anything else."""
    from mnfn_cli.errors import UsageError

    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdecimal() and len(part) <= 9 and int(part) > 0 for part in parts):
        raise UsageError(option, f"'{text}'; give positive whole numbers with commas between, such as 16,16")
    return [int(part) for part in parts]


@app.command(
    "siren",
    epilog=examples(
        "mnfn zoo build siren --images digits --init shared -o zoos/digits-inr",
        "mnfn zoo build siren --images photos --count 100 -o zoos/photos-inr",
        "mnfn zoo build siren --images my-picture.png --size 16 --like zoos/digits-inr -o zoos/mine",
    ),
)
def build_siren(
    out: Annotated[Out, A_ZOO],
    images: Annotated[
        str,
        typer.Option(
            help="Fit these pictures: digits, photos, a folder, one picture, a folder or file of MNIST, of "
            "FashionMNIST (IDX files) or of CIFAR-10 (binary version), or an .npz file."
        ),
    ] = "digits",
    init: Annotated[
        str | None,
        typer.Option(
            help="random: each network has initial weights of its own; shared: all have the same.",
            show_default="random",
        ),
    ] = None,
    like: Annotated[
        Path | None,
        typer.Option(
            metavar="ZOO_OR_RUN", help="Take architecture and settings from this zoo, or from the zoo of this run."
        ),
    ] = None,
    copies: Annotated[
        int, typer.Option(min=1, help="Fit this many networks to each picture, from different initial weights.")
    ] = 1,
    width: Annotated[
        int | None,
        typer.Option(
            min=1, help="Give the networks hidden layers of this width.", show_default="16 up to 16x16, else 32"
        ),
    ] = None,
    depth: Annotated[
        int | None, typer.Option(min=1, help="Give the networks this many hidden layers.", show_default="2")
    ] = None,
    omega: Annotated[
        float | None,
        typer.Option(
            help="Multiply by this factor inside the sine: sin(omega * (W x + b)).",
            show_default="15 up to 16x16, else 30",
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            min=1, help="Fit each network in this many steps of Adam.", show_default="400 up to 16x16, else 150"
        ),
    ] = None,
    lr: Annotated[float | None, typer.Option(help="Fit with this learning rate.", show_default="0.001")] = None,
    size: Size = None,
    count: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Fit this many pictures, drawn at random; of photos, patches of plain sky and the like come last.",
            show_default="all",
        ),
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Fit an implicit neural representation (INR), a SIREN, to every picture.

    An interrupted build continues when the same command is given again.
    """
    import statistics

    from mnfn_cli.tasks.finished_run import design_of
    from mnfn_cli.zoo.build.siren_plan import require_only_like
    from mnfn_cli.zoo.build.zoos import build_siren_zoo

    own = {"init": init, "width": width, "depth": depth, "omega": omega, "steps": steps, "learning_rate": lr}
    design = None if like is None else design_of(like)
    if design is not None:
        require_only_like(design, size, {name: value for name, value in own.items() if value is not None})
    options = own | {"like": design, "copies": copies, "count": count, "seed": seed}
    console, zoo = _build(
        build_siren_zoo, Console(quiet=quiet, json=json), images, size, out, device, force, options, like
    )
    middle = statistics.median(zoo.table["psnr"].to_list())
    if middle < POOR_PSNR:
        console.note(
            f"the median PSNR is {middle:.1f} dB, so pictures are hard to recognise; try more --steps or another --lr"
        )
    show_zoo(console, zoo)
