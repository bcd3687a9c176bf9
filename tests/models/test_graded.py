"""The graded reader: invariance to the full symmetry group of sine, in float64 and float32, and what breaks it."""

from math import pi

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mnfn_cli.errors import UsageError
from mnfn_cli.tasks.functional import build_model
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.forward_pass import run_networks
from mnfn_cli.weightspace.spec import NetworkSpec

widths = st.integers(1, 6)
OPTIONS = {"size": 5, "rounds": 2, "directions": 6, "head": (8, 7), "dropout": 0.0, "classes": 4}


def build(spec):
    torch.manual_seed(0)
    return build_model("classification/graded", spec, **OPTIONS).double().eval()


def draw(spec, seed):
    random = torch.Generator().manual_seed(seed)

    def tensors(shapes):
        return [torch.randn(3, 1, *shape, generator=random, dtype=torch.float64) / 3 for shape in shapes]

    return WeightSpaceFeatures(tensors(spec.weight_shapes), tensors(spec.bias_shapes))


def act(spec, features, seed, quarter=0.0, forget=False):
    """Permute, flip and shift all hidden neurons, written out; the wrong ones for ``quarter`` and ``forget``.

    Args:
        quarter: is added to every number of half turns, so 0.5 shifts a phase by a quarter turn too much.
        forget: whether the outgoing weights forget the shift.
    """
    random = torch.Generator().manual_seed(seed)
    weights, biases = [w.clone() for w in features.weights], [b.clone() for b in features.biases]
    for i, n in enumerate(spec.hidden_widths):
        order = torch.randperm(n, generator=random)
        d = 1 - 2 * torch.randint(0, 2, (n,), generator=random)
        k = torch.randint(-40, 41, (n,), generator=random)
        shifted = d if forget else d * (1 - 2 * (k % 2))
        weights[i] = (weights[i] * d[:, None])[:, :, order]
        biases[i] = (biases[i] * d + (k + quarter).double() * pi / spec.omega)[:, :, order]
        weights[i + 1] = (weights[i + 1] * shifted)[..., order]
    return WeightSpaceFeatures(weights, biases)


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
    moved = act(spec, features, seed)
    points = torch.linspace(-1, 1, 5, dtype=torch.float64)[:, None].expand(-1, spec.widths[0])
    same = run_networks(spec, features, points) - run_networks(spec, moved, points)
    assert same.abs().max() < 1e-10
    assert change(model, features, moved) < 1e-10


SPEC = NetworkSpec.mlp([2, 6, 5, 1], "sin", omega=15.0)


def test_wrong_elements_change_the_logits():
    model, features = build(SPEC), draw(SPEC, 0)
    assert change(model, features, act(SPEC, features, 1)) < 1e-10
    assert change(model, features, act(SPEC, features, 1, quarter=0.5)) > 1e-4
    assert change(model, features, act(SPEC, features, 1, forget=True)) > 1e-4


def test_logits_in_float32():
    model, features = build(SPEC).float(), draw(SPEC, 0)
    moved = act(SPEC, features, 1).to(dtype=torch.float32)
    assert change(model, features.to(dtype=torch.float32), moved) < 1e-3  # a phase of 40 half turns has 5e-6 rounding


def test_networks_without_biases_or_weights_are_read():
    model, features = build(SPEC), draw(SPEC, 0)
    zeros = WeightSpaceFeatures([0 * w for w in features.weights], [0 * b for b in features.biases])
    logits = model(zeros)
    assert torch.isfinite(logits).all()
    logits.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize(
    "spec", [NetworkSpec.mlp([2, 4, 1], "tanh"), NetworkSpec.cnn([1, 4], outputs=3, activation="sin")]
)
def test_other_networks_are_refused(spec):
    with pytest.raises(UsageError, match="dense networks with sines"):
        build(spec)
