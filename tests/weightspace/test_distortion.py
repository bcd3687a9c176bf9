"""Affine maps of an INR's coordinates in its first layer."""

import torch

from mnfn_cli.weightspace.distortion import distort
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.forward_pass import run_networks
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.weightspace.spec import NetworkSpec

SPEC = NetworkSpec.mlp([2, 7, 5, 3], "sin", omega=15.0)


def distorted(features, seed=1):
    torch.manual_seed(seed)
    return distort(features, 0.1)


def test_each_network_computes_its_function_of_moved_points():
    x = WeightSpaceFeatures.randn(SPEC, 4, dtype=torch.float64)
    points = torch.randn(6, 2, dtype=torch.float64)
    outputs = run_networks(SPEC, distorted(x), points)
    torch.manual_seed(1)
    drawn = 0.1 * torch.randn(4, 1, 2, 3, dtype=torch.float64)
    for row, (entries,) in enumerate(drawn):
        moved = points + points @ entries[:, :2].T + entries[:, 2]
        torch.testing.assert_close(outputs[row], run_networks(SPEC, x.select([row]), moved)[0])
    assert (outputs - run_networks(SPEC, x, points)).abs().amax(dim=(1, 2)).min() > 1e-3


def test_it_commutes_with_the_group():
    x = WeightSpaceFeatures.randn(SPEC, 4, dtype=torch.float64)
    element = MonomialElement.sample(SPEC, 4, shifts=3)
    pairs = zip(distorted(element.act(x)).tensors(), element.act(distorted(x)).tensors(), strict=True)
    for one, other in pairs:
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_no_deviation_is_no_distortion():
    x = WeightSpaceFeatures.randn(SPEC, 2)
    assert all(map(torch.equal, distort(x, 0.0).tensors(), x.tensors()))
