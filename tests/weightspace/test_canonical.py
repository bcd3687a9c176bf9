"""The canonical form: the same function, and the same form for every scaled or flipped twin."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mnfn_cli.testing import relative_difference
from mnfn_cli.weightspace.canonical import canonicalize
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.weightspace.run import run_networks
from mnfn_cli.weightspace.spec import NetworkSpec

SPECS = [
    NetworkSpec.mlp([3, 5, 4, 2], "relu"),
    NetworkSpec.mlp([3, 5, 2], "tanh"),
    NetworkSpec.mlp([2, 6, 6, 1], "sin", omega=2.0),
    NetworkSpec.cnn([1, 4, 3], kernel=3, hidden=[5], outputs=2, activation="leaky_relu"),
    NetworkSpec.mlp([3, 5, 4, 2], "gelu"),
]


@given(spec=st.sampled_from(SPECS), seed=st.integers(0, 2**32), channels=st.integers(1, 3))
@settings(max_examples=80, deadline=None)
def test_one_form_for_all_twins(spec, seed, channels):
    generator = torch.Generator().manual_seed(seed)
    x = WeightSpaceFeatures.randn(spec, 3, channels, generator=generator, dtype=torch.float64)
    g = MonomialElement.sample(spec, 3, (1.0, 1e4), permute=False, generator=generator)
    canonical, element = canonicalize(x, spec)
    assert relative_difference(canonicalize(g.act(x), spec)[0], canonical) <= 1e-10
    assert relative_difference(element.act(x), canonical) == 0
    # Under permutations the form moves along.
    h = MonomialElement.sample(spec, 3, (1.0, 1e4), generator=generator)
    permutation = MonomialElement(h.permutations, [torch.ones_like(d) for d in h.scales])
    assert relative_difference(canonicalize(h.act(x), spec)[0], permutation.act(canonical)) <= 1e-10


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_the_function_stays(spec):
    x = WeightSpaceFeatures.randn(spec, 3, dtype=torch.float64)
    inputs = torch.randn(7, *((spec.widths[0], 9, 9) if spec.kernels else (spec.widths[0],)), dtype=torch.float64)
    canonical, _ = canonicalize(x, spec)
    assert relative_difference(run_networks(spec, canonical, inputs), run_networks(spec, x, inputs)) <= 1e-10


def test_incoming_norms_are_one_but_of_silent_neurons():
    spec = NetworkSpec.mlp([3, 4, 4, 2], "relu")
    x = WeightSpaceFeatures.randn(spec, 2, dtype=torch.float64)
    x.weights[0][:, :, 1] = 0
    x.biases[0][:, :, 1] = 0
    canonical, element = canonicalize(x, spec)
    for i in (0, 1):
        norms = (canonical.weights[i].square().sum(dim=(1, 3)) + canonical.biases[i].square().sum(dim=1)).sqrt()
        expected = torch.ones_like(norms)
        expected[:, 1] = 0 if i == 0 else 1
        torch.testing.assert_close(norms, expected)
    assert (element.scales[0][:, 1] == 1).all() and (canonical.weights[1][..., 1] == 0).all()
    assert all(torch.isfinite(tensor).all() for tensor in canonical.tensors())


@pytest.mark.parametrize("size", [1e30, 1e-30])
def test_extreme_weights_neither_overflow_nor_vanish(size):
    spec = NetworkSpec.mlp([3, 4, 2], "relu")
    x = WeightSpaceFeatures.randn(spec, 2, dtype=torch.float32)
    g = MonomialElement.identity(spec, 2)
    g = MonomialElement(g.permutations, [size * d for d in g.scales])
    twin = canonicalize(g.act(x), spec)[0]
    assert relative_difference(twin, canonicalize(x, spec)[0]) <= 1e-5


@pytest.mark.parametrize("spec", SPECS[:4], ids=str)
def test_silent_neurons_leave_no_freedom(spec):
    """No incoming weights and no bias: nothing fixes a neuron's scale, so what it sends on must not show."""
    x = WeightSpaceFeatures.randn(spec, 3, dtype=torch.float64)
    x.weights[0][:, :, 1] = 0
    x.biases[0][:, :, 1] = 0
    if spec.num_layers > 2:
        # Silent in turn, for it hears the silent neuron alone.
        x.weights[1][:, :, 2] = 0
        x.weights[1][:, :, 2, 1] = 5.0
        x.biases[1][:, :, 2] = 0
    inputs = torch.randn(7, *((spec.widths[0], 9, 9) if spec.kernels else (spec.widths[0],)), dtype=torch.float64)
    g = MonomialElement.sample(spec, 3, (2.0, 1e4), permute=False)
    canonical, _ = canonicalize(x, spec)
    assert relative_difference(canonicalize(g.act(x), spec)[0], canonical) <= 1e-10
    assert relative_difference(run_networks(spec, canonical, inputs), run_networks(spec, x, inputs)) <= 1e-10
    if spec.num_layers > 2:
        assert (canonical.weights[2][:, :, :, 2] == 0).all()
