"""Controls on real accuracies: shuffled labels teach nothing, and random inputs teach less than learned ones."""

import pytest
import torch

from mnfn_cli.models.learned_test_set import LearnedTestSet
from mnfn_cli.recipe import load_recipe
from mnfn_cli.tasks.training import train_run
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.forward_pass import run_networks
from mnfn_cli.zoo.images import load_images
from mnfn_cli.zoo.writer import save_zoo

COUNT, TRAINED = 320, 200
SHORT = ("model.members=1", "model.questions=32", "model.asked=16", "training.steps=60", "training.validate_every=60")


@pytest.fixture(scope="module")
def damaged(digits_zoo):
    """The better networks of a small zoo with noise on their weights, and their accuracies on 300 digits."""
    random = torch.Generator().manual_seed(0)
    accuracies = torch.tensor(digits_zoo.table["test_accuracy"].to_numpy())
    best = accuracies.argsort(descending=True)[:8].tolist()
    networks = digits_zoo.read(best).select([row % 8 for row in range(COUNT)])
    amounts = 0.8 * torch.rand(COUNT, generator=random)

    def damage(tensor):
        noise = torch.randn(tensor.shape, generator=random) * tensor.std()
        return tensor + amounts.view(-1, *[1] * (tensor.dim() - 1)) * noise

    networks = networks.map(damage)
    images = load_images("digits")
    answers = run_networks(digits_zoo.spec, networks, images.pixels[:300]).argmax(dim=2)
    measured = (answers == images.labels[:300]).double().mean(dim=1)
    assert measured.std() > 0.15
    return digits_zoo.spec, networks, measured


def tau_of(path, damaged, name, shuffled, *overrides):
    spec, networks, accuracies = damaged
    if shuffled:
        order = torch.randperm(TRAINED, generator=torch.Generator().manual_seed(1))
        accuracies = torch.cat([accuracies[:TRAINED][order], accuracies[TRAINED:]])
    splits = ["train"] * TRAINED + ["val"] * 20 + ["test"] * (COUNT - TRAINED - 20)
    columns = {"id": [str(row) for row in range(COUNT)], "split": splits, "activation": ["relu"] * COUNT}
    features = WeightSpaceFeatures(networks.weights, networks.biases)
    zoo = save_zoo(path / "zoo", spec, features, columns | {"test_accuracy": accuracies.tolist()})
    recipe = load_recipe(f"generalization/{name}", [f"data.zoo=['{zoo.path}']", *overrides])
    return train_run(recipe, path / "run").test["tau"].value


# A tau of nothing on 100 networks has a standard deviation of 0.07.
@pytest.mark.parametrize(
    ("name", "overrides", "least"),
    [
        ("relu-learned-test-set", SHORT, 0.6),
        ("relu-trees", ("model.forest.trees=40", "model.forest.rounds=20", "model.probes=12"), 0.5),
    ],
)
def test_shuffled_labels_teach_nothing(damaged, tmp_path, name, overrides, least):
    assert tau_of(tmp_path / "true", damaged, name, False, *overrides) > least
    assert abs(tau_of(tmp_path / "shuffled", damaged, name, True, *overrides)) < 0.3


def test_learned_inputs_are_better_than_random_ones(damaged, tmp_path, monkeypatch):
    """The answers to random inputs are learned in both cases; the inputs themselves have a rate of 0 in one."""
    learned = tau_of(tmp_path / "learned", damaged, "relu-learned-test-set", False, *SHORT)
    own = LearnedTestSet.rate_factor
    monkeypatch.setattr(LearnedTestSet, "rate_factor", lambda *args: 0.0 if ".inputs." in args[1] else own(*args))
    frozen = tau_of(tmp_path / "random", damaged, "relu-learned-test-set", False, *SHORT)
    assert 0.2 < frozen < learned - 0.1
