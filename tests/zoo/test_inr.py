"""What an INR zoo records is enough to fit others like it, and it survives augmentation and export."""

import json

import polars as pl
import pytest
import torch

from mnfn_cli.errors import DataError, UsageError
from mnfn_cli.storage.tensors import read_tensors
from mnfn_cli.tasks.finished_run import design_of
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.rendering import render
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.augment import augment_zoo
from mnfn_cli.zoo.build.siren import fit_siren_zoo
from mnfn_cli.zoo.build.siren_plan import SirenZooPlan, choose_images, require_only_like, siren_design
from mnfn_cli.zoo.export import export_zoo
from mnfn_cli.zoo.images import load_images
from mnfn_cli.zoo.inr_design import InrDesign
from mnfn_cli.zoo.verification import verify_zoo
from mnfn_cli.zoo.writer import save_zoo


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    """Six digits, fitted for a few steps from one start."""
    digits = choose_images(load_images("digits", 8), 6, seed=0)
    design = siren_design(digits, init="shared", width=4, steps=5, learning_rate=2e-3, seed=3)
    return fit_siren_zoo(SirenZooPlan(design, 1, 0), digits, tmp_path_factory.mktemp("inr") / "zoo")


def run_folder(path, zoo, **changes):
    """Write what a finished run keeps of its INRs."""
    design = InrDesign.of_zoo(zoo)
    path.mkdir()
    design.save_start(path)
    document = {
        "format": 2,
        "state": "done",
        "task": "editing",
        "spec": design.spec.to_json(),
        "facts": {},
        "inr": design.fit.to_json(),
        "zoos": [],
        "networks": {},
        "versions": {"mnfn": "0", "torch": "0", "python": "0"},
    } | changes
    for name in ("recipe.yaml", "model.safetensors"):
        (path / name).touch()
    (path / "run.json").write_text(json.dumps(document))
    return path


def test_a_zoo_and_a_run_give_the_same_design(zoo, tmp_path):
    of_zoo, of_run = design_of(zoo.path), design_of(run_folder(tmp_path / "run", zoo))
    assert of_zoo == of_run
    fit = of_zoo.fit
    assert (fit.size, fit.init, fit.steps, fit.learning_rate) == ((8, 8), "shared", 5, 2e-3)
    assert fit.start == of_run.fit.start == zoo.record.made.to_json()["start"] and len(fit.start) == 16
    assert torch.equal(of_zoo.start_weights.flatten(), of_run.start_weights.flatten())


def test_like_it_fits_the_same_networks(zoo, tmp_path):
    digits = choose_images(load_images("digits", 8), 6, seed=0)
    again = fit_siren_zoo(SirenZooPlan(design_of(zoo.path), 1, 99), digits, tmp_path / "again")
    assert torch.equal(again.read().flatten(), zoo.read().flatten())
    assert again.record.made.to_json()["start"] == zoo.record.made.to_json()["start"]


def test_like_leaves_no_choice(zoo, tmp_path):
    design = design_of(zoo.path)
    with pytest.raises(UsageError, match="leave out --width, --lr"):
        require_only_like(design, None, {"width": 8, "learning_rate": 1.0})
    with pytest.raises(UsageError, match="8 x 8"):
        require_only_like(design, 16, {})
    require_only_like(design, 8, {})
    with pytest.raises(UsageError, match="equal"):
        SirenZooPlan(design, 2, 0)


def test_what_is_no_design(zoo, digits_zoo, tmp_path):
    with pytest.raises(UsageError, match="no INRs"):
        design_of(digits_zoo.path)
    with pytest.raises(UsageError, match="no INRs"):
        design_of(run_folder(tmp_path / "classifiers", zoo, inr=None))
    with pytest.raises(DataError, match="not done"):
        design_of(run_folder(tmp_path / "running", zoo, state="running"))
    with pytest.raises(DataError, match=r"run\.json:inr\.size: "):
        design_of(run_folder(tmp_path / "odd", zoo, inr={"init": "random", "size": 8}))
    torn = run_folder(tmp_path / "torn", zoo)
    (torn / "start.safetensors").unlink()
    with pytest.raises(DataError, match=r"start\.safetensors"):
        design_of(torn)
    other = run_folder(tmp_path / "other", zoo, inr=InrDesign.of_zoo(zoo).fit.to_json() | {"start": "0" * 16})
    with pytest.raises(DataError, match="is start"):
        design_of(other)
    with pytest.raises(DataError, match="no such zoo"):
        design_of(tmp_path / "nothing")


def test_a_zoo_that_does_not_say_how_it_was_fitted(tmp_path):
    spec = NetworkSpec.mlp([2, 4, 4, 1], activation="sin", omega=30.0)
    table = {"id": ["0"], "split": ["train"]}
    foreign = save_zoo(
        tmp_path / "zoo", spec, WeightSpaceFeatures.randn(spec, 1), table, made={"source": "a file"},
        images={"size": [28, 28], "pixel_range": [-1, 1]},
    )  # fmt: skip
    design = InrDesign.of_zoo(foreign)
    assert (design.fit.size, design.fit.init, design.fit.steps) == ((28, 28), None, None)
    with pytest.raises(UsageError, match="no init, steps, learning_rate"):
        SirenZooPlan(design, 1, 0)
    assert foreign.pictures() is None and foreign.pictures_of([0]) is None


def test_augmented_it_is_still_an_inr_zoo(zoo, tmp_path):
    report = augment_zoo(zoo, tmp_path / "zoo", copies=2, keep_original=True)
    assert verify_zoo(report.zoo.path) == [] and report.largest_error < 1e-6
    assert InrDesign.of_zoo(report.zoo) == InrDesign.of_zoo(zoo)
    assert InrDesign.of_zoo(report.zoo).fit.start == InrDesign.of_zoo(zoo).fit.start
    assert torch.equal(report.zoo.pictures_of(), zoo.pictures_of().repeat(3, 1, 1, 1))
    before, after = (render(zoo.spec, some.read(), (8, 8)) for some in (zoo, report.zoo))
    torch.testing.assert_close(after, before.repeat(3, 1, 1, 1), atol=1e-5, rtol=0)
    splits = report.zoo.table.group_by("image_id").agg(pl.col("split").n_unique())
    assert splits["split"].to_list() == [1] * 6


def test_single_files_say_where_they_come_from(zoo, digits_zoo, tmp_path):
    export_zoo(zoo, tmp_path / "files", limit=2)
    _, metadata = read_tensors(tmp_path / "files" / f"{zoo.ids[0]}.safetensors")
    assert metadata["init"] == "shared" and metadata["size"] == "8x8"
    assert metadata["start"] == zoo.record.made.to_json()["start"]
    export_zoo(digits_zoo, tmp_path / "classifiers", limit=1)
    _, metadata = read_tensors(next((tmp_path / "classifiers").glob("*.safetensors")))
    assert not {"init", "size", "start"} & set(metadata)


def test_pictures_must_fit_the_table(zoo, tmp_path):
    torn = save_zoo(
        tmp_path / "zoo", zoo.spec, zoo.read(), zoo.table, made=zoo.record.made.to_json() | {"init": "random"},
        pictures={"pictures": torch.zeros(5, 1, 8, 8)},
    )  # fmt: skip
    with pytest.raises(DataError, match="the table has 6"):
        torn.pictures_of([0])
