"""A zoo of INRs: what it holds, which pictures share a split, and how it continues."""

import itertools
import json
from dataclasses import replace

import polars as pl
import pytest
import torch
from PIL import Image

from mnfn_cli.errors import InterruptedRun, NumericError, OutputError, UsageError
from mnfn_cli.runtime.context import Context, Interruption
from mnfn_cli.runtime.seeds import generator
from mnfn_cli.weightspace.rendering import render
from mnfn_cli.zoo.build import siren, siren_fit
from mnfn_cli.zoo.build.siren import fit_siren_zoo, psnr
from mnfn_cli.zoo.build.siren_plan import SirenZooPlan, choose_images, fit_channels, siren_design
from mnfn_cli.zoo.images import load_images
from mnfn_cli.zoo.inr_design import start_fingerprint
from mnfn_cli.zoo.verification import verify_zoo


@pytest.fixture(scope="module")
def digits():
    return choose_images(load_images("digits", 8), 10, seed=1)


@pytest.fixture
def small_chunks(monkeypatch):
    """Make chunks of 4 networks of width 4 on 8x8 pixels, in shares of 2."""
    monkeypatch.setattr(siren_fit, "SHARES", 2)
    monkeypatch.setitem(siren_fit.BUFFER_NUMBERS, "cpu", 2 * 4 * 64)


def plan(images, *, copies=1, seed=0, **options):
    return SirenZooPlan(siren_design(images, **({"width": 4, "steps": 6, "seed": seed} | options)), copies, seed)


def test_it_holds_what_it_says(digits, small_chunks, tmp_path):
    zoo = fit_siren_zoo(plan(digits), digits, tmp_path / "zoo")
    assert verify_zoo(zoo.path) == [] and len(zoo) == 10
    assert zoo.table.columns == ["id", "split", "image_id", "class", "psnr", "mse", "seed"]
    assert zoo.ids == list(digits.ids) and all(len(name) == 4 for name in zoo.ids)
    assert zoo.table["class"].to_list() == digits.labels.tolist()
    assert [len(zoo.rows(split)) for split in ("train", "val", "test")] == [7, 1, 2]
    pictures = zoo.pictures_of()
    assert torch.equal(pictures, digits.pixels * 2 - 1)
    errors = (render(zoo.spec, zoo.read(), (8, 8)) - pictures).square().mean(dim=(1, 2, 3))
    assert zoo.table["mse"].to_list() == pytest.approx(errors.tolist(), rel=1e-4)
    assert zoo.table["psnr"].to_list() == pytest.approx((10 * (4 / errors.double()).log10()).tolist())
    assert zoo.record.images.to_json()["pixel_range"] == [-1, 1]
    made = zoo.record.made.to_json()
    assert (made["init"], made["start"], made["steps"], made["size"]) == ("random", None, 6, [8, 8])
    assert not (zoo.path / "start.safetensors").exists()


def test_random_starts_differ_and_do_not_depend_on_the_other_pictures(digits, tmp_path):
    tiny = plan(digits, steps=1, learning_rate=1e-12)
    flat = fit_siren_zoo(tiny, digits, tmp_path / "all").read().flatten()
    assert (torch.pdist(flat) > 0.1).all()
    some = fit_siren_zoo(tiny, digits.select([2, 5]), tmp_path / "some")
    torch.testing.assert_close(some.read().flatten(), flat[[2, 5]], rtol=0, atol=1e-6)


def test_a_shared_start_is_one_and_stored(digits, tmp_path):
    tiny = plan(digits, init="shared", steps=1, learning_rate=1e-12)
    zoo = fit_siren_zoo(tiny, digits, tmp_path / "zoo")
    start = tiny.design.start_weights
    torch.testing.assert_close(zoo.read().flatten(), start.flatten().expand(10, -1), rtol=0, atol=1e-6)
    assert "start.safetensors" in zoo.record.files and verify_zoo(zoo.path) == []
    assert zoo.record.made.to_json()["start"] == start_fingerprint(start)
    other = plan(digits, init="shared", seed=1).design.fit.start
    assert other != tiny.design.fit.start
    with pytest.raises(UsageError, match="equal"):
        plan(digits, init="shared", copies=2)


