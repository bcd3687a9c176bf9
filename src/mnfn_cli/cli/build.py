"""mnfn zoo build: train or fit the networks of a zoo."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnfn_cli.cli.console import Console
from mnfn_cli.cli.help import App
from mnfn_cli.cli.job import claim, job
from mnfn_cli.cli.options import A_ZOO, Activation, Device, Force, Json, Out, Quiet, Seed, examples
from mnfn_cli.cli.summary import show_zoo

if TYPE_CHECKING:
    from mnfn_cli.weightspace.spec import NetworkSpec
    from mnfn_cli.zoo.images import ImageSet

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
    from mnfn_cli.zoo.build.architectures import cnn_spec

    sizes = {"channels": _whole_numbers("--channels", channels), "kernel": _whole_numbers("--kernel", kernel)}
    dense = _whole_numbers("--hidden", hidden) if hidden is not None else []
    console = Console(quiet=quiet, json=json)
    pictures = _load(console, images, size)
    spec = cnn_spec(pictures, activation, **sizes, hidden=dense)
    if spec.paddings[0] != (0, 0):
        height, width = pictures.pixels.shape[2:]
        console.note(f"pictures of {height}x{width} pixels are small, so every convolution has padding 1")
    _train_classifiers(console, spec, pictures, out, count, epochs, seed, device, force)


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
    from mnfn_cli.zoo.build.architectures import mlp_spec

    widths = _whole_numbers("--hidden", hidden)
    console = Console(quiet=quiet, json=json)
    pictures = _load(console, images, size)
    spec = mlp_spec(pictures, activation, hidden=widths)
    _train_classifiers(console, spec, pictures, out, count, epochs, seed, device, force)


def _train_classifiers(
    console: Console,
    spec: "NetworkSpec",
    pictures: "ImageSet",
    out: Path,
    count: int,
    epochs: int,
    seed: int,
    device: str,
    force: bool,
) -> None:
    """Build a zoo of classifiers of one architecture, and print a summary of it."""
    from mnfn_cli.storage.outputs import Output
    from mnfn_cli.zoo.build.classifiers import ClassifierZooPlan, build_classifier_zoo
    from mnfn_cli.zoo.images import image_paths
    from mnfn_cli.zoo.store import ZOO

    plan = ClassifierZooPlan(spec, count, epochs, seed)
    with job(console, device, shared=True) as context:
        console.note(f"training {count} networks {spec} on {context.device}")
        claim([Output(out, ZOO, continues=True)], image_paths(pictures.source), force=force)
        zoo = build_classifier_zoo(plan, pictures, out, force=force, context=context)
    show_zoo(console, zoo)


def _load(console: Console, source: str, size: int | None, expected: tuple[int, int] | None = None) -> "ImageSet":
    """Load the pictures of ``--images``; of a data set of several files, say which ones were read."""
    from mnfn_cli.zoo.images import load_images

    pictures = load_images(source, size, expected=expected)
    if pictures.files:
        names = ", ".join(file.name for file in pictures.files)
        console.note(f"read {len(pictures.ids):,} pictures and their labels from {pictures.files[0].parent}: {names}")
    return pictures


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
    console = Console(quiet=quiet, json=json)
    import statistics

    from mnfn_cli.storage.outputs import Output
    from mnfn_cli.tasks.finished_run import design_of
    from mnfn_cli.zoo.build.siren import build_siren_zoo
    from mnfn_cli.zoo.build.siren_plan import SirenZooPlan, choose_images, fit_channels, require_only_like, siren_design
    from mnfn_cli.zoo.images import image_paths
    from mnfn_cli.zoo.store import ZOO

    every = {"init": init, "width": width, "depth": depth, "omega": omega, "steps": steps, "learning_rate": lr}
    own: dict[str, Any] = {name: value for name, value in every.items() if value is not None}
    if like is None:
        pictures = choose_images(_load(console, images, size), count, seed)
        design = siren_design(pictures, seed=seed, **own)
    else:
        design = design_of(like)
        require_only_like(like, design, size, own)
        pictures = _load(console, images, size, design.fit.size)
        pictures, changed = fit_channels(choose_images(pictures, count, seed), design.channels)
        if changed:
            console.note(changed)
    plan = SirenZooPlan(design, copies, seed)
    number, fit = copies * len(pictures.pixels), design.fit
    with job(console, device, shared=True) as context:
        console.note(
            f"fitting {number} networks {design.spec}, {fit.init} start, {fit.steps} steps, on {context.device}"
        )
        claim([Output(out, ZOO, continues=True)], [*image_paths(images), like], force=force)
        zoo = build_siren_zoo(plan, pictures, out, force=force, context=context)
    middle = statistics.median(zoo.table["psnr"].to_list())
    if middle < POOR_PSNR:
        console.note(
            f"the median PSNR is {middle:.1f} dB, so pictures are hard to recognise; try more --steps or another --lr"
        )
    show_zoo(console, zoo)
