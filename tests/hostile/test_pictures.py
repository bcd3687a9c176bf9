"""Pictures and labels that are not what they should be, and pictures of every kind that are."""

import io
import os
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from damage import case, nothing, write
from PIL import Image

from mnfn_cli.zoo.picture_file import read_picture

SIREN = "zoo build siren --images pics --steps 2 --width 4 --size 8 -o o"
LIKE = "zoo build siren --images pics --like inr -o o"
CNN = "zoo build cnn --images pictures.npz --count 2 --epochs 1 --size 9 -o o"


def pictures(name=None, picture=None, **options):
    """Return a function that makes a folder of pictures, one of them another one."""

    def damage():
        Path("pics").mkdir()
        Image.new("L", (8, 8), 100).save("pics/a.png")
        if picture is not None:
            made = picture() if callable(picture) else picture
            if isinstance(made, bytes):
                (Path("pics") / name).write_bytes(made)
            else:
                made.save(Path("pics") / name, **options)

    return damage


def png(width, height):
    """A PNG of 8x8 pixels whose header claims another size."""
    buffer = io.BytesIO()
    Image.new("L", (8, 8)).save(buffer, "PNG")
    content = bytearray(buffer.getvalue())
    content[16:24] = struct.pack(">II", width, height)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    return bytes(content)


def half():
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(buffer, "PNG")
    return buffer.getvalue()[:600]


def floats(number):
    return lambda: Image.fromarray(np.full((8, 8), number, dtype=np.float32))


def npz(**arrays):
    def damage():
        np.savez("pictures.npz", **arrays)

    return damage


def claims():
    text = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 8, 8), }"
    with zipfile.ZipFile("pictures.npz", "w") as archive:
        archive.writestr("images.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text) + 1) + text + b"\n")


PIXELS = np.zeros((4, 8, 8))
B = "pics/b"


@pytest.mark.parametrize(
    "case",
    [
        case("I1", "truncated", pictures("b.png", half), SIREN, 3, f"{B}.png", "no readable picture"),
        case("I1", "no picture", pictures("b.png", b"GIF89a"), SIREN, 3, f"{B}.png", "no readable picture"),
        case("I2", "zero-size", pictures("b.png", png(0, 0)), SIREN, 3, f"{B}.png", "no readable picture"),
        case("I2", "empty", pictures("b.png", b""), SIREN, 3, f"{B}.png", "no readable picture"),
        case("I3", "floats beyond 1", pictures("b.tif", floats(300.0)), SIREN, 3, f"{B}.tif", "between 0 and 1"),
        case("I3", "NaN", pictures("b.tif", floats(float("nan"))), SIREN, 3, f"{B}.tif", "between 0 and 1"),
        case("I3", "beyond 16 bits", pictures("b.tif", lambda: Image.fromarray(np.full((8, 8), 70_000, np.int32))),
             SIREN, 3, f"{B}.tif", "between 0 and 65535"),
        case("I8", "bomb", pictures("b.png", png(12_000, 9_000)), SIREN, 3, f"{B}.png",
             "12000x9000 pixels; at most 50000000", real=True),
        case("I8", "larger", pictures("b.png", png(60_000, 60_000)), SIREN, 3, f"{B}.png"),
        case("I9", "other size", pictures("b.png", lambda: Image.new("L", (9, 8))), SIREN.replace(" --size 8", ""), 2,
             "pictures differ in size"),
        case("I9", "unlike --like", pictures("b.png", lambda: Image.new("L", (9, 9))), LIKE, 3,
             "expected"),
        case("I10", "out of range", npz(images=PIXELS, labels=[0, 1, 2, 9]), CNN, 3, "pictures.npz:labels"),
        case("I10", "negative", npz(images=PIXELS, labels=[0, 1, -1, 0]), CNN, 3, "pictures.npz:labels"),
        case("I11", "fractional", npz(images=PIXELS, labels=[0, 1, 0.5, 0]), CNN, 3, "pictures.npz:labels"),
        case("I12", "missing", npz(images=PIXELS), CNN, 2, "without labels"),
        case("I12", "too few", npz(images=PIXELS, labels=[0, 1]), CNN, 3, "pictures.npz:labels"),
        case("F15", "objects", npz(images=np.array([{}], dtype=object)), CNN, 3, "holds Python objects"),
        case("F16", "a header of terabytes", claims, CNN, 3, "pictures.npz:images", "64,000,000,000,000 values"),
        case("F12", "no zip", write("pictures.npz", b"hello"), CNN, 3, "pictures.npz", "no readable .npz file"),
        case("H11", "FIFO", 
             lambda: (pictures()(), os.mkfifo("pics/b.png")), SIREN, 3, f"{B}.png", "is no regular file"),
        case("I8", "--size", nothing, CNN.replace("--size 9", "--size 100000"), 2, "--size: 100000 makes"),
    ],
)  # fmt: skip
def test_bad_pictures_are_named(refused, case):
    lines = case.check(refused)
    assert "allow_pickle" not in lines[0]


GREY = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4


@pytest.mark.parametrize(
    ("name", "picture", "channels"),
    [
        pytest.param("16.png", Image.fromarray(GREY.astype(np.uint16) * 257), 1, marks=pytest.mark.fault("I3")),
        pytest.param("f.tif", Image.fromarray(GREY / np.float32(255)), 1, marks=pytest.mark.fault("I3")),
        pytest.param("cmyk.tif", Image.fromarray(GREY).convert("CMYK"), 3, marks=pytest.mark.fault("I4")),
        pytest.param("p.png", Image.fromarray(GREY).convert("P"), 3, marks=pytest.mark.fault("I5")),
        pytest.param("la.png", Image.fromarray(GREY).convert("LA"), 1, marks=pytest.mark.fault("I6")),
        pytest.param("rgba.png", Image.fromarray(GREY).convert("RGBA"), 3, marks=pytest.mark.fault("I6")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_pictures_of_every_kind_are_the_same_picture(tmp_path, name, picture, channels):
    picture.save(tmp_path / name)
    read = read_picture(tmp_path / name)
    assert read.shape == (channels, 8, 8)
    assert torch.allclose(read, torch.from_numpy(GREY / np.float32(255)).expand_as(read), atol=2e-3)


@pytest.mark.fault("I7")
def test_a_picture_is_turned_as_its_exif_data_say(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    Image.fromarray(GREY).save(tmp_path / "x.png", exif=exif)
    assert torch.equal(read_picture(tmp_path / "x.png")[0], torch.from_numpy(np.rot90(GREY, -1) / np.float32(255)))
