"""Real pictures in, [0, 1] out; every kind of picture a user may have."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_images

from mnfn_cli.errors import DataError, UsageError
from mnfn_cli.zoo import picture_file as module
from mnfn_cli.zoo.images import load_images
from mnfn_cli.zoo.picture_file import read_picture


def test_digits():
    digits = load_images("digits")
    assert digits.pixels.shape == (1797, 1, 16, 16)
    assert digits.pixels.min() >= 0 and digits.pixels.max() <= 1
    assert digits.labels.bincount().min() > 170 and len(digits.classes) == 10
    assert load_images("digits", 8).pixels.shape == (1797, 1, 8, 8)


def test_folder_with_classes(tmp_path):
    for name, shade in (("dark", 10), ("light", 240)):
        (tmp_path / name).mkdir()
        for number in (1, 2, 10):
            Image.new("L", (12, 10), shade + number).save(tmp_path / name / f"{number}.png")
    (tmp_path / "dark" / ".DS_Store").write_text("")
    loaded = load_images(str(tmp_path))
    assert loaded.pixels.shape == (6, 1, 10, 12)
    assert loaded.labels.tolist() == [0, 0, 0, 1, 1, 1] and loaded.classes == ("dark", "light")
    assert (loaded.pixels[:3, 0, 0, 0] * 255).round().tolist() == [11, 12, 20]  # 2 before 10
    assert load_images(str(tmp_path), size=8).pixels.shape == (6, 1, 8, 8)


def test_bare_folder_has_no_labels(tmp_path):
    Image.new("RGB", (8, 8), "red").save(tmp_path / "a.png")
    Image.new("L", (8, 8), 0).save(tmp_path / "b.png")
    loaded = load_images(str(tmp_path))
    assert loaded.labels is None and loaded.pixels.shape == (2, 3, 8, 8)


def test_sizes_that_differ_need_a_size(tmp_path):
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    Image.new("L", (9, 8)).save(tmp_path / "b.png")
    with pytest.raises(UsageError, match="--size"):
        load_images(str(tmp_path))
    assert load_images(str(tmp_path), 8).pixels.shape == (2, 1, 8, 8)


def test_npz(tmp_path):
    pictures = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    np.savez(tmp_path / "data.npz", images=pictures, labels=[0, 1, 2, 1, 0])
    loaded = load_images(str(tmp_path / "data.npz"))
    assert loaded.pixels.shape == (5, 3, 8, 8) and loaded.labels.tolist() == [0, 1, 2, 1, 0]
    assert loaded.pixels[0, 1, 2, 3] == pytest.approx(pictures[0, 2, 3, 1] / 255)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"pictures": np.zeros((2, 8, 8))}, "no array 'images'"),
        ({"images": np.zeros((8, 8))}, "expected"),
        ({"images": np.zeros((2, 8, 8), dtype=np.int32)}, "expected uint8"),
        ({"images": np.full((2, 8, 8), 3.0)}, "expected uint8"),
        ({"images": np.full((2, 8, 8), np.nan)}, "expected uint8"),
        ({"images": np.zeros((0, 8, 8))}, "expected"),
        ({"images": np.zeros((2, 8, 8)), "labels": np.array([0.5, 1])}, "labels"),
        ({"images": np.zeros((2, 8, 8)), "labels": np.array([0])}, "labels"),
        ({"images": np.zeros((2, 8, 8)), "labels": np.array([-1, 0])}, "labels"),
        ({"images": np.zeros((2, 8, 8)), "labels": np.array([0, 900])}, "labels"),
        ({"images": np.array([object()])}, "Python objects"),
    ],
)
def test_bad_npz(tmp_path, arrays, message):
    np.savez(tmp_path / "data.npz", **arrays)
    with pytest.raises(DataError, match=message):
        load_images(str(tmp_path / "data.npz"))


def test_every_kind_of_picture(tmp_path):
    def read(picture, name="x.png", **options):
        picture.save(tmp_path / name, **options)
        return read_picture(tmp_path / name)

    deep = Image.fromarray(np.full((4, 4), 32768, dtype=np.uint16))
    assert read(deep)[0, 0, 0] == pytest.approx(32768 / 65535)
    assert read(Image.new("CMYK", (4, 4), (255, 255, 255, 255)), "x.jpg").shape == (3, 4, 4)
    assert read(Image.new("P", (4, 4))).shape == (3, 4, 4)
    assert read(Image.new("1", (4, 4), 1)).max() == 1
    clear = read(Image.new("RGBA", (4, 4), (0, 0, 0, 0)))
    assert clear.shape == (3, 4, 4) and clear.min() == 1  # what is transparent shows white
    wide = Image.new("L", (6, 3))
    exif = wide.getexif()
    exif[0x0112] = 6
    assert read(wide, "x.jpg", exif=exif).shape == (1, 6, 3)  # turned as its EXIF data say


def test_every_bad_picture_is_named(tmp_path, monkeypatch):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "good.png")
    content = (tmp_path / "good.png").read_bytes()
    (tmp_path / "torn.png").write_bytes(content[: len(content) // 2])
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(DataError) as caught:
        load_images(str(tmp_path))
    assert [fault.split(".png")[0].rsplit("/")[-1] for fault in caught.value.faults] == ["empty", "text", "torn"]
    monkeypatch.setattr(module, "MAX_PIXELS", 10)
    with pytest.raises(DataError, match="at most 10"):
        read_picture(tmp_path / "good.png")


def test_photographs_are_cut_without_overlap():
    photos = load_images("photos")
    assert photos.pixels.shape == (520, 3, 32, 32) and photos.labels is None
    assert photos.pixels.min() >= 0 and photos.pixels.max() <= 1
    first = torch.tensor(load_sample_images().images[0][:64, :96], dtype=torch.float32).movedim(2, 0) / 255
    assert torch.equal(photos.pixels[0], first[:, :32, :32])
    assert torch.equal(photos.pixels[21], first[:, 32:, 32:64])  # 20 patches a row
    assert photos.ids[:2] == ("china-000", "china-001") and photos.ids[260] == "flower-000"
    assert load_images("photos", 16).pixels.shape == (520, 3, 16, 16)


def test_every_picture_has_a_name_of_its_own(tmp_path):
    assert load_images("digits", 8).ids[42] == "0042"
    for name in ("one/a.png", "two/a.png", "two/b.png", 'odd/ünique, "name".png'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("L", (4, 4)).save(tmp_path / name)
    assert load_images(str(tmp_path / "two")).ids == ("a", "b")
    assert load_images(str(tmp_path / "odd")).ids == ("_nique_name_",)
    assert load_images(str(tmp_path)).ids == ("odd-_nique_name_", "one-a", "two-a", "two-b")
    Image.new("L", (4, 4)).save(tmp_path / "two" / "a.bmp")
    assert load_images(str(tmp_path / "two")).ids == ("two-a.bmp", "two-a.png", "two-b.png")
    Image.new("L", (4, 4)).save(tmp_path / "two" / "b?.bmp")
    Image.new("L", (4, 4)).save(tmp_path / "two" / "b!.bmp")
    ids = load_images(str(tmp_path / "two")).ids
    assert len(set(ids)) == len(ids) == 5
    assert load_images(str(tmp_path / "one" / "a.png")).ids == ("a",)


def test_pictures_of_an_expected_size(tmp_path):
    for number, size in enumerate([(8, 8), (9, 8), (8, 7)]):
        Image.new("L", size).save(tmp_path / f"{number}.png")
    with pytest.raises(DataError) as caught:
        load_images(str(tmp_path), expected=(8, 8))
    assert len(caught.value.faults) == 2 and "give --size 8" in caught.value.faults[0]
    assert load_images(str(tmp_path), 8, expected=(8, 8)).pixels.shape == (3, 1, 8, 8)
    with pytest.raises(DataError, match="photos: is 32 pixels high"):
        load_images("photos", expected=(16, 16))
    assert load_images("digits", expected=(9, 9)).pixels.shape == (1797, 1, 9, 9)


def test_the_checksum_changes_with_pixels_order_labels_and_names():
    digits = load_images("digits", 8).select(range(30))
    assert digits.checksum() == load_images("digits", 8).select(range(30)).checksum()
    # All of these have the same sum of pixels.
    mirrored = replace(digits, pixels=digits.pixels.flip(-1))
    permuted = digits.select(list(reversed(range(30))))
    relabelled = replace(digits, labels=(digits.labels + 1) % 10)
    unlabelled = replace(digits, labels=None)
    renamed = replace(digits, ids=tuple(reversed(digits.ids)))
    retitled = replace(digits, classes=tuple("abcdefghij"))
    every = [digits, mirrored, permuted, relabelled, unlabelled, renamed, retitled]
    assert len({images.checksum() for images in every}) == len(every)


def test_unknown_sources(tmp_path):
    with pytest.raises(UsageError, match="neither"):
        load_images("digit")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no picture"):
        load_images(str(tmp_path / "empty"))
    (tmp_path / "torn.npz").write_bytes(b"PK")
    with pytest.raises(DataError, match="no readable"):
        load_images(str(tmp_path / "torn.npz"))
    assert torch.get_default_dtype() == torch.float32
