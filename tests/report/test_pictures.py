"""Grids of pictures: every pixel where it belongs, enlarged without smoothing."""

import numpy as np
import torch
from PIL import Image

from mnfn_cli.report.pictures import GAP, TILE, draw_grid


def pixels(file):
    """Return a PNG's pixels, ``(height, width, 3)``."""
    with Image.open(file) as picture:
        return np.asarray(picture)


def test_pixels_become_squares_and_rows_keep_their_order(tmp_path):
    bright = torch.full((2, 1, 8, 8), 0.0)
    bright[0, 0, 0, 0] = -1.0
    coloured = torch.zeros(2, 3, 8, 8)
    coloured[1] = torch.tensor([-3.0, 2.0, float("nan")])[:, None, None]
    draw_grid({"above": bright, "below": coloured}, tmp_path / "grid.png")
    grid = pixels(tmp_path / "grid.png")
    left = grid.shape[1] - 2 * (TILE + GAP)
    square = TILE // 8
    first = grid[GAP : GAP + TILE, left : left + TILE]
    assert (first[:square, :square] == 0).all()
    assert (first[square:] == 128).all() and (first[:square, square:] == 128).all()
    last = grid[2 * GAP + TILE : 2 * GAP + 2 * TILE, left + TILE + GAP : left + 2 * TILE + GAP]
    assert (last == [0, 255, 0]).all()  # cut off at -1 and at 1; what is no number adds no blue
    assert (grid[GAP : 2 * GAP + 2 * TILE, :left] < 100).any()  # the rows' names


def test_titles_and_more_pictures_than_fit_beside_each_other(tmp_path):
    pictures = torch.ones(14, 1, 4, 4)
    draw_grid({"row": pictures}, tmp_path / "bare.png")
    draw_grid({"row": pictures}, tmp_path / "titled.png", [f"a very long name of a picture, {i}" for i in range(14)])
    bare, titled = (pixels(tmp_path / name) for name in ("bare.png", "titled.png"))
    assert bare.shape[0] > 2 * TILE and titled.shape[1] == bare.shape[1] and titled.shape[0] > bare.shape[0]
    left = bare.shape[1] - 12 * (TILE + GAP)
    assert (bare[:, left:] == 255).all() and (titled[:, left:] < 100).any()
    gaps = [left + i * (TILE + GAP) - GAP for i in range(1, 12)]
    assert all((titled[:, gap : gap + GAP] == 255).all() for gap in gaps)  # no title runs into the next


def test_a_grid_of_one_wide_picture(tmp_path):
    draw_grid({"picture": torch.zeros(1, 3, 100, 300)}, tmp_path / "grid.png", ["one"])
    assert pixels(tmp_path / "grid.png").shape[1] >= 300
