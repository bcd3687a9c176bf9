"""Training and reading a run: honest protocol, right metrics, every misfit named."""

import json
import shutil

import numpy as np
import polars as pl
import pytest
import torch

from mnfn_cli.errors import DataError, RecipeError, UsageError
from mnfn_cli.recipe import load_recipe
from mnfn_cli.runtime.context import Context, Silent
from mnfn_cli.storage.tensors import save_tensors
from mnfn_cli.tasks import training
from mnfn_cli.tasks.application import apply_run
from mnfn_cli.tasks.condition import parse_scales
from mnfn_cli.tasks.evaluation import evaluate_runs
from mnfn_cli.tasks.finished_run import load_run
from mnfn_cli.tasks.metrics import kendall_tau, with_interval
from mnfn_cli.tasks.training import train_run
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.augment import augment_zoo
from mnfn_cli.zoo.build.architectures import mlp_spec
from mnfn_cli.zoo.build.classifiers import ClassifierZooPlan, build_classifier_zoo
from mnfn_cli.zoo.checkpoints import Wanted, load_checkpoints
from mnfn_cli.zoo.export import export_zoo
from mnfn_cli.zoo.images import load_images
from mnfn_cli.zoo.store import open_zoo
from mnfn_cli.zoo.writer import save_zoo


def test_the_run_folder_explains_itself(relu_run, digits_zoo):
    names = {path.name for path in relu_run.iterdir()}
    assert names == {
        "run.json", "recipe.yaml", "model.safetensors", "metrics.jsonl", "result.json",
        "predictions.csv", "predicted-vs-true.png", "training.png", "README.md",
    }  # fmt: skip
    result = json.loads((relu_run / "result.json").read_text())
    assert result["parameters"] == 254_609
    predictions = pl.read_csv(relu_run / "predictions.csv", schema_overrides={"network": pl.String})
    assert predictions["network"].to_list() == [digits_zoo.ids[row] for row in digits_zoo.rows("test")]
    tau = kendall_tau(predictions["predicted_accuracy"].to_numpy(), predictions["true_accuracy"].to_numpy())
    assert result["test"]["tau"]["value"] == pytest.approx(tau)
    low, high = result["test"]["tau"]["interval"]
    assert low <= tau <= high


def test_the_test_split_is_touched_once_and_last(digits_zoo, tmp_path, monkeypatch):
    loaded, real = [], training.load_split

    def recording(zoos, name, *rest):
        loaded.append(name)
        return real(zoos, name, *rest)

    trained = []
    real_job = training.run_job

    def recording_job(*args, **kwargs):
        loaded.clear()
        position = real_job(*args, **kwargs)
        trained.append(list(loaded))
        return position

    monkeypatch.setattr(training, "load_split", recording)
    monkeypatch.setattr(training, "run_job", recording_job)
    recipe = load_recipe("generalization/relu-monomial", ["training.epochs=1", f"data.zoo=['{digits_zoo.path}']"])
    train_run(recipe, tmp_path / "run")
    assert trained == [[]] and loaded == ["test"]


def test_the_best_validation_is_kept(relu_run):
    lines = [json.loads(line) for line in (relu_run / "metrics.jsonl").read_text().splitlines()]
    result = json.loads((relu_run / "result.json").read_text())
    best = max(lines, key=lambda line: line["val_tau"])
    assert result["validation"] == {"tau": best["val_tau"], "step": best["step"]}


@pytest.mark.parametrize("kind", ["relu", "tanh"])
def test_predictions_do_not_move(kind, relu_run, tanh_run, digits_zoo, tanh_zoo, tmp_path):
    run, zoo = (relu_run, digits_zoo) if kind == "relu" else (tanh_run, tanh_zoo)
    twin = augment_zoo(zoo, tmp_path / "twin", scale=(1.0, 1e4)).zoo
    loaded = load_run(run)
    torch.testing.assert_close(loaded.predict(twin.read()), loaded.predict(zoo.read()), rtol=0, atol=1e-4)
    loaded.to(dtype=torch.float64)
    # The twin's weights were rounded to float32; the original's and fresh elements are compared in float64.
    evaluation = evaluate_runs([loaded], [(1.0, 1.0), (1.0, 1e4)])
    assert max(row.largest_change for row in evaluation.rows) <= 1e-6
    assert [row.condition.label for row in evaluation.rows][1:] == (
        ["U[1, 1], permuted", "U[1, 10000], permuted"] if kind == "relu" else ["sign flips, permuted"]
    )
    assert len({round(row.value, 6) for row in evaluation.rows}) == 1


