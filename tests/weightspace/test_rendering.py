"""A network's picture: where its pixels are, in which order, and what gradients see."""

import pytest
import torch

from mnfn_cli.errors import UsageError
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.rendering import pixel_grid, render
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.weightspace.spec_checks import is_inr

SPEC = NetworkSpec.mlp([2, 5, 4, 3], activation="sin", omega=7.0)


def test_the_grid_runs_row_by_row_from_corner_to_corner():
    grid = pixel_grid((3, 4), dtype=torch.float64)
    assert grid.shape == (12, 2) and grid.dtype == torch.float64
    assert grid[0].tolist() == [-1, -1] and grid[-1].tolist() == [1, 1]
    assert grid[3].tolist() == [-1, 1]  # the end of the first row: still at the top, and far right
    assert grid[4].tolist() == [0, -1]
    assert pixel_grid((1, 1)).tolist() == [[-1, -1]]


def test_a_picture_is_the_network_at_every_pixel():
    features = WeightSpaceFeatures.randn(SPEC, 2, dtype=torch.float64)
    drawn = render(SPEC, features, (3, 4))
    assert drawn.shape == (2, 3, 3, 4) and drawn.dtype == torch.float64
    place = torch.tensor([2 * 2 / 2 - 1, 2 * 1 / 3 - 1], dtype=torch.float64)  # row 2 of 3, column 1 of 4
    x = place
    for i in range(3):
        x = features.weights[i][1, 0] @ x + features.biases[i][1, 0]
        x = torch.sin(7.0 * x) if i < 2 else x
    torch.testing.assert_close(drawn[1, :, 2, 1], x)


def test_gradients_reach_every_weight():
    features = WeightSpaceFeatures.randn(SPEC, 2).map(lambda tensor: tensor.requires_grad_())
    render(SPEC, features, (4, 4)).square().sum().backward()
    assert all(tensor.grad is not None and tensor.grad.abs().sum() > 0 for tensor in features.tensors())


def test_what_draws_pictures():
    assert is_inr(SPEC) and is_inr(NetworkSpec.mlp([2, 8, 1], activation="sin"))
    assert not is_inr(NetworkSpec.mlp([2, 8, 1], activation="relu"))
    assert not is_inr(NetworkSpec.mlp([3, 8, 1], activation="sin"))
    assert not is_inr(NetworkSpec.mlp([2, 8, 10], activation="sin"))
    classifier = NetworkSpec.cnn([1, 4, 4], outputs=10)
    with pytest.raises(UsageError, match="draws no picture"):
        render(classifier, WeightSpaceFeatures.zeros(classifier, 1), (4, 4))
