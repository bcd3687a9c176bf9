"""The classifier that runs INRs on learned points: invariant to whatever leaves the function as it is."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mnfn_cli.errors import DataError, NumericError, UsageError
from mnfn_cli.models.probe import POINT_RATE
from mnfn_cli.nn.points import grid_points
from mnfn_cli.recipe import load_recipe
from mnfn_cli.tasks.application import apply_run
from mnfn_cli.tasks.condition import Condition
from mnfn_cli.tasks.finished_run import load_run
from mnfn_cli.tasks.functional import build_model
from mnfn_cli.tasks.training import train_run
from mnfn_cli.testing import assert_breaks, relative_difference
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.forward_pass import run_networks
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.writer import save_zoo

TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-3}


def build(spec, points=9, distortion=0.0, dtype=torch.float64):
    torch.manual_seed(0)
    options = {"points": points, "hidden": [8, 8], "dropout": 0.5, "distortion": distortion}
    return build_model("classification/probe", spec, **options).to(dtype).eval()


@st.composite
def sirens(draw):
    """SIRENs of any depth and widths, from one to four coordinates to any colours, with and without an offset."""
    widths = [
        draw(st.integers(1, 4)),
        *draw(st.lists(st.integers(1, 6), min_size=1, max_size=4)),
        draw(st.integers(1, 3)),
    ]
    return NetworkSpec.mlp(
        widths, "sin", omega=draw(st.sampled_from([1.0, 15.0, 30.0])), output_offset=draw(st.sampled_from([0.0, 0.5]))
    )  # fmt: skip


@given(spec=sirens(), seed=st.integers(0, 2**32), dtype=st.sampled_from([torch.float64, torch.float32]))
@settings(max_examples=40, deadline=None)
def test_invariant_to_the_full_group_of_a_sine(spec, seed, dtype):
    generator = torch.Generator().manual_seed(seed)
    x = WeightSpaceFeatures.randn(spec, 3, generator=generator, dtype=dtype).map(lambda t: t / spec.omega)
    model, g = build(spec, dtype=dtype), MonomialElement.sample(spec, 3, shifts=40, generator=generator)
    with torch.no_grad():
        assert float((model(g.act(x)) - model(x)).abs().max()) <= TOLERANCE[dtype]


def test_half_a_shift_and_a_wrong_factor_change_the_logits():
    spec = NetworkSpec.mlp([2, 7, 6, 3], "sin", omega=15.0)
    model, one = build(spec), MonomialElement.identity(spec, 4)
    half = MonomialElement(one.permutations, one.scales, [torch.ones_like(p) for p in one.permutations], 30.0)
    assert_breaks(model, spec, half)
    assert_breaks(model, spec, MonomialElement(one.permutations, [2 * d for d in one.scales]))


def test_the_logits_are_those_of_the_outputs_in_order():
    spec = NetworkSpec.mlp([2, 7, 6, 3], "sin", omega=15.0)
    model, x = build(spec), WeightSpaceFeatures.randn(spec, 4, dtype=torch.float64)
    with torch.no_grad():
        outputs = torch.stack([run_networks(spec, x, point[None])[:, 0] for point in model.points()], dim=1)
        torch.testing.assert_close(model(x), model.head(outputs.flatten(1)))


def test_distortion_is_for_training_and_another_for_each_network():
    spec = NetworkSpec.mlp([2, 7, 1], "sin", omega=15.0)
    x = WeightSpaceFeatures.randn(spec, 1, dtype=torch.float64).select([0, 0, 0])
    model, plain = build(spec, distortion=0.1), build(spec)
    with torch.no_grad():
        assert torch.equal(model(x), plain(x)) and relative_difference(model(x)[:1], model(x)[1:2]) <= 1e-12
    logits = model.train()(x).detach()
    assert (logits[0] - logits[1]).abs().max() > 1e-4


@pytest.mark.parametrize("distortion", [0.0, 0.1])
def test_forward_and_backward_on_meta(distortion):
    spec = NetworkSpec.mlp([2, 7, 6, 3], "sin", omega=15.0)
    with torch.device("meta"):
        model = build_model(
            "classification/probe", spec, points=5, hidden=[4], dropout=0.1, distortion=distortion, classes=7
        )
        logits = model(WeightSpaceFeatures.randn(spec, 3))
        assert logits.shape == (3, 7)
        logits.sum().backward()
    assert model.points.coordinates.grad.shape == (5, 2)
    assert [model.rate_factor(name) for name in ("points.coordinates", "head.0.weight")] == [POINT_RATE, 1.0]


def test_networks_that_are_not_finite_on_a_point_are_known():
    spec = NetworkSpec.mlp([2, 7, 1], "sin", omega=15.0)
    x = WeightSpaceFeatures.randn(spec, 3, dtype=torch.float32)
    x.weights[0][1] = 3e38
    assert build(spec, dtype=torch.float32).readable(x).tolist() == [True, False, True]


def test_networks_with_convolutions_are_refused():
    with pytest.raises(UsageError, match="runs networks on points"):
        build(NetworkSpec.cnn([1, 4], outputs=3, activation="sin"))


@pytest.mark.parametrize(("points", "axes"), [(36, 2), (10, 2), (1, 2), (7, 1), (8, 3), (5, 40)])
def test_grids(points, axes):
    grid = grid_points(points, axes)
    assert grid.shape == (points, axes) and float(grid.abs().max()) <= 1
    assert len({tuple(place) for place in grid.tolist()}) == points
    if round(points ** (1 / axes)) ** axes == points:
        side = round(points ** (1 / axes))
        ticks = torch.linspace(-1, 1, side) if side > 1 else torch.zeros(1)
        torch.testing.assert_close(grid, torch.cartesian_prod(*[ticks] * axes).view(points, axes))


def test_a_run_learns_and_does_not_see_shifts(inr_zoo, tmp_path):
    small = ["model.points=16", "model.hidden=[32]", "model.dropout=0", "training.epochs=60", "training.batch_size=8"]
    small += ["optimizer.lr=5e-3"]
    recipe = load_recipe("classification/digits-probe", [*small, f"data.zoo=['{inr_zoo.path}']"])
    assert recipe.model.reads == "runs the network"
    assert load_recipe("classification/digits-mlp").model.reads == "weights alone"
    train_run(recipe, tmp_path / "run")
    run = load_run(tmp_path / "run")
    train = inr_zoo.read([row for row, split in enumerate(inr_zoo.table["split"]) if split == "train"])
    truth = [
        str(name)
        for name, split in zip(inr_zoo.table["class"], inr_zoo.table["split"], strict=True)
        if split == "train"
    ]
    logits = run.predict(train)
    guess = [run.task.facts.classes[number] for number in logits.argmax(dim=1).tolist()]
    assert sum(a == b for a, b in zip(guess, truth, strict=True)) > 0.5 * len(truth)
    moved = Condition("sign", True, None, True, 3).act(train, run.specs, 0).to(dtype=torch.float32)
    assert float((run.predict(moved) - logits).abs().max()) <= 1e-4


def test_a_network_that_is_not_finite_on_a_point_is_named_or_left_out(inr_zoo, tmp_path):
    networks = inr_zoo.read().map(torch.clone)  # what a zoo reads may be its own memory
    networks.weights[0][3] = 3e38
    table = inr_zoo.table
    made = {name: value for name, value in inr_zoo.record.made.to_json().items() if name != "start"} | {
        "init": "random"
    }
    zoo = save_zoo(tmp_path / "zoo", inr_zoo.spec, networks, table, made=made)
    small = ["model.points=4", "model.hidden=[4]", "training.epochs=1", f"data.zoo=['{zoo.path}']"]
    recipe = load_recipe("classification/digits-probe", small)
    with pytest.raises(DataError, match=rf"{table['id'][3]}: its outputs on .* are not finite; .*--on-bad skip"):
        train_run(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    train_run(recipe, tmp_path / "run", skip_bad=True)
    with pytest.raises(NumericError, match=f"{table['id'][3]}: the probabilities are not finite"):
        apply_run(tmp_path / "run", zoo.path)
    assert table["id"][3] not in apply_run(tmp_path / "run", zoo.path, skip_bad=True).names