def test_predicting_files_and_zoos_agrees(relu_run, digits_zoo, tmp_path):
    whole = apply_run(relu_run, digits_zoo.path, split="test")
    export_zoo(digits_zoo, tmp_path / "files", split="test")
    files = apply_run(relu_run, tmp_path / "files")
    assert files.names == whole.names and files.columns["true_accuracy"] == whole.columns["true_accuracy"]
    np.testing.assert_allclose(files.answers, whole.answers, atol=1e-6)
    one = apply_run(relu_run, tmp_path / "files" / f"{files.names[0]}.safetensors")
    np.testing.assert_allclose(one.answers, whole.answers[:1], atol=1e-6)
    assert whole.to_csv().splitlines()[0] == "network,predicted_accuracy,true_accuracy"


def test_bad_files_are_all_named_or_skipped(relu_run, digits_zoo, tmp_path):
    files = tmp_path / "files"
    export_zoo(digits_zoo, files, split="test")
    good = sorted(files.glob("*.safetensors"))
    tensors = digits_zoo.read([0]).to_state_dicts()[0]
    save_tensors(files / "a.safetensors", tensors | {"layers.0.weight": torch.zeros(16, 1, 5, 5)})
    save_tensors(files / "b.safetensors", tensors | {"layers.1.bias": torch.full((16,), float("nan"))})
    (files / "c.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(DataError) as caught:
        apply_run(relu_run, files)
    assert ["expected (16, 1, 3, 3)" in f or "not finite" in f or "git-lfs" in f for f in caught.value.faults] == [
        True
    ] * 3
    predictions = apply_run(relu_run, files, skip_bad=True)
    assert len(predictions.names) == len(good) and len(predictions.skipped) == 3


def test_other_dtypes_and_foreign_names_are_read(relu_run, digits_zoo, tmp_path):
    names = [f"net.{i}.{kind}" for i in (0, 2, 4, 10) for kind in ("weight", "bias")]
    expected = load_run(relu_run).predict(digits_zoo.read([0, 1]))
    for row, dtype in ((0, torch.float64), (1, torch.bfloat16)):
        state_dict = digits_zoo.read([row]).to(dtype=dtype).to_state_dicts(names)[0]
        save_tensors(tmp_path / f"{row}.safetensors", state_dict)
    predictions = apply_run(relu_run, tmp_path)
    np.testing.assert_allclose(predictions.answers, expected, atol=0.02)
    assert "true_accuracy" not in predictions.columns and predictions.summary == ""


def refuse(zoo, path, *overrides, recipe="generalization/relu-monomial"):
    train_run(load_recipe(recipe, [f"data.zoo=['{zoo.path}']", *overrides]), path)


def test_misfits_are_found_before_a_folder_is_made(digits_zoo, tanh_zoo, tmp_path):
    run = tmp_path / "run"
    with pytest.raises(RecipeError, match="networks with tanh; this recipe is for relu"):
        refuse(tanh_zoo, run)
    with pytest.raises(RecipeError, match="networks with relu; this recipe is for tanh"):
        refuse(digits_zoo, run, recipe="generalization/tanh-monomial")
    with pytest.raises(RecipeError, match="more than the 28 training networks"):
        refuse(digits_zoo, run, "training.batch_size=29")
    with pytest.raises(RecipeError, match="give one with --zoo"):
        train_run(load_recipe("generalization/relu-monomial"), run)
    with pytest.raises(UsageError, match="use normalize"):
        refuse(digits_zoo, run, "data.activation=null", "model.activation=tanh", "model.invariant=absolute")
    assert list(tmp_path.iterdir()) == []


def test_zoos_without_what_training_needs(digits_zoo, tmp_path):
    def save(name, **columns):
        table = digits_zoo.table.with_columns(**columns)
        return save_zoo(tmp_path / name, digits_zoo.spec, digits_zoo.read(), table)

    with pytest.raises(DataError, match="in split val"):
        refuse(save("unsplit", split=pl.lit("train")), tmp_path / "run")
    with pytest.raises(DataError, match=r"table.csv:row 2:test_accuracy: .* is not a finite number in \[0, 1\]"):
        refuse(save("percent", test_accuracy=pl.col("test_accuracy") * 100), tmp_path / "run")
    with pytest.raises(DataError, match="no column 'test_accuracy'"):
        bare = save_zoo(tmp_path / "bare", digits_zoo.spec, digits_zoo.read(), digits_zoo.table.drop("test_accuracy"))
        refuse(bare, tmp_path / "run")


def test_networks_that_are_not_finite_fail_or_are_left_out(digits_zoo, tmp_path):
    features = digits_zoo.read(digits_zoo.rows())
    features.weights[2][digits_zoo.rows("train")[0], 0, 0, 0, 0, 0] = float("nan")
    zoo = save_zoo(tmp_path / "zoo", digits_zoo.spec, features, digits_zoo.table)
    with pytest.raises(DataError, match=r"layers\.2\.weight is not finite.*--on-bad skip"):
        refuse(zoo, tmp_path / "run")
    recipe = load_recipe("generalization/relu-monomial", [f"data.zoo=['{zoo.path}']", "training.epochs=1"])
    result = train_run(recipe, tmp_path / "run", skip_bad=True)
    assert result.data.networks["train"] == len(zoo.rows("train")) - 1
    with pytest.raises(DataError, match="not finite"):
        load_checkpoints(zoo.path, Wanted((zoo.spec,)))


def test_unfinished_and_changed_runs_are_refused(relu_run, digits_zoo, tmp_path):
    (tmp_path / "run").mkdir()
    description = json.loads((relu_run / "run.json").read_text()) | {"state": "running"}
    (tmp_path / "run" / "run.json").write_text(json.dumps(description))
    with pytest.raises(DataError, match="train --resume"):
        load_run(tmp_path / "run")
    other = save_zoo(tmp_path / "zoo", digits_zoo.spec, digits_zoo.read(), digits_zoo.table.with_columns(new=1))
    with pytest.raises(DataError, match="changed since"):
        evaluate_runs([load_run(relu_run)], [(1.0, 1.0)], zoos=[other.path])
    assert open_zoo(digits_zoo.path).fingerprint == digits_zoo.fingerprint


def test_several_zoos_train_together(digits_zoo, tmp_path):
    more = augment_zoo(digits_zoo, tmp_path / "more", scale=(1.0, 10.0)).zoo
    overrides = [f"data.zoo=['{digits_zoo.path}','{more.path}']", "training.epochs=1"]
    result = train_run(load_recipe("generalization/relu-monomial", overrides), tmp_path / "run")
    assert result.data.networks["train"] == 2 * len(digits_zoo.rows("train"))
    evaluation = evaluate_runs([load_run(tmp_path / "run")], [(1.0, 1.0)])
    assert list(evaluation.augmented.values()) == [True] and evaluation.count == 2 * len(digits_zoo.rows("test"))


def test_fp64(digits_zoo, tmp_path):
    overrides = [f"data.zoo=['{digits_zoo.path}']", "training.epochs=1", "training.precision=fp64"]
    train_run(load_recipe("generalization/relu-monomial", overrides), tmp_path / "run")
    assert next(load_run(tmp_path / "run").model.parameters()).dtype == torch.float64


def test_runs_are_compared_on_the_same_elements(relu_run, tanh_run, digits_zoo, tmp_path):
    shutil.copytree(relu_run, tmp_path / "twin")
    first, twin = load_run(relu_run), load_run(tmp_path / "twin")
    with torch.no_grad():
        twin.model.head[-1].bias += 0.1  # another functional, so its predictions are its own
    alone = evaluate_runs([first], [(1.0, 100.0)])
    both = evaluate_runs([first, twin], [(1.0, 100.0)], permute=False)
    assert [row.condition.label for row in both.rows] == ["original", "U[1, 100]"] * 2
    assert both.of_run(str(relu_run))[0] == alone.rows[0]
    assert both.of_run(str(tmp_path / "twin"))[0].others["l1"] != alone.rows[0].others["l1"]
    assert not any(both.augmented.values())
    again = evaluate_runs([twin, first], [(1.0, 100.0)], permute=False)
    assert again.of_run(str(relu_run)) == both.of_run(str(relu_run))
    with pytest.raises(UsageError, match="networks with other symmetries"):
        evaluate_runs([first, load_run(tanh_run)], [(1.0, 1.0)])
    with pytest.raises(UsageError, match="given twice"):
        evaluate_runs([first, first], [(1.0, 1.0)])


def test_elements_without_permutation_scale_alone(relu_run):
    """A functional that weighs neurons by their place sees permutations, and only those, of what is scale-invariant."""
    loaded = load_run(relu_run).to(dtype=torch.float64)

    class FirstSign(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))

        def forward(self, features):
            return 0.5 + 0.1 * features.weights[0][:, 0, 0, 0, 0, 0].sign()

    loaded.model = FirstSign()
    changes = {
        permute: evaluate_runs([loaded], [(1.0, 100.0)], permute=permute).rows[1].largest_change
        for permute in (False, True)
    }
    assert changes[False] == 0 and changes[True] == pytest.approx(0.2)


