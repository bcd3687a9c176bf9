"""Choose the architecture and the settings by which a zoo of INRs is fitted, and the pictures to fit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch

from mnfn_cli.errors import UsageError
from mnfn_cli.runtime.seeds import generator
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.build.siren_fit import draw_siren
from mnfn_cli.zoo.images import ImageSet
from mnfn_cli.zoo.inr_design import InrDesign, start_fingerprint
from mnfn_cli.zoo.record import PIXEL_RANGE, Fit

INITS = ("random", "shared")
LEARNING_RATE = 1e-3
SMALL_SIDE = 16
FLAT_CONTRAST = 0.1
"""Standard deviation of the luminance, in parts of the range from black to white, below which a picture is flat."""


class Usual(NamedTuple):
    """The defaults for pictures of some size."""

    width: int
    omega: float
    steps: int


SMALL = Usual(16, 15.0, 400)
"""The defaults for pictures of at most ``SMALL_SIDE`` pixels a side, whose grid is too coarse for omega 30."""
LARGE = Usual(32, 30.0, 150)
"""The defaults for larger pictures, with the published architecture."""


def siren_design(
    images: ImageSet,
    *,
    init: str = "random",
    width: int | None = None,
    depth: int = 2,
    omega: float | None = None,
    steps: int | None = None,
    learning_rate: float = LEARNING_RATE,
    seed: int = 0,
) -> InrDesign:
    """Return the architecture and the settings by which pictures are fitted.

    Defaults depend on the size of the pictures: up to 16x16 pixels they are width 16, omega 15 and 400 steps, beyond
    that the published width 32 and omega 30, and 150 steps.

    Args:
        images: the pictures to fit.
        init: ``random`` if each network shall have its own initial weights, ``shared`` if all shall have the same ones.
        width: the width of every hidden layer.
        depth: the number of hidden layers.
        omega: the frequency factor inside the sine.
        steps: the number of steps of Adam.
        learning_rate: the constant step size of Adam.
        seed: the seed of shared initial weights.

    Returns:
        the design, with the shared initial weights if there are any.

    Raises:
        UsageError: an unknown init, or a number that is not positive.
    """
    if init not in INITS:
        raise UsageError("--init", f"'{init}'; choose one of {', '.join(INITS)}")
    size = (images.pixels.shape[2], images.pixels.shape[3])
    usual = SMALL if max(size) <= SMALL_SIDE else LARGE
    width = usual.width if width is None else width
    omega = usual.omega if omega is None else omega
    steps = usual.steps if steps is None else steps
    if depth < 1 or width < 1 or steps < 1 or not omega > 0 or not learning_rate > 0:
        raise UsageError("zoo build siren", "--width, --depth, --omega, --steps and --lr must be positive")
    spec = NetworkSpec.mlp([2, *[width] * depth, images.pixels.shape[1]], activation="sin", omega=omega)
    start = draw_siren(spec, [generator(seed, "start")]) if init == "shared" else None
    fit = Fit(
        init="shared" if init == "shared" else "random",
        start=None if start is None else start_fingerprint(start),
        steps=steps,
        learning_rate=learning_rate,
        size=size,
        pixel_range=PIXEL_RANGE,
    )
    return InrDesign(spec, fit, start)


def require_only_like(design: InrDesign, size: int | None, own: Mapping[str, object]) -> None:
    """Check that a user who fits pictures like those of a zoo or a run chose nothing else beside.

    Args:
        design: how the networks of the zoo or the run were fitted.
        size: pixels a side that the user asked for.
        own: choices, by the names of ``siren_design``, that the user made beside; there must be none.

    Raises:
        UsageError: choices of the user's own, or another size.
    """
    if own:
        options = ", ".join("--lr" if name == "learning_rate" else f"--{name}" for name in own)
        raise UsageError("--like", f"takes everything from {design.folder}; leave out {options}")
    if size is not None and design.fit.size != (size, size):
        height, width = design.fit.size
        raise UsageError(
            "--size", f"{size}, but the pictures of {design.folder} are {height} x {width}; leave --size out"
        )


@dataclass(frozen=True)
class SirenZooPlan:
    """The choices that decide a zoo of INRs; two builds with equal plans and pictures give equal zoos.

    Args:
        design: the architecture of the networks and the settings by which they are fitted.
        copies: the number of networks of each picture, which differ in their initial weights.
        seed: the seed of all random draws.

    Raises:
        UsageError: there is less than one copy, copies would be equal, or the design lacks settings of the fit.
    """

    design: InrDesign
    copies: int
    seed: int

    def __post_init__(self) -> None:
        if self.copies < 1:
            raise UsageError("--copies", f"{self.copies} copies; at least 1")
        if self.copies > 1 and self.design.fit.init == "shared":
            raise UsageError(
                "--copies", f"{self.copies} copies from one shared start would be equal; use --init random"
            )
        missing = [name for name in ("init", "steps", "learning_rate") if getattr(self.design.fit, name) is None]
        if missing:
            raise UsageError("--like", f"does not record how its networks were fitted: no {', '.join(missing)}")


def choose_images(images: ImageSet, count: int | None, seed: int) -> ImageSet:
    """Return some of the pictures, drawn at random, in the order in which they stand; by default all of them.

    Of patches of larger pictures, a flat one, whose contrast is below ``FLAT_CONTRAST``, is drawn only when no other is
    left: an INR of plain sky shows nothing. Of the 520 patches of ``photos`` 317 are flat. With one seed, a larger
    number of pictures includes the pictures of a smaller number.

    Args:
        images: the pictures to draw from.
        count: how many to draw; None for all of them.
        seed: the seed of the zoo.

    Raises:
        UsageError: ``count`` is less than one, or more than there are.
    """
    if count is None:
        return images
    if not 1 <= count <= len(images.pixels):
        raise UsageError("--count", f"{count} pictures; {images.source} has {len(images.pixels)}")
    drawn = torch.randperm(len(images.pixels), generator=generator(seed, "pictures"))
    flat = (images.contrast()[drawn] < FLAT_CONTRAST) & images.patches
    return images.select(sorted(torch.cat([drawn[~flat], drawn[flat]])[:count].tolist()))


def fit_channels(images: ImageSet, channels: int) -> tuple[ImageSet, str | None]:
    """Return the pictures with as many channels as a design needs, 1 for grey or 3 for colour.

    Returns:
        the pictures, and a note for the user if they were changed, else None.
    """
    if images.pixels.shape[1] == channels:
        return images, None
    how = "turned grey (luminance)" if channels == 1 else "grey, repeated in all three channels"
    return images.with_channels(channels), f"{images.source}: the pictures are {how}, as the networks are"
