"""Inputs of a shape that networks read."""

import pytest
import torch

from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.forward_pass import run_networks
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.probes import PROBES, compare_outputs, input_shape, random_inputs, some_pixels

FLAT = {"flatten": True, "stride": [(2, 1), 1], "kernel": [(3, 2), (4, 5)]}


@pytest.mark.parametrize(
    ("spec", "shape"),
    [
        (NetworkSpec.mlp([3, 4, 2], "relu"), (3,)),
        (NetworkSpec.mlp([12, 4, 2], "relu", input_size=(3, 2, 2)), (12,)),
        (NetworkSpec.cnn([3, 4], kernel=5, outputs=2), (3, 10, 10)),
        (NetworkSpec.cnn([3, 4], kernel=5, outputs=2, input_size=(7, 9)), (3, 7, 9)),
        (NetworkSpec.cnn([1, 4, 4], kernel=(1, 3), pool=["max2", "none"], outputs=2), (1, 4, 16)),
        (NetworkSpec.cnn([1, 4, 6], outputs=2, **FLAT), (1, 9, 6)),
    ],
    ids=str,
)
def test_a_shape_that_networks_read(spec, shape):
    assert input_shape(spec) == shape
    x = WeightSpaceFeatures.randn(spec, 2, dtype=torch.float64)
    inputs = random_inputs(shape)
    assert run_networks(spec, x, inputs).shape == (2, PROBES, 2)
    assert torch.equal(inputs, random_inputs(shape)) and not torch.equal(inputs, random_inputs(shape, 1))


def test_no_shape_at_all():
    """With this padding the map before the dense layer is never as small as its kernel."""
    assert input_shape(NetworkSpec.cnn([1, 4, 6], kernel=[1, 1], padding=[3, 0], flatten=True, outputs=2)) is None
    assert input_shape(NetworkSpec.cnn([1, 4], kernel=1500, outputs=2)) is None


def test_pixels_and_outputs_that_are_not_finite():
    assert some_pixels((2, 3)).shape == (6, 2) and some_pixels((100, 100)).shape == (PROBES, 2)
    spec = NetworkSpec.mlp([2, 3, 1], "relu")
    x = WeightSpaceFeatures.randn(spec, 1, dtype=torch.float64)
    huge = x.map(lambda t: torch.full_like(t, 1e300))
    found = compare_outputs(spec, huge, huge, [torch.ones(4, 2)])
    assert found.absolute.isinf().all() and found.relative.isinf().all()