@pytest.mark.parametrize(
    "text", ["", "0.5", "1,x", "1,inf", "nan", "-3", "10:1", "0:5", "1:2:3", "-1:1", "log:", "log:0:1"]
)
def test_scales_that_cannot_be(text):
    with pytest.raises(UsageError, match="--scales"):
        parse_scales(text)


def test_constant_predictions_have_no_tau():
    scores = with_interval(kendall_tau, np.zeros(10), np.arange(10.0))
    assert scores.defined is False and scores.value is None


def test_a_run_finds_its_zoo_from_any_folder(digits_zoo, tmp_path, monkeypatch):
    monkeypatch.chdir(digits_zoo.path.parent)
    overrides = [f"data.zoo=['{digits_zoo.path.name}']", "training.epochs=1", "model.head=[4,4]"]
    train_run(load_recipe("generalization/relu-monomial", overrides), tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    assert evaluate_runs([load_run(tmp_path / "run")], [(1.0, 1.0)]).count == len(digits_zoo.rows("test"))


def test_a_model_beyond_the_limit_is_refused_before_anything_is_made(digits_zoo, tmp_path):
    said = []

    class Listening(Silent):
        def note(self, text):
            said.append(text)

    overrides = [f"data.zoo=['{digits_zoo.path}']", "training.epochs=1", "training.max_parameters=254608"]
    with pytest.raises(RecipeError, match=r"254,609 parameters .*more than 254,608.*training\.max_parameters=254609"):
        train_run(load_recipe("generalization/relu-monomial", overrides), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    overrides[-1] = "training.max_parameters=254609"
    recipe = load_recipe("generalization/relu-monomial", overrides)
    train_run(recipe, tmp_path / "run", context=Context(progress=Listening()))
    assert said[0].startswith("model monomial: 254,609 parameters, for networks 1 -> 16")


def test_a_flat_picture_is_too_much_for_monomial_layers(tmp_path):
    """784 -> 32 -> 10 with the CNN recipe makes 217 million parameters, and is told so before they are allocated."""
    spec = NetworkSpec.mlp([784, 32, 10], "relu")
    rows = {"id": list("abcdefgh"), "split": ["train", "val", "test", "train"] * 2, "test_accuracy": [0.1, 0.9] * 4}
    zoo = save_zoo(tmp_path / "zoo", spec, WeightSpaceFeatures.randn(spec, 8), rows)
    with pytest.raises(RecipeError, match=r"217,\d{3},\d{3} parameters"):
        refuse(zoo, tmp_path / "run", "training.batch_size=2")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spec": None}, r"run\.json:spec: missing"),
        ({"zoos": [{"path": "x"}]}, r"run\.json:zoos\.0\.fingerprint: missing"),
        ({"state": "paused"}, r"run\.json:state: "),
        ({"task": "painting"}, r"run\.json:task: 'painting' is no task"),
        ({"networks": None}, r"run\.json:networks: "),
        ({"format": 9}, r"run\.json:format: is 9; this version of mnfn reads 2 and 3"),
    ],
)
def test_what_is_missing_or_wrong_in_run_json_is_named(relu_run, tmp_path, change, message):
    shutil.copytree(relu_run, tmp_path / "run")
    record = json.loads((relu_run / "run.json").read_text())
    (tmp_path / "run" / "run.json").write_text(json.dumps(record | change))
    with pytest.raises(DataError, match=message):
        load_run(tmp_path / "run")


