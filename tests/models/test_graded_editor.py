"""The graded editor: its change commutes with the full group of a SIREN's hidden neurons."""

from math import pi

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mnfn_cli.errors import UsageError
from mnfn_cli.models.graded_editor import GradedEditor
from mnfn_cli.tasks.functional import build_model
from mnfn_cli.testing import assert_breaks, assert_equivariant, relative_difference
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.weightspace.spec import NetworkSpec

SINE = NetworkSpec.mlp([2, 7, 6, 3], activation="sin", omega=15.0)
TINY = {"nodes": 4, "edges": 3, "rounds": 2, "fourier": {"size": 5, "scale": 0.3}}


def weights(spec, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return WeightSpaceFeatures.randn(spec, 2, generator=generator, dtype=dtype).map(lambda tensor: tensor * 0.2)


@given(
    widths=st.lists(st.integers(1, 6), min_size=3, max_size=6),
    dtype=st.sampled_from([torch.float64, torch.float32]),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=30, deadline=None)
def test_the_change_commutes_with_flips_shifts_and_permutations(widths, dtype, seed):
    torch.manual_seed(seed)
    spec = NetworkSpec.mlp(widths, activation="sin", omega=15.0)
    model = GradedEditor(spec, **TINY).to(dtype)
    shifts = 40 if dtype == torch.float64 else 4  # a shift by 40 turns leaves float32 two digits less
    x, element = weights(spec, dtype, seed), MonomialElement.sample(spec, 2, shifts=shifts)
    with torch.no_grad():
        after, before = model(element.act(x)), element.act_on_change(model(x))
    assert relative_difference(after, before) <= (1e-10 if dtype == torch.float64 else 2e-3)


@pytest.mark.parametrize("activation", ["sin", "tanh"])
def test_the_sign_group(activation):
    torch.manual_seed(0)
    spec = NetworkSpec.mlp([2, 7, 6, 3], activation=activation)
    model = GradedEditor(spec, **TINY).double()
    assert_equivariant(model, spec, shifts=40 if activation == "sin" else 0)
    right = MonomialElement.identity(spec, 3)
    assert_breaks(model, spec, MonomialElement(right.permutations, [3 * d for d in right.scales]))


def test_half_a_shift_changes_the_edit():
    torch.manual_seed(0)
    model, x = GradedEditor(SINE, **TINY).double(), weights(SINE)
    moved = WeightSpaceFeatures(x.weights, [x.biases[0] + pi / (2 * SINE.omega), *x.biases[1:]])
    with torch.no_grad():
        after, before = model(moved).map(torch.abs), model(x).map(torch.abs)
    assert relative_difference(after, before) > 1e-2


def test_the_strict_editor_does_not_know_shifts():
    torch.manual_seed(0)
    options = {"channels": [4], "base_channels": [4], "fourier": {"size": 4, "scale": 1.0}, "encoding": None}
    model = build_model("editing/monomial-strict", SINE, **options).double()
    x, element = weights(SINE), MonomialElement.sample(SINE, 2, shifts=40)
    with torch.no_grad():
        after, before = model(element.act(x)), element.act_on_change(model(x))
    assert relative_difference(after, before) > 1e-2


def test_all_of_the_input_reaches_the_editor():
    """Every number of every tensor matters to the change, the output bias and its sign among them."""
    torch.manual_seed(0)
    model, x = GradedEditor(SINE, **TINY).double(), weights(SINE)
    with torch.no_grad():
        before = model(x)
        for number in range(len(x)):
            for kind in ("weights", "biases"):
                changed = {"weights": list(x.weights), "biases": list(x.biases)}
                changed[kind][number] = changed[kind][number] * -1.5
                assert relative_difference(model(WeightSpaceFeatures(**changed)), before) > 1e-4, (kind, number)


def test_networks_of_another_symmetry_are_refused():
    with pytest.raises(UsageError, match="dense network with sign flips"):
        build_model("editing/graded", NetworkSpec.mlp([2, 4, 4, 1], activation="relu"))
