"""Build zoos as ``mnfn zoo build`` does: load the pictures, choose the architecture, train or fit the networks."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mnfn_cli.runtime.context import Context
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.build.architectures import CNN_CHANNELS, CNN_KERNEL, MLP_HIDDEN, cnn_spec, mlp_spec
from mnfn_cli.zoo.build.classifiers import ClassifierZooPlan, build_classifier_zoo
from mnfn_cli.zoo.build.siren import fit_siren_zoo
from mnfn_cli.zoo.build.siren_plan import SirenZooPlan, choose_images, fit_channels, require_only_like, siren_design
from mnfn_cli.zoo.images import ImageSet, load_images
from mnfn_cli.zoo.inr_design import InrDesign
from mnfn_cli.zoo.store import Zoo


def build_cnn_zoo(
    out: str | Path,
    images: str | Path | ImageSet = "digits",
    *,
    activation: str = "relu",
    channels: Sequence[int] = CNN_CHANNELS,
    kernel: int | Sequence[int] = CNN_KERNEL,
    hidden: Sequence[int] = (),
    count: int = 600,
    epochs: int = 10,
    size: int | None = None,
    seed: int = 0,
    force: bool = False,
    context: Context | None = None,
) -> Zoo:
    """Train a zoo of convolutional image classifiers, each with hyperparameters drawn for it: ``mnfn zoo build cnn``.

    All networks are trained together in batched computations. An interrupted build continues when it is called again.

    Args:
        out: the folder of the zoo.
        images: pictures with labels, as ``load_images`` reads or returns them.
        activation: the activation after every layer but the last, such as ``relu`` or ``tanh``.
        channels: the numbers of output channels of the convolutions, which have stride 2.
        kernel: the side of the square kernels in pixels: one number, or one for each convolution.
        hidden: the widths of hidden dense layers after the pooling.
        count: the number of networks.
        epochs: the number of passes of each network over its part of the pictures.
        size: the side in pixels to which pictures are resized; by default 16 for digits, and others stay as they are.
        seed: the seed of all random draws.
        force: replace an existing zoo.
        context: the device, and where progress is reported; by default the CPU, in silence.

    Returns:
        the zoo, with the column ``test_accuracy`` in [0, 1].

    Raises:
        UsageError: the pictures have no labels, are too small, or an argument does not fit.
        DataError: a picture cannot be read, or there are too few.
        OutputError: the output exists, is in use, or another build is unfinished under its name.

    Source:
        Unterthiner et al. 2020 (the Small CNN Zoo), whose architecture the defaults have.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     zoo = build_cnn_zoo(f"{folder}/zoo", channels=[4], count=10, epochs=1)
    ...     len(zoo), str(zoo.spec)
    (10, '1 -> 4 -> 10, kernels 3x3, strides 2x2, pictures 16x16, relu')
    """
    pictures = _loaded(images, size)
    spec = cnn_spec(pictures, activation, channels=channels, kernel=kernel, hidden=hidden)
    context = context or Context()
    if spec.paddings[0] != (0, 0):
        height, width = pictures.pixels.shape[2:]
        context.progress.note(f"pictures of {height}x{width} pixels are small, so every convolution has padding 1")
    return _classifiers(spec, pictures, out, count, epochs, seed, force, context)


def build_mlp_zoo(
    out: str | Path,
    images: str | Path | ImageSet = "digits",
    *,
    activation: str = "relu",
    hidden: Sequence[int] = MLP_HIDDEN,
    count: int = 600,
    epochs: int = 10,
    size: int | None = None,
    seed: int = 0,
    force: bool = False,
    context: Context | None = None,
) -> Zoo:
    """Train a zoo of dense image classifiers on flattened pictures: ``mnfn zoo build mlp``.

    Args:
        out: the folder of the zoo.
        images: pictures with labels, as ``load_images`` reads or returns them.
        activation: the activation after every layer but the last, such as ``relu`` or ``tanh``.
        hidden: the widths of the hidden layers.
        count: the number of networks.
        epochs: the number of passes of each network over its part of the pictures.
        size: the side in pixels to which pictures are resized; by default 16 for digits, and others stay as they are.
        seed: the seed of all random draws.
        force: replace an existing zoo.
        context: the device, and where progress is reported; by default the CPU, in silence.

    Returns:
        the zoo, with the column ``test_accuracy`` in [0, 1].

    Raises:
        UsageError: the pictures have no labels, or an argument does not fit.
        DataError: a picture cannot be read, or there are too few.
        OutputError: the output exists, is in use, or another build is unfinished under its name.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     build_mlp_zoo(f"{folder}/zoo", hidden=[4], count=10, epochs=1, size=8).spec.widths
    (64, 4, 10)
    """
    pictures = _loaded(images, size)
    spec = mlp_spec(pictures, activation, hidden=hidden)
    return _classifiers(spec, pictures, out, count, epochs, seed, force, context or Context())


def _classifiers(
    spec: NetworkSpec,
    pictures: ImageSet,
    out: str | Path,
    count: int,
    epochs: int,
    seed: int,
    force: bool,
    context: Context,
) -> Zoo:
    plan = ClassifierZooPlan(spec, count, epochs, seed)
    context.progress.note(f"training {count} networks {spec} on {context.device}")
    return build_classifier_zoo(plan, pictures, Path(out), force=force, context=context)


def build_siren_zoo(
    out: str | Path,
    images: str | Path | ImageSet = "digits",
    *,
    init: str | None = None,
    like: InrDesign | None = None,
    copies: int = 1,
    width: int | None = None,
    depth: int | None = None,
    omega: float | None = None,
    steps: int | None = None,
    learning_rate: float | None = None,
    size: int | None = None,
    count: int | None = None,
    seed: int = 0,
    force: bool = False,
    context: Context | None = None,
) -> Zoo:
    """Fit an implicit neural representation, a SIREN, to every picture: ``mnfn zoo build siren``.

    A SIREN computes ``sin(omega * (W x + b))`` in every layer but the last, from the coordinates of a pixel on [-1, 1].
    An interrupted build continues when it is called again.

    Args:
        out: the folder of the zoo.
        images: pictures, as ``load_images`` reads or returns them.
        init: ``random`` if each network starts from weights of its own (the default), ``shared`` if all start from
            the same.
        like: how the INRs of another zoo or run were fitted (``design_of``), which decides all but ``images``, ``out``,
            ``count``, ``copies`` and ``seed``.
        copies: the number of networks that are fitted to each picture.
        width: the width of the hidden layers; by default 16 up to 16x16 pixels, else 32.
        depth: the number of hidden layers; by default 2.
        omega: the frequency; by default 15 up to 16x16 pixels, else 30.
        steps: the number of steps of Adam; by default 400 up to 16x16 pixels, else 150.
        learning_rate: the step size of Adam; by default 0.001.
        size: the side in pixels to which pictures are resized; by default 16 for digits, and others stay as they are.
        count: the number of pictures, drawn at random; by default all.
        seed: the seed of all random draws.
        force: replace an existing zoo.
        context: the device, and where progress is reported; by default the CPU, in silence.

    Returns:
        the zoo, with the columns ``psnr`` in dB, ``mse``, and ``class`` where pictures have labels.

    Raises:
        UsageError: an argument does not fit, or is given beside ``like``.
        DataError: a picture cannot be read.
        NumericError: a fit left the finite numbers.
        OutputError: the output exists, is in use, or another build is unfinished under its name.

    Source:
        Sitzmann et al. 2020.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     build_siren_zoo(f"{folder}/zoo", width=4, count=10, steps=2).spec.widths
    (2, 4, 4, 1)
    """
    context = context or Context()
    every = {
        "init": init,
        "width": width,
        "depth": depth,
        "omega": omega,
        "steps": steps,
        "learning_rate": learning_rate,
    }
    design, pictures, note = _design(images, like, size, count, seed, every)
    if note:
        context.progress.note(note)
    number, fit = copies * len(pictures.pixels), design.fit
    what = f"{number} networks {design.spec}, {fit.init} start, {fit.steps} steps"
    context.progress.note(f"fitting {what}, on {context.device}")
    plan = SirenZooPlan(design, copies, seed)
    return fit_siren_zoo(plan, pictures, Path(out), force=force, context=context)


def _design(
    images: str | Path | ImageSet,
    like: InrDesign | None,
    size: int | None,
    count: int | None,
    seed: int,
    every: Mapping[str, Any],
) -> tuple[InrDesign, ImageSet, str | None]:
    """Return how pictures are fitted, those that are, and a note if they were changed."""
    own = {name: value for name, value in every.items() if value is not None}
    if like is None:
        pictures = choose_images(_loaded(images, size), count, seed)
        return siren_design(pictures, seed=seed, **own), pictures, None
    require_only_like(like, size, own)
    pictures, note = fit_channels(choose_images(_loaded(images, size, like.fit.size), count, seed), like.channels)
    return like, pictures, note


def _loaded(images: str | Path | ImageSet, size: int | None, expected: tuple[int, int] | None = None) -> ImageSet:
    return images if isinstance(images, ImageSet) else load_images(str(images), size, expected=expected)
