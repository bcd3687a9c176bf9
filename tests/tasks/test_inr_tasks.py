"""Classification and editing, from a zoo to files written back."""

import json
import shutil

import numpy as np
import polars as pl
import pytest
import torch

from mnfn_cli import load_run, open_zoo, save_zoo
from mnfn_cli.errors import DataError, InterruptedRun, NumericError, RecipeError, UsageError
from mnfn_cli.recipe import load_recipe
from mnfn_cli.runtime.context import Context, Interruption
from mnfn_cli.storage.tensors import read_tensors, save_tensors
from mnfn_cli.tasks import task as task_module
from mnfn_cli.tasks.application import apply_run
from mnfn_cli.tasks.edits import edit_pictures
from mnfn_cli.tasks.metrics import accuracy, mean_difference, with_interval
from mnfn_cli.tasks.training import resume_run, train_run
from mnfn_cli.weightspace.rendering import render
from mnfn_cli.zoo.augment import augment_zoo
from mnfn_cli.zoo.build.siren import fit_siren_zoo
from mnfn_cli.zoo.build.siren_plan import SirenZooPlan, choose_images, siren_design
from mnfn_cli.zoo.export import export_zoo
from mnfn_cli.zoo.images import load_images
from mnfn_cli.zoo.inr_design import InrDesign

SIZE = (8, 8)


def recipe(name, zoo, *overrides):
    return load_recipe(name, [f"data.zoo=['{zoo.path}']", *overrides])


def result_of(run):
    return json.loads((run / "result.json").read_text())


def test_the_run_folders_explain_themselves(classes_run, dilate_run):
    common = {"run.json", "recipe.yaml", "model.safetensors", "start.safetensors", "metrics.jsonl", "result.json"}
    drawn = {"training.png", "README.md"}
    assert {p.name for p in classes_run.iterdir()} == common | drawn | {"predictions.csv", "confusion.png"}
    assert {p.name for p in dilate_run.iterdir()} == common | drawn | {
        "errors.csv",
        "examples.safetensors",
        "edits.png",
    }


def test_the_classification_result_can_be_worked_out_again(classes_run, inr_zoo):
    result = result_of(classes_run)
    table = pl.read_csv(classes_run / "predictions.csv", infer_schema=False)
    assert table["network"].to_list() == [inr_zoo.ids[row] for row in inr_zoo.rows("test")]
    right = (table["predicted_class"] == table["true_class"]).mean()
    assert result["test"]["accuracy"]["value"] == pytest.approx(right)
    # The monomial classifier does not care about flips and permutations.
    assert result["test"]["accuracy_permuted_and_flipped"]["value"] == pytest.approx(right)
    assert result["largest_change_of_a_probability"]["float32"] <= 1e-5
    assert result["largest_change_of_a_probability"]["float64"] <= 1e-12
    confusion = np.array(result["confusion"])
    assert confusion.sum() == table.height and np.trace(confusion) == round(right * table.height)


def test_probabilities_of_a_run(classes_run, inr_zoo):
    run = load_run(classes_run)
    probabilities = run.predict(inr_zoo.read(inr_zoo.rows("test")))
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(len(probabilities)))
    table = pl.read_csv(classes_run / "predictions.csv", infer_schema_length=None)
    names = [f"probability_{name}" for name in run.task.facts.classes]
    np.testing.assert_allclose(probabilities.numpy(), table.select(names).to_numpy(), atol=1e-6)


def test_the_editing_result_can_be_worked_out_again(dilate_run, inr_zoo):
    result = result_of(dilate_run)
    rows = inr_zoo.rows("test")
    targets = edit_pictures("dilate", inr_zoo.pictures_of(rows)).double()
    before = inr_zoo.read(rows)
    after = load_run(dilate_run).predict(before)

    def errors(features):
        drawn = render(inr_zoo.spec, features.to(dtype=torch.float64), SIZE)
        return (drawn - targets).square().mean(dim=(1, 2, 3))

    assert result["test"]["mse"]["value"] == pytest.approx(float(errors(after).mean()), rel=1e-4)
    assert result["test"]["do_nothing"]["value"] == pytest.approx(float(errors(before).mean()), rel=1e-4)
    mean = edit_pictures("dilate", inr_zoo.pictures_of(inr_zoo.rows("train"))).double().mean(dim=0)
    expected = float((mean - targets).square().mean())
    assert result["test"]["mean_target"]["value"] == pytest.approx(expected, rel=1e-4)
    assert result["equivariance"]["float64"] <= 1e-10
    assert result["equivariance"]["float64_with_shifts"] > 1e-2  # the strict editor knows flips alone
    assert result["targets_from"] == "original pictures"
    table = pl.read_csv(dilate_run / "errors.csv")
    assert float(table["mse"].mean()) == pytest.approx(result["test"]["mse"]["value"])


