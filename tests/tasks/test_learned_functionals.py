"""Runs of functionals that learn a test set, fit trees, or both: trained, resumed, saved and read again."""

import json

import pytest
import torch
from interrupted_runs import StopAfter, assert_same

from mnfn_cli.errors import DataError, InterruptedRun, RecipeError, UsageError
from mnfn_cli.recipe import load_recipe
from mnfn_cli.runtime.context import Context
from mnfn_cli.storage.tensors import read_tensors
from mnfn_cli.tasks.application import apply_run
from mnfn_cli.tasks.finished_run import load_run
from mnfn_cli.tasks.training import resume_run, train_run
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.writer import save_zoo

LEARNED = ["model.members=2", "model.questions=20", "model.asked=8", "training.batch_size=8", "training.steps=8"]
FOREST = ["model.forest.trees=20", "model.forest.rounds=10", "model.forest.round_leaf=5"]


def recipe_of(name, zoo, *overrides):
    extra = [] if name.endswith("trees") else [*LEARNED, "training.validate_every=4", "optimizer.warmup_steps=2"]
    extra += [] if name.endswith("set") else [*FOREST, "model.probes=6"]
    return load_recipe(f"generalization/{name}", [*extra, f"data.zoo=['{zoo.path}']", *overrides])


@pytest.fixture(scope="module")
def hybrid(digits_zoo, tmp_path_factory):
    path = tmp_path_factory.mktemp("hybrid") / "run"
    train_run(recipe_of("relu-hybrid", digits_zoo), path)
    return path


# Eight steps, two validations, a fit: a check follows each.
@pytest.mark.parametrize("checks", [0, 3, 5, 9, 10])
def test_resumed_bit_for_bit(hybrid, digits_zoo, tmp_path, checks):
    with pytest.raises(InterruptedRun, match="train --resume"):
        train_run(
            recipe_of("relu-hybrid", digits_zoo), tmp_path / "run", context=Context(interruption=StopAfter(checks))
        )
    resume_run(tmp_path / "run")
    assert_same(tmp_path / "run", hybrid)


