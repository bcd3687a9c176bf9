"""What carried a prediction: layers against a first-order oracle and group elements; learned inputs as they are."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from PIL import Image

from mnfn_cli.errors import DataError, UsageError
from mnfn_cli.models.learned_test_set import LearnedTestSet
from mnfn_cli.recipe import load_recipe
from mnfn_cli.report.explanation import plot_explanation
from mnfn_cli.tasks import explanation
from mnfn_cli.tasks.explanation import explain, layer_moves
from mnfn_cli.tasks.finished_run import load_run
from mnfn_cli.tasks.training import train_run
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.forward_pass import run_networks
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.export import export_zoo


@pytest.fixture(scope="module")
def learned_run(digits_zoo, tmp_path_factory):
    """A run of a tiny learned test set."""
    path = tmp_path_factory.mktemp("runs") / "learned"
    small = ["model.members=2", "model.questions=12", "model.asked=6", "training.steps=4", "training.batch_size=8"]
    recipe = load_recipe("generalization/relu-learned-test-set", [*small, f"data.zoo=['{digits_zoo.path}']"])
    train_run(recipe, path)
    return path


def test_layers_are_those_of_the_first_order_for_little_noise(relu_run, digits_zoo, monkeypatch):
    """The slow way: gradients of the prediction, times weights, in the root of the sum of squares."""
    monkeypatch.setattr(explanation, "NOISE", 1e-4)
    monkeypatch.setattr(explanation, "DRAWS", 600)
    run = load_run(relu_run).to(dtype=torch.float64)
    with torch.no_grad():
        run.model.head[-1].weight.mul_(50)  # two epochs leave it nearly constant
    network = digits_zoo.read([0]).to(dtype=torch.float64)
    tensors = [tensor.clone().requires_grad_() for tensor in network.tensors()]
    run.model(WeightSpaceFeatures(tensors[::2], tensors[1::2])).sum().backward()
    expected = [float((tensor.grad * tensor.detach()).square().sum().sqrt()) * 1e-4 for tensor in tensors]
    found = [move for moves in layer_moves(run, network) for move in (moves.weights, moves.biases)]
    np.testing.assert_allclose(found, expected, rtol=0.15, atol=1e-12)
    assert max(expected) > 0


@pytest.mark.parametrize("name", ["relu_run", "tanh_run", "learned_run"])
def test_scales_and_flips_change_no_layer(name, request, digits_zoo):
    run = load_run(request.getfixturevalue(name)).to(dtype=torch.float64)
    spec = run.spec
    network = WeightSpaceFeatures.randn(spec, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    element = MonomialElement.sample(spec, 1, (1e-3, 1e3), permute=False, generator=torch.Generator().manual_seed(0))
    before, after = layer_moves(run, network), layer_moves(run, element.act(network))
    for moves, moved in zip(before, after, strict=True):
        np.testing.assert_allclose([moved.weights, moved.biases], [moves.weights, moves.biases], rtol=1e-4, atol=1e-9)
    wrong = MonomialElement(element.permutations, [scale * 0.3 for scale in element.scales])
    bent = wrong.act(network).map(lambda tensor: tensor + 0.3)
    changed = [abs(a.weights - b.weights) for a, b in zip(before, layer_moves(run, bent), strict=True)]
    assert max(changed) > 1e-6


def test_learned_inputs_are_what_the_functional_shows(learned_run, digits_zoo):
    run = load_run(learned_run)
    network = digits_zoo.read([5]).to(dtype=torch.float64)
    known = run.model.learned_inputs(network)
    assert known.inputs.shape == (24, 1, 16, 16) and known.weights.sum() == pytest.approx(1)
    outputs = run_networks(run.spec, network, known.inputs)
    z = outputs - outputs.mean(dim=2, keepdim=True)
    for member in range(2):
        own = slice(12 * member, 12 * member + 12)
        spread = outputs[:, own].sub(outputs[:, own].mean(dim=2, keepdim=True)).square().mean().sqrt()
        temperature = run.model.members[member].temperatures[1].double().exp()
        responses = (temperature * z[:, own] / spread).softmax(dim=2)
        torch.testing.assert_close(known.responses[:, own], responses, rtol=1e-4, atol=1e-5)
    agreements = (known.responses * known.answers).sum(dim=2)
    torch.testing.assert_close(known.agreements, agreements)
    assert load_run(learned_run).model.eval().members[0].inputs.pictures(torch.float64).shape == (12, 1, 16, 16)


def test_dense_networks_are_shown_pictures_too():
    spec = NetworkSpec.mlp([16, 8, 3], "relu")
    torch.manual_seed(0)
    functional = LearnedTestSet(spec, members=1, questions=5, asked=5, noise=0.0, input_size=(4, 4))
    known = functional.learned_inputs(WeightSpaceFeatures.randn(spec, 2))
    assert known.inputs.shape == (5, 1, 4, 4) and known.agreements.shape == (2, 5)
    vectors = LearnedTestSet(spec, members=1, questions=5, asked=5, noise=0.0)
    assert vectors.learned_inputs(WeightSpaceFeatures.randn(spec, 2)).inputs.shape == (5, 16)


@pytest.mark.parametrize("name", ["relu_run", "learned_run"])
def test_the_picture_and_the_numbers(name, request, digits_zoo, tmp_path):
    run = request.getfixturevalue(name)
    chosen = digits_zoo.ids[3]
    found = explain(run, digits_zoo.path, network=chosen)
    document = json.loads(json.dumps(found.to_json()))
    assert document["network"] == chosen and len(document["layers"]) == 4
    assert document["prediction"] == pytest.approx(float(load_run(run).predict(digits_zoo.read([3]))[0]))
    assert ("inputs" in document) == (name == "learned_run") and "low" not in document
    if "inputs" in document:
        weights = [entry["weight"] for entry in document["inputs"]]
        assert weights == sorted(weights, reverse=True) and len(weights) == 24
    plot_explanation(found).save(tmp_path / "picture.png")
    again = explain(run, digits_zoo.path, network=chosen)
    plot_explanation(again).save(tmp_path / "again.png")
    assert (tmp_path / "picture.png").read_bytes() == (tmp_path / "again.png").read_bytes()
    drawn = np.asarray(Image.open(tmp_path / "picture.png").convert("RGB")).reshape(-1, 3)
    assert len(np.unique(drawn, axis=0)) > 20
    marked = dataclasses.replace(found, interval=(0.1, 0.9), unlike=2.0)
    plot_explanation(marked).save(tmp_path / "marked.png")


def test_networks_that_are_not_named_or_not_there(relu_run, classes_run, digits_zoo, tmp_path):
    with pytest.raises(UsageError, match="holds 40 networks; name one, such as"):
        explain(relu_run, digits_zoo.path)
    with pytest.raises(DataError, match="holds no network 'nobody'"):
        explain(relu_run, digits_zoo.path, network="nobody")
    with pytest.raises(UsageError, match="is a run of task classification; mnfn classify reads it"):
        explain(classes_run, digits_zoo.path, network=digits_zoo.ids[0])
    export_zoo(digits_zoo, tmp_path / "files", limit=1)
    (file,) = (tmp_path / "files").glob("*.safetensors")
    assert explain(relu_run, file).network == file.stem
    other = NetworkSpec.mlp([2, 3, 1], "relu")
    from mnfn_cli.storage.tensors import save_tensors

    save_tensors(tmp_path / "other.safetensors", WeightSpaceFeatures.zeros(other, 1).to_state_dicts()[0])
    with pytest.raises(DataError):
        explain(relu_run, tmp_path / "other.safetensors")
