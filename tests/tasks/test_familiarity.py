"""The flag of networks unlike the training zoo: its false alarms, its hits, and that no group element changes it."""

import json

import numpy as np
import polars as pl
import pytest
import torch

from mnfn_cli.errors import UsageError
from mnfn_cli.recipe import load_recipe
from mnfn_cli.tasks.application import apply_run
from mnfn_cli.tasks.calibration import Calibration
from mnfn_cli.tasks.familiarity import FALSE_ALARMS, Familiarity, Reference, enough
from mnfn_cli.tasks.finished_run import load_run
from mnfn_cli.tasks.training import train_run
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.weightspace.mixed import join_networks
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.augment import augment_zoo
from mnfn_cli.zoo.writer import save_zoo


def networks(spec, count, seed, size=1.0):
    """Networks of one kind: normal weights around a common mean, whose size varies."""
    random = torch.Generator().manual_seed(seed)
    drawn = WeightSpaceFeatures.randn(spec, count, generator=random, dtype=torch.float64)
    sizes = torch.rand(count, generator=random, dtype=torch.float64) + 0.5
    return drawn.map(lambda w: size * sizes.view(-1, *[1] * (w.dim() - 1)) * (w + 0.5))


SPEC = NetworkSpec.mlp([2, 6, 5, 1], "relu")


def test_false_alarms_are_as_many_as_promised():
    shares = []
    for seed in range(12):
        flag = Familiarity.fit([SPEC], networks(SPEC, 100, 3 * seed), networks(SPEC, 99, 3 * seed + 1))
        shares.append((flag.scores(networks(SPEC, 200, 3 * seed + 2)) > 1).mean())
    assert abs(np.mean(shares) - FALSE_ALARMS) < 4 * np.std(shares) / np.sqrt(len(shares)) + 0.01


def test_other_networks_are_flagged():
    flag = Familiarity.fit([SPEC], networks(SPEC, 200, 0), networks(SPEC, 99, 1))
    assert (flag.scores(networks(SPEC, 100, 2, size=30.0)) > 1).mean() > 0.5
    assert (flag.scores(networks(SPEC, 100, 2).map(torch.neg)) > 1).mean() > 0.5


@pytest.mark.parametrize(
    ("activation", "dtype"), [("relu", torch.float64), ("tanh", torch.float64), ("relu", torch.float32)]
)
def test_no_group_element_changes_a_score(activation, dtype):
    spec = NetworkSpec.mlp([3, 7, 4, 2], activation)
    flag = Familiarity.fit([spec], networks(spec, 60, 0), networks(spec, 40, 1))
    new = networks(spec, 30, 2)
    element = MonomialElement.sample(
        spec, 30, (1e-4, 1e4), log_uniform=True, generator=torch.Generator().manual_seed(0)
    )
    moved = element.act(new).to(dtype=dtype)
    tolerance = 1e-9 if dtype == torch.float64 else 1e-3
    np.testing.assert_allclose(flag.scores(moved), flag.scores(new.to(dtype=dtype)), rtol=tolerance)
    wrong = MonomialElement(element.permutations, [scale * -2 for scale in element.scales])
    assert abs(flag.scores(wrong.act(new)) / flag.scores(new) - 1).max() > 1e-2


def test_no_shift_of_a_sine_changes_a_score():
    spec = NetworkSpec.mlp([2, 6, 5, 1], "sin", omega=30.0)
    flag = Familiarity.fit([spec], networks(spec, 60, 0), networks(spec, 40, 1))
    new = networks(spec, 30, 2)
    element = MonomialElement.sample(spec, 30, (1.0, 1.0), shifts=5, generator=torch.Generator().manual_seed(0))
    np.testing.assert_allclose(flag.scores(element.act(new)), flag.scores(new), rtol=1e-6)
    half = WeightSpaceFeatures(new.weights, [bias + torch.pi / 60 for bias in new.biases])  # another function
    assert abs(flag.scores(half) / flag.scores(new) - 1).max() > 1e-2