def test_a_finished_hybrid_is_its_trees(hybrid, digits_zoo):
    lines = [json.loads(line) for line in (hybrid / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [4, 8, 8] and lines[-1]["train_loss"] is None
    result = json.loads((hybrid / "result.json").read_text())
    assert result["validation"]["tau"] == lines[-1]["val_tau"]
    tensors, _ = read_tensors(hybrid / "model.safetensors", floats_only=False)
    assert len(tensors["head.forest.roots"]) == 20 and len(tensors["head.boosted.roots"]) == 10
    run = load_run(hybrid)
    networks = digits_zoo.read(digits_zoo.rows("test"))
    applied = apply_run(hybrid, digits_zoo.path, split="test")
    assert torch.equal(applied.answers, run.predict(networks)) and applied.answers.dtype == torch.float64
    assert not torch.equal(run.predict(networks), run.model.test_set(networks.to(dtype=torch.float64)))
    moved = MonomialElement.sample(run.spec, networks.batch, (1.0, 1e4)).act(networks.to(dtype=torch.float64))
    assert (run.predict(moved) - run.predict(networks)).abs().max() <= 1e-6


def test_a_learned_test_set_does_not_move(tanh_zoo, tmp_path):
    result = train_run(recipe_of("tanh-learned-test-set", tanh_zoo), tmp_path / "run")
    assert result.steps == 8
    run = load_run(tmp_path / "run")
    networks = tanh_zoo.read(range(40))
    moved = MonomialElement.sample(run.spec, 40).act(networks.to(dtype=torch.float64))
    for found in (moved, moved.to(dtype=torch.float32)):
        assert (run.predict(found) - run.predict(networks)).abs().max() <= 1e-6


@pytest.mark.parametrize(("features", "reads"), [("[S]", "weights alone"), ("[P,S]", "runs the network")])
def test_trees_need_no_steps(digits_zoo, tmp_path, features, reads):
    recipe = recipe_of("relu-trees", digits_zoo, f"model.features={features}")
    assert recipe.model.reads == reads and recipe.optimizer is None
    result = train_run(recipe, tmp_path / "run")
    assert result.steps == 0 and result.parameters > 100
    again = train_run(recipe, tmp_path / "again")
    assert (tmp_path / "run/model.safetensors").read_bytes() == (tmp_path / "again/model.safetensors").read_bytes()
    assert result.test == again.test


def test_options_at_fault():
    with pytest.raises(RecipeError, match="one or more of Y, S and P are needed, each once"):
        load_recipe("generalization/relu-trees", ["model.features=[S,S]"])
    with pytest.raises(RecipeError, match="optimizer: missing"):
        load_recipe("generalization/relu-trees", ["model.features=[Y]"])
    with pytest.raises(RecipeError, match=r"forest.tress: unknown key, did you mean 'trees'\?"):
        load_recipe("generalization/relu-trees", ["model.forest.tress=3"])


def test_fewer_networks_than_a_batch(digits_zoo, tmp_path):
    with pytest.raises(RecipeError, match=r"training.batch_size: 29 is more than the 28 training networks"):
        train_run(recipe_of("relu-learned-test-set", digits_zoo, "training.batch_size=29"), tmp_path / "run")


def labelled(path, spec, networks, accuracies, **more):
    count = networks.batch
    splits = ["train"] * (count // 2) + ["val"] * (count // 4) + ["test"] * (count - count // 2 - count // 4)
    columns = {
        "id": [str(row) for row in range(count)],
        "split": splits,
        "activation": [spec.activation] * count,
        "test_accuracy": accuracies,
    }
    return save_zoo(path, spec, networks, columns, **more)


def test_a_picture_size_that_is_unknown_is_asked_for(tmp_path):
    spec = NetworkSpec.cnn([1, 3, 4], outputs=3)
    networks = WeightSpaceFeatures.randn(spec, 24)
    zoo = labelled(tmp_path / "zoo", spec, networks, [row / 24 for row in range(24)])
    for name in ("relu-learned-test-set", "relu-trees", "relu-hybrid"):
        with pytest.raises(UsageError, match=r"is unknown; give model.input_size=\[height,width\]"):
            train_run(recipe_of(name, zoo), tmp_path / name)
    assert train_run(recipe_of("relu-trees", zoo, "model.input_size=[8,8]"), tmp_path / "run").steps == 0
    assert train_run(recipe_of("relu-trees", zoo, "model.features=[S]"), tmp_path / "weights").steps == 0


def test_networks_that_cannot_be_run_are_named_or_skipped(tmp_path):
    spec = NetworkSpec.mlp([6, 5, 3], "relu")
    networks = WeightSpaceFeatures.randn(spec, 24)
    networks.weights[-1][[2, 20]] = 3e38
    zoo = labelled(tmp_path / "zoo", spec, networks, [row / 24 for row in range(24)])
    with pytest.raises(DataError) as caught:
        train_run(recipe_of("relu-hybrid", zoo), tmp_path / "run")
    assert [fault.split(":")[1] for fault in caught.value.faults] == ["2", "20"]
    assert "not finite; leave such networks out with --on-bad skip" in str(caught.value)
    train_run(recipe_of("relu-hybrid", zoo), tmp_path / "run", skip_bad=True)
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert [name for _, name in record["skipped"]] == ["2", "20"]


def test_several_weight_spaces_are_refused(digits_zoo, tmp_path):
    spec = NetworkSpec.mlp([256, 5, 10], "relu", input_size=(1, 16, 16))
    other = labelled(tmp_path / "zoo", spec, WeightSpaceFeatures.randn(spec, 24), [row / 24 for row in range(24)])
    with pytest.raises(RecipeError, match="the model reads one weight space, and there are also networks"):
        train_run(
            recipe_of("relu-hybrid", digits_zoo, f"data.zoo=['{digits_zoo.path}','{other.path}']"), tmp_path / "r"
        )
