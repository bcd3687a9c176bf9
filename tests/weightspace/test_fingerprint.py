"""Fingerprints: the same for twins, within a bound that is proven, and of the same few numbers for every network."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mnfn_cli.weightspace.alignment import TOLERANCE, align
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.fingerprint import DIRECTIONS, fingerprint, twin_distance
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.weightspace.spec import NetworkSpec

SPECS = [
    NetworkSpec.mlp([2, 5, 1], "relu"),
    NetworkSpec.mlp([30, 5, 4, 7], "leaky_relu"),
    NetworkSpec.mlp([2, 9, 9, 3], "sin", omega=30.0),
    NetworkSpec.cnn([1, 6, 5], kernel=3, hidden=[4], outputs=10, activation="tanh", pool=["max2", "none"]),
    NetworkSpec.mlp([3, 5, 4, 2], "gelu"),
]


@given(
    spec=st.sampled_from(SPECS),
    seed=st.integers(0, 2**32),
    dtype=st.sampled_from(list(TOLERANCE)),
    silent=st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_twins_lie_within_the_bound(spec, seed, dtype, silent):
    generator = torch.Generator().manual_seed(seed)
    a = WeightSpaceFeatures.randn(spec, 4, generator=generator).to(dtype=dtype)
    if silent:
        a.weights[0][:, :, 1] = 0
        a.biases[0][:, :, 1] = 0
    b = MonomialElement.sample(spec, 4, (1.0, 1e3), generator=generator).act(a)
    found = align(spec, a, b)
    distance = (fingerprint(spec, a) - fingerprint(spec, b)).norm(dim=1)
    assert fingerprint(spec, a).shape[1] <= DIRECTIONS
    assert (distance <= twin_distance(spec, TOLERANCE[dtype])).all() and found.twins.all()


@given(spec=st.sampled_from(SPECS), seed=st.integers(0, 2**32), size=st.sampled_from([1e-8, 1e-4, 1e-2]))
@settings(max_examples=100, deadline=None)
def test_no_change_of_a_network_escapes_the_bound(spec, seed, size):
    """Whatever the residual of two networks is, their fingerprints are at most as far apart as twins of it may be."""
    generator = torch.Generator().manual_seed(seed)
    a = WeightSpaceFeatures.randn(spec, 4, generator=generator, dtype=torch.float64)
    b = a.map(lambda t: t * (1 + size * torch.randn(t.shape, generator=generator, dtype=t.dtype)))
    residuals = align(spec, a, b).residual
    distance = (fingerprint(spec, a) - fingerprint(spec, b)).norm(dim=1)
    for residual, apart in zip(residuals.tolist(), distance.tolist(), strict=True):
        assert apart <= twin_distance(spec, residual)


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_strangers_lie_far_apart(spec):
    prints = fingerprint(spec, WeightSpaceFeatures.randn(spec, 200))
    apart = torch.pdist(prints)
    assert apart.min() > 10 * twin_distance(spec, TOLERANCE[torch.float32])


def test_networks_of_zeros_and_of_numbers_too_large():
    spec = SPECS[1]
    zeros = WeightSpaceFeatures.zeros(spec, 1)
    assert torch.isfinite(fingerprint(spec, zeros)).all()
    huge = WeightSpaceFeatures.randn(spec, 1, dtype=torch.float64).map(lambda t: t * 1e200)
    assert not torch.isfinite(fingerprint(spec, huge)).all()
