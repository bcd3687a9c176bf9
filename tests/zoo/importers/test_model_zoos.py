"""Model zoos of Schürholt et al.: networks compute what the torch modules do, with the accuracy of their epoch."""

import json
import shutil

import pytest
import torch
from foreign_files import digits, hashes, slow_model_zoo, write_model_zoo
from torch import nn

from mnfn_cli.errors import DataError
from mnfn_cli.weightspace.forward_pass import run_networks
from mnfn_cli.zoo.importers.architecture import Architecture
from mnfn_cli.zoo.importers.model_zoos import plan_model_zoos
from mnfn_cli.zoo.plan import write_plan
from mnfn_cli.zoo.verification import verify_zoo


@pytest.fixture(scope="module")
def files(plain_cnns, tmp_path_factory):
    root = tmp_path_factory.mktemp("runs") / "tune_zoo_mnist_uniform"
    write_model_zoo(root, plain_cnns)
    return root


@pytest.fixture
def copied(files, tmp_path):
    return shutil.copytree(files, tmp_path / "runs")


def test_the_last_checkpoints_compute_what_the_modules_compute(files, plain_cnns, tmp_path):
    before = hashes(files)
    zoo = write_plan(plan_model_zoos(files), tmp_path / "zoo")
    assert hashes(files) == before and verify_zoo(zoo.path) == [] and len(zoo) == 8
    pixels, _ = digits(28)
    outputs = run_networks(zoo.spec, zoo.read().to(dtype=torch.float64), pixels[:50].double())
    for row, (net, accuracy) in enumerate(plain_cnns):
        expected = net.double()(pixels[:50].double())
        assert (outputs[row] - expected).abs().max() <= 1e-6 * expected.abs().max()
        net.float()
        assert zoo.table["test_accuracy"][row] == accuracy and zoo.table["epoch"][row] == 50
    assert zoo.spec.input_size == (28, 28) and zoo.spec.flatten and zoo.spec.activation == "tanh"
    assert list(map(str, zoo.spec.pools[:2])) == ["max2:before"] * 2 and zoo.spec.pools[2] is None


@pytest.mark.parametrize("epoch", [5, "last", "all"])
def test_every_number_and_label_is_that_of_the_files(files, tmp_path, epoch):
    zoo = write_plan(plan_model_zoos(files, epoch=epoch), tmp_path / "zoo")
    epochs = {5: [5], "last": [50], "all": [0, 5, 50]}[epoch]
    assert zoo.table["epoch"].to_list() == epochs * 8
    for row, facts in enumerate(zoo.table.iter_rows(named=True)):
        tensors, accuracy = slow_model_zoo(files / facts["run"], facts["epoch"])
        assert facts["test_accuracy"] == pytest.approx(accuracy, abs=0) and facts["test_loss"] is None
        assert facts["config.seed"] == int(facts["run"].split("_")[4]) and facts["config.model::nlin"] == "tanh"
        for stored, tensor in zip(zoo.read([row]).tensors(), tensors, strict=True):
            assert torch.equal(stored[0, 0].reshape(tensor.shape), tensor)
    splits = {}
    for run, split in zip(zoo.table["run"], zoo.table["split"], strict=True):
        splits.setdefault(run, set()).add(split)
    assert all(len(found) == 1 for found in splits.values())


def test_other_splits_and_seeds(files):
    drawn = plan_model_zoos(files, fractions={"train": 0.5, "val": 0.25, "test": 0.25}, seed=3)
    assert sorted(drawn.table["split"]) == ["test"] * 2 + ["train"] * 4 + ["val"] * 2
    assert drawn.made["split_protocol"] == "drawn 50/25/25 with seed 3"


def state_of(*modules, names=None):
    """A state dict of layers at the numbers that they would have in a list of all modules."""
    state = {}
    for number, module in enumerate(modules):
        for kind, tensor in module.state_dict().items():
            state[f"module_list.{number if names is None else names[number]}.{kind}"] = tensor
    return state


def dropout_cnn():
    """The larger CNN of the published zoos, which has dropout modules and a third pooling, for colour pictures."""
    conv = [nn.Conv2d(3, 16, 3), nn.Conv2d(16, 32, 3), nn.Conv2d(32, 15, 3)]
    modules = []
    for layer in conv:
        modules += [layer, nn.MaxPool2d(2, 2), nn.GELU(), nn.Dropout(0.2)]
    return nn.Sequential(*modules, nn.Flatten(), nn.Linear(60, 20), nn.GELU(), nn.Dropout(0.2), nn.Linear(20, 10))


def only(root, state, nlin):
    """Leave one run, with this state dict and activation."""
    for run in sorted(root.iterdir())[1:]:
        shutil.rmtree(run)
    run = next(root.iterdir())
    torch.save(state, run / "checkpoint_000050" / "checkpoints")
    text = (run / "result.json").read_text()
    (run / "result.json").write_text(text.replace('"model::nlin": "tanh"', f'"model::nlin": "{nlin}"'))
    return run


def test_the_larger_cnn_with_dropout(copied, tmp_path):
    torch.manual_seed(0)
    net = dropout_cnn().eval()
    only(copied, state_of(*net), "gelu")
    zoo = write_plan(plan_model_zoos(copied), tmp_path / "zoo")
    assert zoo.spec.input_size == (32, 32) and list(map(str, zoo.spec.pools[:3])) == ["max2:before"] * 3
    pictures = torch.rand(20, 3, 32, 32)
    expected = net(pictures).detach()
    assert (run_networks(zoo.spec, zoo.read(), pictures)[0] - expected).abs().max() <= 1e-6 * expected.abs().max()