def test_predictions_that_hardly_vary_are_said(relu_run, digits_zoo):
    """After two epochs this functional says nearly the same of all networks, and few of them have a known truth."""
    applied = apply_run(relu_run, digits_zoo.path, split="test")
    assert float(applied.answers.std()) < 0.02 and any("hardly vary" in remark for remark in applied.remarks)
    assert any(f"only {len(digits_zoo.rows('test'))} networks" in remark for remark in applied.remarks)
    assert applied.figures["tau"].value == kendall_tau(
        applied.answers.double().numpy(), np.array(applied.columns["true_accuracy"])
    )


def test_dense_classifiers_are_predicted_too(tmp_path):
    images = load_images("digits", 8)
    plan = ClassifierZooPlan(mlp_spec(images, "tanh", hidden=[8, 6]), count=24, epochs=1, seed=0)
    zoo = build_classifier_zoo(plan, images, tmp_path / "zoo")
    overrides = [f"data.zoo=['{zoo.path}']", "training.epochs=1", "model.head=[8,8]", "training.batch_size=4"]
    train_run(load_recipe("generalization/tanh-statnn", overrides), tmp_path / "run")
    applied = apply_run(tmp_path / "run", zoo.path)
    assert applied.known == 24 and applied.answers.shape == (24,)
    assert applied.summary.startswith("on 24 networks with a known accuracy: tau ")