def test_copies_of_one_picture_share_a_split(digits, tmp_path):
    zoo = fit_siren_zoo(plan(digits, copies=3, steps=1), digits, tmp_path / "zoo")
    assert len(zoo) == 30 and zoo.ids[:4] == [*(f"{digits.ids[0]}-c{i}" for i in range(3)), f"{digits.ids[1]}-c0"]
    assert zoo.table.group_by("image_id").agg(pl.col("split").n_unique())["split"].to_list() == [1] * 10
    assert zoo.table["split"].n_unique() == 3
    assert zoo.table["seed"].n_unique() == 30
    by_id, pictures = zoo.pictures()
    assert list(by_id) == list(digits.ids) and len(pictures) == 10
    assert torch.equal(zoo.pictures_of([4, 29]), digits.pixels[[1, 9]] * 2 - 1)


def test_interrupted_it_continues_to_the_same_zoo(digits, small_chunks, tmp_path, monkeypatch):
    whole = fit_siren_zoo(plan(digits), digits, tmp_path / "whole")
    output = tmp_path / "zoo"
    calls = itertools.count()

    class StopInTheSecondChunk(Interruption):
        def check(self, where, what_to_do):
            if next(calls) == 14:
                raise InterruptedRun(where, what_to_do)

    with pytest.raises(InterruptedRun):
        fit_siren_zoo(plan(digits), digits, output, context=Context(interruption=StopInTheSecondChunk()))
    assert not output.exists()
    with pytest.raises(OutputError, match="other seed"):
        fit_siren_zoo(plan(digits, seed=1), digits, output)
    with pytest.raises(OutputError, match="other images"):
        fit_siren_zoo(plan(digits), digits.select(range(9)), output)
    with pytest.raises(OutputError, match="other images"):
        fit_siren_zoo(plan(digits), replace(digits, labels=digits.labels.flip(0)), output)
    fitted = []
    fit = siren.fit_networks

    def counted(*arguments, **options):
        fitted.append(arguments[2].shape[0])
        return fit(*arguments, **options)

    monkeypatch.setattr(siren, "fit_networks", counted)
    zoo = fit_siren_zoo(plan(digits), digits, output)
    assert sum(fitted) == 7  # the first chunk, 3 of 10 networks, was kept
    assert zoo.fingerprint == whole.fingerprint
    assert {path.name for path in output.iterdir()} == {path.name for path in whole.path.iterdir()}


@pytest.mark.parametrize("last", ["finish_zoo", "clear_build"])
def test_killed_at_the_very_end_no_network_is_fitted_twice(digits, small_chunks, tmp_path, monkeypatch, last):
    class Killed(BaseException):
        """A stand-in for kill -9: nothing of ours handles it."""

    def dying(*arguments, **options):
        raise Killed

    output = tmp_path / "zoo"
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(siren, last, dying)
        fit_siren_zoo(plan(digits), digits, output)
    monkeypatch.setattr(siren, "fit_networks", dying)
    zoo = fit_siren_zoo(plan(digits), digits, output)
    assert len(zoo) == 10 and {path.name for path in output.iterdir()} == {"zoo.json", *zoo.record.files}


def test_a_fit_that_is_not_finite_is_named_and_leaves_nothing(digits, small_chunks, tmp_path):
    with pytest.raises(NumericError) as caught:
        fit_siren_zoo(plan(digits, learning_rate=1e38), digits, tmp_path / "zoo")
    assert caught.value.faults[0].startswith(f"digits:{digits.ids[0]}: ")
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".lock" and not path.name.startswith(".")]


def test_pictures_without_labels(tmp_path):
    photos = choose_images(load_images("photos", 8), 3, seed=0)
    zoo = fit_siren_zoo(plan(photos, steps=1), photos, tmp_path / "zoo")
    assert "class" not in zoo.table.columns and zoo.spec.widths == (2, 4, 4, 3)
    assert zoo.pictures_of([1]).shape == (1, 3, 8, 8)


