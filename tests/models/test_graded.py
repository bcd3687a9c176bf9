"""The graded reader: invariance to the full symmetry group of sine, in float64 and float32, and what breaks it."""

from math import pi

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mnfn_cli.errors import UsageError
from mnfn_cli.models.graded import SIZE
from mnfn_cli.tasks.functional import build_model
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.forward_pass import run_networks
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.weightspace.rendering import render
from mnfn_cli.weightspace.spec import NetworkSpec

widths = st.integers(1, 6)
OPTIONS = {
    "size": 5,
    "rounds": 2,
    "directions": 6,
    "head": (8, 7),
    "dropout": 0.0,
    "pictures": 0.0,
    "distortion": 0.0,
    "classes": 4,
}


def build(spec):
    torch.manual_seed(0)
    return build_model("classification/graded", spec, **OPTIONS).double().eval()


def draw(spec, seed):
    random = torch.Generator().manual_seed(seed)

    def tensors(shapes):
        return [torch.randn(3, 1, *shape, generator=random, dtype=torch.float64) / 3 for shape in shapes]

    return WeightSpaceFeatures(tensors(spec.weight_shapes), tensors(spec.bias_shapes))


def element_of(spec, seed, batch=3):
    """Return elements that permute, flip and shift all hidden neurons."""
    return MonomialElement.sample(spec, batch, shifts=40, generator=torch.Generator().manual_seed(seed))


def change(model, features, moved):
    return float((model(features) - model(moved)).abs().max().detach())


@settings(max_examples=15, deadline=None)
@given(
    spec=st.builds(
        lambda ends, hidden: NetworkSpec.mlp([ends[0], *hidden, ends[1]], "sin", omega=15.0),
        st.tuples(st.integers(1, 3), st.integers(1, 3)),
        st.lists(widths, min_size=1, max_size=3),
    ),
    seed=st.integers(0, 99),
)
def test_logits_are_invariant_to_permutations_flips_and_shifts(spec, seed):
    model, features = build(spec), draw(spec, seed)
    moved = element_of(spec, seed).act(features)
    points = torch.linspace(-1, 1, 5, dtype=torch.float64)[:, None].expand(-1, spec.widths[0])
    same = run_networks(spec, features, points) - run_networks(spec, moved, points)
    assert same.abs().max() < 1e-10
    assert change(model, features, moved) < 1e-10


SPEC = NetworkSpec.mlp([2, 6, 5, 1], "sin", omega=15.0)


def test_wrong_elements_change_the_logits():
    model, features, g = build(SPEC), draw(SPEC, 0), element_of(SPEC, 1)
    assert change(model, features, g.act(features)) < 1e-10
    half = MonomialElement(g.permutations, g.scales, g.shifts, 2 * SPEC.omega)  # shifts by multiples of pi / (2 omega)
    assert change(model, features, half.act(features)) > 1e-4
    forgetful = MonomialElement(g.permutations, g.scales).act(features)  # the outgoing weights do not see the shifts
    shifts = [k[:, None] * pi / SPEC.omega for k in g.shifts]
    biases = [b + shift for b, shift in zip(forgetful.biases[:-1], shifts, strict=True)]
    forgetful = WeightSpaceFeatures(forgetful.weights, [*biases, forgetful.biases[-1]])
    assert change(model, features, forgetful) > 1e-4


def test_logits_in_float32():
    model, features = build(SPEC).float(), draw(SPEC, 0)
    moved = element_of(SPEC, 1).act(features).to(dtype=torch.float32)
    assert change(model, features.to(dtype=torch.float32), moved) < 1e-3  # 40 half turns round a phase to 5e-6


def test_networks_without_biases_or_weights_are_read():
    model, features = build(SPEC), draw(SPEC, 0)
    zeros = WeightSpaceFeatures([0 * w for w in features.weights], [0 * b for b in features.biases])
    logits = model(zeros)
    assert torch.isfinite(logits).all()
    logits.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


def test_the_training_loss_adds_the_error_of_drawn_pictures():
    torch.manual_seed(0)
    model = build_model("classification/graded", SPEC, **OPTIONS | {"pictures": 2.0}).double()
    x = draw(SPEC, 0)
    drawn = model.drawing(model.read(x)).unflatten(1, (1, *SIZE))
    expected = 3.0 + 2.0 * (drawn - render(SPEC, x, SIZE)).square().mean()
    torch.testing.assert_close(model.training_loss(x, lambda logits: 0 * logits.sum() + 3.0), expected)
    plain = build(SPEC)
    torch.testing.assert_close(plain.training_loss(x, torch.sum), plain(x).sum())


def test_distortion_moves_the_picture_in_training_alone():
    torch.manual_seed(0)
    model = build_model("classification/graded", SPEC, **OPTIONS | {"distortion": 0.1}).double()
    x = draw(SPEC, 0)
    assert torch.equal(model(x), model(x))
    losses = [model.training_loss(x, torch.sum).detach() for _ in range(2)]
    assert not torch.equal(*losses)


@pytest.mark.parametrize(
    "spec", [NetworkSpec.mlp([2, 4, 1], "tanh"), NetworkSpec.cnn([1, 4], outputs=3, activation="sin")]
)
def test_other_networks_are_refused(spec):
    with pytest.raises(UsageError, match="dense networks with sines"):
        build(spec)
