"""Targets of the edits: what OpenCV makes, on pixels that were worked out by hand."""

import numpy as np
import torch

from mnfn_cli.tasks.edits import edit_pictures


def test_dilation_takes_the_brightest_neighbour():
    picture = torch.full((1, 1, 5, 5), -1.0)
    picture[0, 0, 1, 1] = 1.0
    picture[0, 0, 4, 4] = 0.2
    dilated = edit_pictures("dilate", picture)[0, 0]
    expected = torch.full((5, 5), -1.0)
    expected[0:3, 0:3] = 1.0
    expected[3:5, 3:5] = round((0.2 + 1) * 127.5) / 127.5 - 1
    torch.testing.assert_close(dilated, expected)


def test_dilation_works_on_each_colour_alone():
    picture = torch.rand(2, 3, 6, 6, generator=torch.Generator().manual_seed(0)) * 2 - 1
    whole = edit_pictures("dilate", picture)
    for channel in range(3):
        torch.testing.assert_close(
            whole[:, channel : channel + 1], edit_pictures("dilate", picture[:, channel : channel + 1])
        )


def test_contrast_is_clahe_on_lightness():
    import cv2

    random = np.random.default_rng(0)
    levels = random.integers(90, 140, (32, 32, 3)).astype(np.uint8)
    lab = cv2.cvtColor(levels, cv2.COLOR_RGB2LAB)
    lab[..., 0] = cv2.createCLAHE(1.0, (3, 3)).apply(lab[..., 0])
    expected = cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)
    picture = torch.from_numpy(levels).movedim(2, 0)[None].float() / 127.5 - 1
    edited = edit_pictures("contrast", picture)
    assert torch.equal(((edited[0].movedim(0, 2) + 1) * 127.5).round().to(torch.uint8), torch.from_numpy(expected))
    assert edited.std() > picture.std()


def test_grey_stays_grey_and_what_is_beyond_the_range_is_clipped():
    picture = torch.linspace(-2, 2, 64).view(1, 1, 8, 8)
    for name in ("dilate", "contrast"):
        edited = edit_pictures(name, picture)
        assert edited.shape == picture.shape and edited.abs().max() <= 1
