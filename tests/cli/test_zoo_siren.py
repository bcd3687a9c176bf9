"""zoo build siren and zoo render, as a user types them."""

import json

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def zoo(mnfn, tmp_path):
    small = ("--size", 8, "--count", 6, "--width", 4, "--steps", 3)
    mnfn("zoo", "build", "siren", "--init", "shared", *small, "-o", "zoo")
    return tmp_path / "zoo"


def save(path, size=(8, 8), mode="L"):
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], *((3,) if mode == "RGB" else ())))
    Image.fromarray(noise.astype(np.uint8)).save(path)


def test_build_look_draw(mnfn, zoo):
    shown = json.loads(mnfn("zoo", "info", "zoo", "--json"))
    assert shown["networks"] == 6 and 0 < shown["psnr"]["quantiles"]["0.5"] < 60
    assert "PSNR" in mnfn("zoo", "info", "zoo") and "no fault" in mnfn("zoo", "verify", "zoo")
    assert json.loads(mnfn("zoo", "render", "zoo", "-o", "grid.png", "--limit", 3, "--json"))["networks"] == 3
    with Image.open("grid.png") as grid:
        assert grid.format == "PNG" and min(grid.size) > 200
    assert "exists already" in mnfn("zoo", "render", "zoo", "-o", "grid.png", code=6)
    mnfn("zoo", "render", "zoo", "-o", "grid.png", "--split", "test", "--force")
    name = shown_ids(zoo)[0]
    mnfn("zoo", "render", "zoo", "-o", "one.png", "--ids", name)
    assert "no network 77" in mnfn("zoo", "render", "zoo", "-o", "two.png", "--ids", "77", code=2)
    assert "exists already" in mnfn("zoo", "build", "siren", "--count", 2, "--steps", 1, "-o", "zoo", code=6)


def shown_ids(zoo):
    return [line.split(",")[0] for line in (zoo / "table.csv").read_text().splitlines()[1:]]


def test_other_zoos_are_not_drawn(mnfn, digits_zoo):
    assert "no INRs" in mnfn("zoo", "render", digits_zoo.path, "-o", "grid.png", code=2)


def test_a_users_own_pictures_like_a_zoo(mnfn, zoo, tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    save(own / "cat.png")
    save(own / "my dog.png", mode="RGB")
    mnfn("zoo", "build", "siren", "--images", "own", "--like", "zoo", "-o", "mine")
    assert shown_ids(tmp_path / "mine") == ["cat", "my_dog"]
    made, theirs = (json.loads((tmp_path / name / "zoo.json").read_text())["made"] for name in ("mine", "zoo"))
    assert {made[key] == theirs[key] for key in ("init", "start", "steps", "learning_rate", "size")} == {True}
    save(own / "large.png", (9, 7))
    save(own / "larger.png", (20, 20))
    told = mnfn("zoo", "build", "siren", "--images", "own", "--like", "zoo", "-o", "more", code=3).splitlines()
    assert len(told) == 2 and "large.png: is 7 pixels high and 9 wide, expected 8 x 8; give --size 8" in told[0]
    like = ("--like", "zoo", "--size", 8)
    mnfn("zoo", "build", "siren", "--images", "own", *like, "-o", "more")
    one = mnfn("zoo", "build", "siren", "--images", "own/larger.png", *like, "-o", "one", "--json")
    assert json.loads(one)["networks"] == 1 and shown_ids(tmp_path / "one") == ["larger"]
    conflict = mnfn("zoo", "build", "siren", "--like", "zoo", "--width", 8, "--lr", 1, "-o", "x", code=2)
    assert "--width, --lr" in conflict
    assert "--size" in mnfn("zoo", "build", "siren", "--like", "zoo", "--size", 9, "-o", "x", code=2)


def test_bad_input_is_one_line_each(mnfn, tmp_path):
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "a.png").write_bytes(b"no picture")
    (tmp_path / "torn" / "b.png").write_bytes(b"")
    (tmp_path / "empty").mkdir()

    def siren(*arguments, code):
        return mnfn("zoo", "build", "siren", *arguments, "-o", "zoo", code=code)

    assert len(siren("--images", "torn", code=3).splitlines()) == 2
    assert "holds no picture" in siren("--images", "empty", code=3)
    assert "no readable picture" in siren("--images", "torn/a.png", code=3)
    assert "neither" in siren("--images", "nothing", code=2)
    assert "--count" in siren("--count", 0, code=2)
    assert "--count" in siren("--count", 2000, code=2)
    assert "--init" in siren("--init", "same", code=2)
    assert "equal" in siren("--init", "shared", "--copies", 2, code=2)
    assert "positive" in siren("--lr", 0, code=2)
    assert "not finite" in siren("--count", 2, "--lr", "1e38", "--steps", 4, code=5)
    assert not (tmp_path / "zoo").exists() and not (tmp_path / "zoo.mnfn-partial").exists()


def test_photographs_are_for_inrs_only(mnfn):
    assert "without labels" in mnfn("zoo", "build", "cnn", "--images", "photos", "-o", "zoo", code=2)


def test_fits_that_hold_nothing_are_said(mnfn, monkeypatch):
    from mnfn_cli.cli import build as commands

    notes = []
    monkeypatch.setattr(commands.Console, "note", lambda self, text: notes.append(text))
    small = ("--size", 8, "--count", 3, "--width", 4)
    mnfn("zoo", "build", "siren", *small, "--steps", 1, "-o", "poor")
    assert any("hard to recognise" in note for note in notes)