def test_the_distance_is_the_one_that_is_written_down():
    """A slow version of the definition: an explicit inverse of the shrunk covariance."""
    random = np.random.default_rng(0)
    known, new = random.standard_normal((80, 6)) ** 3, random.standard_normal((5, 6)) ** 3
    low, centre, high = np.quantile(known, [0.25, 0.5, 0.75], axis=0)

    def distances(x, width):
        level = [width * np.tanh((rows - centre) / ((high - low) / 1.349) / width) for rows in (known, x)]
        z, d = (rows - level[0].mean(axis=0) for rows in level)
        covariance = z.T @ z / len(z)
        inverse = np.linalg.inv(80 / 86 * covariance + 6 / 86 * np.trace(covariance) / 6 * np.eye(6))
        return np.sqrt(np.einsum("ni,ij,nj->n", d, inverse, d) / 6)

    usual = {0.5: np.quantile(distances(known, 0.5), 0.95), 10: np.quantile(distances(known, 10), 0.98)}
    expected = np.maximum(*(distances(new, width) / usual[width] for width in usual))
    np.testing.assert_allclose(
        Reference.fit(torch.tensor(known)).distances(torch.tensor(new)).numpy(), expected, rtol=1e-5
    )


def test_several_weight_spaces_share_a_threshold():
    specs = [SPEC, NetworkSpec.mlp([2, 4, 1], "tanh")]

    def mixed(seed, size=1.0):
        first, second = networks(specs[0], 150, seed), networks(specs[1], 150, seed, size)
        return join_networks([(0, range(0, 300, 2), first), (1, range(1, 300, 2), second)], specs)

    flag = Familiarity.fit(specs, mixed(0), mixed(1))
    again = Familiarity.from_tensors(specs, flag.to_tensors())
    new = mixed(2, size=30.0)
    assert np.array_equal(again.scores(new), flag.scores(new)) and again.calibration == 300
    assert (flag.scores(new)[1::2] > 1).mean() > 0.5 and (flag.scores(new)[::2] > 1).mean() < 0.2
    with pytest.raises(ValueError, match="not those of networks"):
        Familiarity.from_tensors(specs[::-1], flag.to_tensors())


def test_too_few_give_no_flag():
    assert enough() == 19
    with pytest.raises(ValueError, match="18 calibration networks; at least 19"):
        Familiarity.fit([SPEC], networks(SPEC, 20, 0), networks(SPEC, 18, 1))


@pytest.fixture(scope="module")
def run(digits_zoo, tmp_path_factory):
    """A run on the small zoo, half of whose networks are for validation."""
    splits = ["val" if row % 2 else "train" if row % 4 else "test" for row in range(len(digits_zoo))]
    table = digits_zoo.table.with_columns(split=pl.Series(splits))
    zoo = save_zoo(tmp_path_factory.mktemp("zoos") / "wide", digits_zoo.spec, digits_zoo.read(), table)
    path = tmp_path_factory.mktemp("runs") / "wide"
    small = ["model.head=[8,8]", "training.epochs=1", "training.batch_size=4", f"data.zoo=['{zoo.path}']"]
    train_run(load_recipe("generalization/relu-statnn", small), path)
    return path


def test_predictions_carry_the_flag(run, digits_zoo, relu_run, tmp_path):
    figures = json.loads((run / "result.json").read_text())["unlike"]
    assert (figures["promised"], figures["calibration"], figures["test"]) == (0.05, 20, 10)
    far = save_zoo(
        tmp_path / "far", digits_zoo.spec, digits_zoo.read().map(lambda w: torch.ones_like(w)), digits_zoo.table
    )
    applied = apply_run(run, far.path)
    assert applied.columns["unlike"].all() and (applied.columns["unlike_score"] > 1).all()
    assert applied.facts["unlike"] == 1 and "40 of 40 networks (100%) are unlike" in " ".join(applied.remarks)
    assert ",true," in applied.to_csv() and applied.to_rows()[0]["unlike"] is True
    loaded = load_run(run)
    np.testing.assert_array_equal(loaded.unlike(far.read()).numpy(), applied.columns["unlike_score"])
    twin = augment_zoo(digits_zoo, tmp_path / "twin", scale=(1.0, 1e4)).zoo
    torch.testing.assert_close(loaded.unlike(twin.read()), loaded.unlike(digits_zoo.read()), rtol=1e-3, atol=0)
    with pytest.raises(UsageError, match="cannot tell unlike networks"):
        load_run(relu_run).unlike(digits_zoo.read())


def test_a_classifier_has_the_flag_and_no_intervals(classes_run, inr_zoo):
    known = load_run(classes_run).calibration
    assert known == Calibration() or known.intervals is None
    result = json.loads((classes_run / "result.json").read_text())
    enough_pictures = result["data"]["networks"]["val"] >= enough()
    assert ("unlike" in result) == enough_pictures == (known.familiarity is not None)