def test_a_dense_network(copied, tmp_path):
    net = nn.Sequential(nn.Linear(14, 30), nn.SiLU(), nn.Linear(30, 15), nn.SiLU(), nn.Linear(15, 10))
    only(copied, state_of(*net), "silu")
    zoo = write_plan(plan_model_zoos(copied), tmp_path / "zoo")
    inputs = torch.randn(20, 14)
    assert torch.allclose(run_networks(zoo.spec, zoo.read(), inputs)[0], net(inputs), atol=1e-6)


def test_what_numbers_do_not_tell_must_be_said(copied, plain_cnns):
    net, _ = plain_cnns[0]
    layers = [module for module in net.module_list if hasattr(module, "weight")]
    only(copied, state_of(*layers, names=[0, 5, 10, 20, 22]), "tanh")
    with pytest.raises(DataError, match="0, 5, 10, 20, 22 do not tell where pooling stands; say --pool"):
        plan_model_zoos(copied)
    said = plan_model_zoos(copied, architecture=Architecture(pools=("max2", "max2", "none")))
    assert list(map(str, said.spaces[0].spec.pools[:2])) == ["max2", "max2"]


def test_pictures_of_another_size_are_not_guessed(copied, plain_cnns):
    net, _ = plain_cnns[0]
    layers = [module for module in net.module_list if hasattr(module, "weight")]
    layers[3] = nn.Linear(4, 20)
    only(copied, state_of(*layers, names=[0, 3, 6, 9, 11]), "tanh")
    plan = plan_model_zoos(copied, architecture=Architecture(input_size=(20, 20)))
    assert plan.spaces[0].spec.input_size == (20, 20)
    layers[3] = nn.Linear(4 * 49, 20)
    only(copied, state_of(*layers, names=[0, 3, 6, 9, 11]), "tanh")
    plan = plan_model_zoos(copied)
    assert plan.spaces[0].spec.input_size is None
    assert any("usual ones do not fit; say --input-size" in note for note in plan.notes)


FAULTS = {
    "no results": (lambda run: (run / "result.json").unlink(), "result.json: cannot read"),
    "no row of the epoch": (
        lambda run: (run / "result.json").write_text("\n".join((run / "result.json").read_text().splitlines()[:-1])),
        "has no row with training_iteration 50",
    ),
    "torn row": (
        lambda run: (run / "result.json").write_text((run / "result.json").read_text()[:-40]),
        "result.json:row 51: is no readable JSON",
    ),
    "no checkpoint": (
        lambda run: [shutil.rmtree(path) for path in run.glob("checkpoint_*")],
        "has no checkpoint",
    ),
    "an activation of another library": (
        lambda run: (run / "result.json").write_text((run / "result.json").read_text().replace("tanh", "celu")),
        "row 51:config:model::nlin: 'celu' is not supported",
    ),
    "accuracy in percent": (
        lambda run: change(run, lambda row: row | {"test_acc": 93.5}), "row 51:test_acc: 93.5 is outside [0, 1]",
    ),
    "no accuracy": (lambda run: change(run, lambda row: row | {"test_acc": None}), "row 51:test_acc: has no accuracy"),
    "accuracy not finite": (
        lambda run: change(run, lambda row: row | {"test_acc": float("nan")}), "row 51:test_acc: nan is outside [0, 1]",
    ),
    "accuracy of 400 digits": (
        lambda run: change(run, lambda row: row | {"test_acc": 10**400}), "row 51:test_acc: '1000",
    ),
    "accuracy is text": (
        lambda run: change(run, lambda row: row | {"test_acc": "high"}), "row 51:test_acc: 'high' is no finite number",
    ),
    "no epoch": (
        lambda run: change(run, lambda row: row | {"training_iteration": "5"}), "is no object with a whole number",
    ),
    "empty checkpoint": (
        lambda run: (run / "checkpoint_000050" / "checkpoints").write_bytes(b""), "checkpoints: has 0 bytes",
    ),
}  # fmt: skip


def change(run, edit):
    rows = [json.dumps(edit(json.loads(line))) for line in (run / "result.json").read_text().splitlines()]
    (run / "result.json").write_text("\n".join(rows))


@pytest.mark.parametrize("fault", FAULTS)
def test_runs_that_cannot_be_used_are_named(copied, fault):
    damage, problem = FAULTS[fault]
    damage(sorted(copied.iterdir())[2])
    damage(sorted(copied.iterdir())[5])
    with pytest.raises(DataError) as caught:
        plan_model_zoos(copied)
    assert len(caught.value.faults) == 2 and all(problem in line for line in caught.value.faults), caught.value.faults
    assert all("NN_tune_trainable_0000" in line for line in caught.value.faults)
    assert plan_model_zoos(copied, skip_bad=True).table.height == 6


@pytest.mark.parametrize("huge", [10**30, 10**400], ids=["30 digits", "400 digits"])
def test_whole_numbers_beyond_64_bits(copied, tmp_path, huge):
    runs = sorted(copied.iterdir())
    change(runs[2], lambda row: row | {"test_loss": huge, "config": row["config"] | {"seed": huge}})
    change(runs[3], lambda row: row | {"test_loss": 2, "config": row["config"] | {"seed": 5}})
    table = write_plan(plan_model_zoos(copied), tmp_path / "zoo").table
    assert table["test_loss"].drop_nulls().to_list() == [2.0]
    assert str(huge) in map(str, table["config.seed"].to_list())


def test_an_epoch_that_a_run_lacks(copied):
    shutil.rmtree(sorted(copied.iterdir())[1] / "checkpoint_000005")
    with pytest.raises(DataError, match="has no checkpoint of epoch 5"):
        plan_model_zoos(copied, epoch=5)
    with pytest.raises(DataError) as caught:
        plan_model_zoos(copied, epoch=7)
    assert len(caught.value.faults) == 8
