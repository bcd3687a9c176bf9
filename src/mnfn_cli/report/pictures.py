"""Draw grids of pictures as PNG files, such as the pictures that INRs encode beside the original pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mnfn_cli.storage.atomic import replacing
from mnfn_cli.storage.outputs import Output, check_outputs
from mnfn_cli.tasks.edits import on_symmetric_range
from mnfn_cli.weightspace.rendering import render
from mnfn_cli.zoo.export import choose_rows
from mnfn_cli.zoo.inr_design import InrDesign
from mnfn_cli.zoo.store import Zoo, open_zoo

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont

    Font = ImageFont | FreeTypeFont

TILE = 96
"""The least length of the shorter side of an enlarged picture, in pixels of the PNG."""
GAP = 6
FONT_SIZE = 12
LINE = 15
COLUMNS = 12
"""The largest number of pictures in a row of the grid; further pictures go below."""


def draw_grid(rows: Mapping[str, Tensor], picture: Path, titles: Sequence[str] = ()) -> None:
    """Write what ``grid_image`` draws into the PNG file ``picture``; raises StorageError if that cannot be done."""
    _save(grid_image(rows, titles), picture)


def grid_image(rows: Mapping[str, Tensor], titles: Sequence[str] = ()) -> "Image":
    """Draw rows of pictures, enlarged without smoothing. Each column shows versions of one picture.

    Args:
        rows: by the row's name, grey or colour pictures ``(n, channels, height, width)`` on [-1, 1], to which they are
            clipped. All rows have the same ``n`` >= 1, height and width.
        titles: a text of one or more lines for each of the ``n`` columns. The beginning of a line that is too long is
            cut off.
    """
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(FONT_SIZE)
    count, _, height, width = next(iter(rows.values())).shape
    factor = -(-TILE // min(height, width))
    tile_height, tile_width = factor * height, factor * width
    left = GAP + max(round(font.getlength(name)) for name in rows) + GAP
    top = LINE * max((title.count("\n") + 1 for title in titles), default=0)
    bands = -(-count // COLUMNS)
    band_height = GAP + top + len(rows) * (tile_height + GAP)
    size = (left + min(count, COLUMNS) * (tile_width + GAP), bands * band_height + GAP)
    canvas = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(canvas)
    for band in range(bands):
        below = band * band_height + GAP
        for position, column in enumerate(range(band * COLUMNS, min(count, (band + 1) * COLUMNS))):
            x = left + position * (tile_width + GAP)
            if titles:
                _write(pen, font, (x, below), titles[column], tile_width)
            for row, tensors in enumerate(rows.values()):
                tile = to_image(tensors[column]).resize((tile_width, tile_height), Image.Resampling.NEAREST)
                canvas.paste(tile, (x, below + top + row * (tile_height + GAP)))
        for row, name in enumerate(rows):
            pen.text(
                (GAP, below + top + row * (tile_height + GAP) + tile_height // 2), name, "black", font, anchor="lm"
            )
    return canvas


def render_zoo(
    zoo: str | Path | Zoo,
    output: str | Path | None = None,
    *,
    split: str | None = None,
    ids: Sequence[str] = (),
    limit: int = 12,
    force: bool = False,
) -> "Image":
    """Draw the pictures that INRs encode, below the original pictures if the zoo holds those: ``mnfn zoo render``.

    Args:
        zoo: a zoo of INRs, open or by path.
        output: a PNG file to write; by default none is written.
        split: the split to draw, ``train``, ``val`` or ``test``; all by default.
        ids: the ids of the networks to draw; all by default.
        limit: the largest number of networks to draw.
        force: replace an existing file.

    Returns:
        a ``PIL.Image.Image``, which a notebook shows where it is the last value of a cell.

    Raises:
        UsageError: the zoo's networks are not INRs, it has no network with one of the ids, or none is selected.
        DataError: there is no zoo, or its zoo.json does not hold the size of the pictures.
        OutputError: the file exists, or lies in the zoo.
        StorageError: the file cannot be written.

    >>> from tempfile import TemporaryDirectory
    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures, render_zoo, save_zoo
    >>> spec = NetworkSpec.mlp([2, 8, 8, 1], activation="sin", omega=15.0)
    >>> table = {"id": ["a", "b"], "split": ["train", "test"]}
    >>> facts = {"size": [16, 16], "init": "random"}
    >>> with TemporaryDirectory() as folder:
    ...     zoo = save_zoo(f"{folder}/zoo", spec, WeightSpaceFeatures.randn(spec, 2), table, made=facts)
    ...     render_zoo(zoo, split="test").mode
    'RGB'
    """
    opened = open_zoo(zoo)
    if output is not None:
        check_outputs([Output(Path(output))], [opened.path], force=force)
    rows = choose_rows(opened, split=split, ids=ids, limit=limit)
    titles = [opened.ids[row] for row in rows]
    if "psnr" in opened.table.columns:
        titles = [f"{title}\n{opened.table['psnr'][row]:.1f} dB" for title, row in zip(titles, rows, strict=True)]
    image = grid_image(renderings(opened, rows), titles)
    if output is not None:
        _save(image, Path(output))
    return image


def renderings(zoo: Zoo, rows: Sequence[int]) -> dict[str, Tensor]:
    """Return the pictures that INRs encode, and the original ones if the zoo holds those.

    Args:
        zoo: a zoo of INRs.
        rows: the rows of the networks in the zoo's table; at least one.

    Raises:
        UsageError, DataError: as in ``render_zoo``.

    Returns:
        by ``picture`` and ``network``, pictures ``(rows, channels, height, width)`` on [-1, 1].
    """
    design = InrDesign.of_zoo(zoo)
    grids = {"network": render(zoo.spec, zoo.read(rows), design.fit.size)}
    originals = zoo.pictures_of(rows)
    if originals is not None:
        grids = {"picture": originals} | grids
    return {name: on_symmetric_range(grid, design.fit.pixel_range) for name, grid in grids.items()}


def to_image(tensor: Tensor) -> "Image":
    """Convert a tensor ``(1 or 3, height, width)`` on [-1, 1] into an image; pixels that are NaN become red."""
    from PIL import Image

    known = tensor.detach().float().cpu()
    red = torch.tensor([1.0, -1.0, -1.0])[:, None, None]
    colour = torch.where(known.isnan(), red, known).clamp(-1, 1)
    levels = ((colour + 1) * 127.5).round().to(torch.uint8).movedim(0, 2)
    return Image.fromarray(levels.contiguous().numpy())


def _save(image: "Image", picture: Path) -> None:
    with replacing(picture) as temporary:
        image.save(temporary, format="PNG")


def _write(pen: "ImageDraw", font: "Font", place: tuple[int, int], text: str, room: int) -> None:
    for number, line in enumerate(text.split("\n")):
        # The beginning is cut off, because similar names differ at their ends.
        shown = line
        while len(shown) > 4 and font.getlength(shown) > room:
            shown = "..." + shown.removeprefix("...")[1:]
        pen.text((place[0], place[1] + number * LINE), shown, "black", font)