def test_the_graded_editor_commutes_with_shifts_too(inr_zoo, tmp_path):
    small = ["model.nodes=4", "model.edges=3", "training.steps=4"]
    result = train_run(recipe("editing/digits-dilate-graded", inr_zoo, *small), tmp_path / "run")
    assert max(result.model_extra["equivariance"].values()) <= 1e-10


def test_the_published_editor_is_caught_not_to_commute(inr_zoo, tmp_path):
    small = ["model.base_channels=[6,6]", "training.steps=4"]
    result = train_run(recipe("editing/digits-dilate-monomial", inr_zoo, *small), tmp_path / "run")
    assert result.model_extra["equivariance"]["float64"] > 1e-2


def test_a_run_on_inrs_is_never_without_their_start(inr_zoo, tmp_path, monkeypatch):
    class Killed(BaseException):
        """A stand-in for kill -9: nothing of ours handles it."""

    def dying(self, folder):
        raise Killed

    monkeypatch.setattr(InrDesign, "save_start", dying)
    with pytest.raises(Killed):
        train_run(recipe("classification/digits-hnp", inr_zoo, "training.epochs=1"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["classification/digits-hnp", "editing/digits-dilate-np"])
def test_interrupted_runs_end_with_the_same_bytes(name, inr_zoo, tmp_path):
    class StopAt(Interruption):
        left = 5

        def check(self, where, what_to_do):
            self.left -= 1
            if self.left == 0:
                raise InterruptedRun(where, what_to_do)

    dropout = ["model.dropout=0.3", "model.head=[8,8]"] if "digits-hnp" in name else []
    small = ["training.epochs=null", "training.steps=7", "training.validate_every=3", "model.base_channels=[4,4]"]
    chosen = recipe(name, inr_zoo, *small, *dropout)
    train_run(chosen, tmp_path / "whole")
    with pytest.raises(InterruptedRun):
        train_run(chosen, tmp_path / "run", context=Context(interruption=StopAt()))
    resume_run(tmp_path / "run")
    for file in ("model.safetensors", "metrics.jsonl"):
        assert (tmp_path / "run" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


@pytest.fixture(scope="session")
def published_zoos(tmp_path_factory):
    """Zoos of the published layout: 2 -> 32 -> 32 -> 1 or 3 with omega 30, of 28x28 digits and 32x32 photographs."""
    zoos = {}
    for name, images in (("grey", load_images("digits", 28)), ("colour", load_images("photos"))):
        some = choose_images(images, 30, seed=0)
        if some.labels is None:
            some = type(some)(**(some.__dict__ | {"labels": torch.arange(30) % 10, "classes": tuple("0123456789")}))
        plan = SirenZooPlan(siren_design(some, steps=2), 1, 0)
        zoos[name] = fit_siren_zoo(plan, some, tmp_path_factory.mktemp("published") / name)
    return zoos


PUBLISHED = [
    # Those of FashionMNIST differ from those of MNIST in numbers alone; the two largest run in `make docs`.
    pytest.param(data, model, marks=[pytest.mark.docs] * (data == "fashion" and model in ("monomial", "hnp")))
    for data in ("mnist", "fashion", "cifar10")
    for model in ("monomial", "hnp", "np", "mlp")
]


@pytest.mark.slow
@pytest.mark.parametrize(("data", "model"), PUBLISHED)
def test_published_classifiers_train_two_steps(data, model, published_zoos, tmp_path):
    zoo = published_zoos["colour" if data == "cifar10" else "grey"]
    chosen = recipe(f"classification/{data}-{model}", zoo, "training.steps=2", "training.batch_size=2")
    result = train_run(chosen, tmp_path / "run")
    assert result.steps == 2
    shutil.rmtree(tmp_path / "run")


def test_classify_files_and_zoos(classes_run, inr_zoo, tmp_path):
    export_zoo(inr_zoo, tmp_path / "files", split="test")
    from_files = apply_run(classes_run, tmp_path / "files")
    from_zoo = apply_run(classes_run, inr_zoo.path, split="test")
    assert from_files.to_rows() == from_zoo.to_rows()
    assert from_zoo.columns["true_class"] == [str(inr_zoo.table["class"][row]) for row in inr_zoo.rows("test")]
    one = apply_run(classes_run, tmp_path / "files" / f"{from_zoo.names[0]}.safetensors")
    assert one.columns["predicted_class"] == from_zoo.columns["predicted_class"][:1]


def test_flipped_and_shuffled_networks_keep_their_class(classes_run, inr_zoo, tmp_path):
    moved = augment_zoo(inr_zoo, tmp_path / "moved").zoo
    before = apply_run(classes_run, inr_zoo.path)
    after = apply_run(classes_run, moved.path)
    torch.testing.assert_close(after.answers, before.answers, rtol=0, atol=1e-5)


def test_files_come_back_as_they_came(dilate_run, inr_zoo, tmp_path):
    """Foreign names, mixed dtypes and metadata stay; the change is the run's."""
    export_zoo(inr_zoo, tmp_path / "exported", limit=2)
    (tmp_path / "files").mkdir()
    for number, file in enumerate(sorted((tmp_path / "exported").glob("*.safetensors"))):
        tensors, metadata = read_tensors(file)
        foreign = {f"net.{name}": tensor.to((torch.float64, torch.float16)[number]) for name, tensor in tensors.items()}
        save_tensors(tmp_path / "files" / file.name, dict(reversed(foreign.items())), metadata | {"note": "mine"})
    report = apply_run(dilate_run, tmp_path / "files", output=tmp_path / "edited")
    assert report.facts["targets_from"] == "renderings before the edit"
    changed = load_run(dilate_run).predict(inr_zoo.read(slice(0, 2)))
    for number, file in enumerate(sorted((tmp_path / "files").glob("*.safetensors"))):
        old, old_metadata = read_tensors(file)
        new, metadata = read_tensors(tmp_path / "edited" / file.name)
        assert metadata == old_metadata and metadata["note"] == "mine"
        assert {k: (v.shape, v.dtype) for k, v in new.items()} == {k: (v.shape, v.dtype) for k, v in old.items()}
        expected = changed.weights[1][number, 0]
        torch.testing.assert_close(new["net.layers.1.weight"].float(), expected.float(), atol=2e-3, rtol=0)
    single = sorted((tmp_path / "files").glob("*.safetensors"))[0]
    apply_run(dilate_run, single, output=tmp_path / "one.safetensors")
    one, facts = read_tensors(tmp_path / "one.safetensors")
    same, known = read_tensors(tmp_path / "edited" / single.name)
    assert facts == known
    for name, tensor in one.items():  # in a batch of its own, so to rounding
        torch.testing.assert_close(tensor, same[name], rtol=0, atol=1e-7)


def test_a_zoo_comes_back_as_a_zoo(dilate_run, inr_zoo, tmp_path):
    report = apply_run(dilate_run, inr_zoo.path, output=tmp_path / "edited", split="test")
    edited = open_zoo(tmp_path / "edited")
    assert edited.ids == report.names == [inr_zoo.ids[row] for row in inr_zoo.rows("test")]
    assert "psnr" not in edited.table.columns and edited.pictures() is None
    assert report.facts["targets_from"] == "original pictures"
    # What was edited can be edited again; its targets then come from its drawings.
    again = apply_run(dilate_run, edited.path, output=tmp_path / "twice")
    assert again.facts["targets_from"] == "renderings before the edit"
    assert list(again.columns["mse_before"]) != list(report.columns["mse_after"])


def test_networks_from_another_start_are_refused(classes_run, inr_zoo, tmp_path):
    images = choose_images(load_images("digits", 8), 6, seed=0)
    for init, seed, named in (("shared", 1, "from start"), ("random", 0, "from a start of its own")):
        plan = SirenZooPlan(siren_design(images, init=init, width=6, steps=2, seed=seed), 1, 0)
        other = fit_siren_zoo(plan, images, tmp_path / init)
        with pytest.raises(DataError, match=f"{named}.*--like RUN"):
            apply_run(classes_run, other.path)
        export_zoo(other, tmp_path / f"{init}-files", limit=2)
        with pytest.raises(DataError) as caught:
            apply_run(classes_run, tmp_path / f"{init}-files")
        assert len(caught.value.faults) == 2


def test_files_that_do_not_say_their_start_are_counted(classes_run, inr_zoo, tmp_path):
    export_zoo(inr_zoo, tmp_path / "files", limit=2)
    for file in (tmp_path / "files").glob("*.safetensors"):
        save_tensors(file, read_tensors(file)[0])
    assert (
        apply_run(classes_run, tmp_path / "files")
        .remarks[0]
        .startswith("2 networks do not say from which initial weights")
    )


def test_bad_files_are_all_named_and_good_ones_are_edited_without_them(dilate_run, inr_zoo, tmp_path):
    export_zoo(inr_zoo, tmp_path / "files", limit=4)
    good, shape, nan, junk = sorted((tmp_path / "files").glob("*.safetensors"))
    tensors, _ = read_tensors(shape)
    save_tensors(shape, tensors | {"layers.0.weight": torch.zeros(5, 2)})
    save_tensors(nan, {name: tensor * float("nan") for name, tensor in tensors.items()})
    junk.write_bytes(b"no network")
    with pytest.raises(DataError) as caught:
        apply_run(dilate_run, tmp_path / "files", output=tmp_path / "edited")
    assert len(caught.value.faults) == 3 and not (tmp_path / "edited").exists()
    for file in (shape, nan, junk):
        assert sum(file.name in fault for fault in caught.value.faults) == 1
    report = apply_run(dilate_run, tmp_path / "files", output=tmp_path / "edited", skip_bad=True)
    assert report.names == [good.stem] and [p.name for p in (tmp_path / "edited").glob("*.safetensors")] == [good.name]


def test_edits_that_are_not_finite_write_nothing(dilate_run, inr_zoo, tmp_path, monkeypatch):
    real = task_module.apply_functional

    def broken(model, features):
        change = real(model, features)
        change.weights[0][1, 0, 0, 0] = float("inf")
        return change

    monkeypatch.setattr(task_module, "apply_functional", broken)
    with pytest.raises(NumericError, match="edited weights are not finite") as caught:
        apply_run(dilate_run, inr_zoo.path, output=tmp_path / "edited")
    assert inr_zoo.ids[1] in caught.value.where and list(tmp_path.iterdir()) == []
    kept = apply_run(dilate_run, inr_zoo.path, output=tmp_path / "edited", skip_bad=True)
    assert kept.names == [name for name in inr_zoo.ids if name != inr_zoo.ids[1]] == open_zoo(tmp_path / "edited").ids
    assert [inr_zoo.ids[1] in str(fault) for fault in kept.skipped] == [True]


def test_runs_of_another_task_name_the_right_command(classes_run, dilate_run, relu_run, inr_zoo):
    with pytest.raises(UsageError, match="mnfn edit reads it"):
        apply_run(dilate_run, inr_zoo.path, task="classification")
    with pytest.raises(UsageError, match="mnfn classify reads it"):
        apply_run(classes_run, inr_zoo.path, task="editing", output=inr_zoo.path.parent / "nowhere")
    with pytest.raises(UsageError, match="mnfn predict reads it"):
        apply_run(relu_run, inr_zoo.path, task="classification")


def test_zoos_that_cannot_be_learned_from(inr_zoo, digits_zoo, tmp_path):
    with pytest.raises(RecipeError, match="this recipe is for sin networks"):
        train_run(recipe("classification/digits-hnp", digits_zoo), tmp_path / "run")
    table = inr_zoo.table
    made, images = inr_zoo.record.made.to_json(), inr_zoo.record.images.to_json()
    start = read_tensors(inr_zoo.path / "start.safetensors")[0]
    for change, problem in (
        (table.drop("class"), "no column 'class'"),
        (table.with_columns(pl.lit("a").alias("class")), "1 class; classification needs at least 2"),
    ):
        name = str(len(list(tmp_path.iterdir())))
        zoo = save_zoo(tmp_path / name, inr_zoo.spec, inr_zoo.read(), change, made=made, images=images, start=start)
        with pytest.raises(DataError, match=problem):
            train_run(recipe("classification/digits-hnp", zoo), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_editing_without_pictures_takes_what_the_networks_draw(inr_zoo, tmp_path):
    zoo = save_zoo(
        tmp_path / "zoo",
        inr_zoo.spec,
        inr_zoo.read(),
        inr_zoo.table,
        made=inr_zoo.record.made.to_json(),
        images=inr_zoo.record.images.to_json(),
        start=read_tensors(inr_zoo.path / "start.safetensors")[0],
    )
    small = ["model.base_channels=[4,4]", "training.steps=2"]
    result = train_run(recipe("editing/digits-dilate-np", zoo, *small), tmp_path / "run")
    assert result.model_extra["targets_from"] == "renderings before the edit"


def test_intervals_draw_whole_pictures():
    """Ten equal networks of each picture are as good as one of each."""
    truth = np.array([0, 1, 0, 1, 1, 0, 1, 1])
    guess = np.array([0, 1, 1, 1, 0, 0, 1, 1])
    one = with_interval(accuracy, guess, truth, list("abcdefgh"))
    many = with_interval(accuracy, guess.repeat(10), truth.repeat(10), list("aaaaaaaaaabbbbbbbbbbccccccccccdddddddddd"
                         "eeeeeeeeeeffffffffffgggggggggghhhhhhhhhh"))  # fmt: skip
    assert many.interval == one.interval
    assert mean_difference(np.array([3.0, 1.0]), np.array([1.0, 1.0])) == 1.0


def test_a_run_predicts_the_weights_that_edit_writes(dilate_run, inr_zoo, tmp_path):
    apply_run(dilate_run, inr_zoo.path, output=tmp_path / "edited")
    predicted = load_run(dilate_run).predict(inr_zoo.read())
    assert torch.equal(open_zoo(tmp_path / "edited").read().flatten(), predicted.flatten())