def test_what_cannot_be_meant(digits):
    with pytest.raises(UsageError, match="--init"):
        plan(digits, init="same")
    for options in ({"width": 0}, {"depth": 0}, {"steps": 0}, {"omega": 0.0}, {"learning_rate": -1.0}):
        with pytest.raises(UsageError, match="positive"):
            plan(digits, **options)
    with pytest.raises(UsageError, match="at least 1"):
        plan(digits, copies=0)
    for count in (0, 11):
        with pytest.raises(UsageError, match="--count"):
            choose_images(digits, count, seed=0)


def test_defaults_depend_on_the_size():
    small = siren_design(load_images("digits"))
    large = siren_design(load_images("digits", 17))
    assert (small.spec.widths, small.spec.omega, small.fit.steps) == ((2, 16, 16, 1), 15.0, 400)
    assert (large.spec.widths, large.spec.omega) == ((2, 32, 32, 1), 30.0)


def test_digits_are_met_to_a_thousandth(tmp_path):
    digits = choose_images(load_images("digits"), 12, seed=0)
    zoo = fit_siren_zoo(SirenZooPlan(siren_design(digits, init="shared"), 1, 0), digits, tmp_path / "zoo")
    assert zoo.table["mse"].median() < 1e-3


def test_a_larger_choice_holds_a_smaller_one():
    digits = load_images("digits", 8)
    few, more = (choose_images(digits, count, seed=0).ids for count in (20, 60))
    assert set(few) < set(more) and list(more) == sorted(more)
    assert choose_images(digits, 20, seed=1).ids != few


def test_flat_patches_are_drawn_last():
    photos = load_images("photos")
    luminance = (photos.pixels * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(dim=1)
    contrast = luminance.flatten(1).double().std(dim=1, correction=0)
    torch.testing.assert_close(photos.contrast().double(), contrast)
    worthwhile = {name for name, value in zip(photos.ids, contrast, strict=True) if value >= 0.1}
    assert len(worthwhile) == 203
    some, all_of_those, more = (set(choose_images(photos, count, seed=3).ids) for count in (40, 203, 300))
    assert some < all_of_those == worthwhile < more and len(some) == 40 and len(more) == 300
    assert set(choose_images(photos, 40, seed=4).ids) != some
    for everything in (choose_images(photos, None, seed=3), choose_images(photos, 520, seed=3)):
        assert everything.ids == photos.ids and torch.equal(everything.pixels, photos.pixels)


def test_pictures_that_are_whole_are_drawn_whatever_their_contrast():
    photos = load_images("photos")
    drawn = torch.randperm(520, generator=generator(5, "pictures"))[:300]
    whole = choose_images(replace(photos, patches=False), 300, seed=5)
    assert whole.ids == tuple(photos.ids[row] for row in sorted(drawn.tolist()))
    assert photos.patches and not load_images("digits").patches


def test_grey_and_colour(tmp_path):
    Image.new("RGB", (8, 8), (255, 0, 0)).save(tmp_path / "red.png")
    red = load_images(str(tmp_path / "red.png"))
    grey, note = fit_channels(red, 1)
    assert "luminance" in note and grey.pixels.shape == (1, 1, 8, 8)
    assert grey.pixels.flatten().tolist() == pytest.approx([0.299] * 64)
    again, note = fit_channels(grey, 3)
    assert "repeated" in note and again.pixels.shape == (1, 3, 8, 8) and again.pixels.std() == 0
    assert fit_channels(red, 3) == (red, None)


def test_psnr():
    assert psnr(torch.tensor([0.04, 0.4])).tolist() == pytest.approx([20.0, 10.0])
    assert psnr(torch.tensor([0.0])).isfinite().all()
    assert psnr(torch.tensor([0.01]), peak=1.0).tolist() == pytest.approx([20.0])


def test_the_command_is_on_record(digits, tmp_path):
    zoo = fit_siren_zoo(
        plan(digits, steps=1), digits, tmp_path / "zoo", context=Context(command="mnfn zoo build siren")
    )
    assert json.loads((zoo.path / "zoo.json").read_text())["made"]["command"] == "mnfn zoo build siren"
