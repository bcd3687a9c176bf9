"""Fitting side by side gives what fitting one after another gives."""

import math

import pytest
import torch
from torch import nn

from mnfn_cli.errors import InterruptedRun
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.rendering import pixel_grid, render
from mnfn_cli.weightspace.spec import NetworkSpec
from mnfn_cli.zoo.build import siren_fit
from mnfn_cli.zoo.build.sines import write_sine_and_cosine
from mnfn_cli.zoo.build.siren_fit import SHARES, draw_siren, fit_networks, networks_at_once

RATE = 3e-3


def streams(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


class Sine(nn.Module):
    def __init__(self, omega):
        super().__init__()
        self.omega = omega

    def forward(self, x):
        return torch.sin(self.omega * x)


def plain_loop(spec, start, picture, steps):
    """Fit one network as a user would, with autograd and torch's Adam."""
    layers = []
    for n_in, n_out in zip(spec.widths[:-1], spec.widths[1:], strict=True):
        layers += [nn.Linear(n_in, n_out, dtype=picture.dtype), Sine(spec.omega)]
    network = nn.Sequential(*layers[:-1])
    network.load_state_dict(start.to_state_dicts(list(network.state_dict()))[0])
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
    grid, targets = pixel_grid(picture.shape[1:], dtype=picture.dtype), picture.flatten(1).T
    for _ in range(steps):
        optimizer.zero_grad()
        (network(grid) - targets).square().mean().backward()
        optimizer.step()
    return WeightSpaceFeatures.from_state_dicts([network.state_dict()], spec)


@pytest.mark.parametrize("widths", [[2, 6, 5, 3], [2, 7, 1], [2, 5, 6, 4, 1]], ids=["colour", "one hidden", "deep"])
def test_side_by_side_is_one_after_another(widths):
    spec = NetworkSpec.mlp(widths, activation="sin", omega=9.0)
    start = draw_siren(spec, streams(0, 1, 2)).to(dtype=torch.float64)
    pictures = torch.rand(3, widths[-1], 5, 7, dtype=torch.float64, generator=streams(5)[0]) * 2 - 1
    fitted = fit_networks(spec, start, pictures, steps=12, learning_rate=RATE)
    alone = [plain_loop(spec, start.select([row]), pictures[row], 12) for row in range(3)]
    torch.testing.assert_close(fitted.flatten(), WeightSpaceFeatures.cat(alone).flatten(), rtol=1e-9, atol=1e-11)
    assert (fitted.flatten() - start.flatten()).abs().min(dim=1).values.min() > 1e-6  # every number has moved


def test_the_start_is_the_papers():
    spec = NetworkSpec.mlp([2, 200, 200, 1], activation="sin", omega=30.0)
    start = draw_siren(spec, streams(0, 0, 1))
    weight_bounds = [1 / 2, math.sqrt(6 / 200) / 30, math.sqrt(6 / 200) / 30]
    bias_bounds = [1 / math.sqrt(2), 1 / math.sqrt(200), 1 / math.sqrt(200)]
    for tensors, bounds in ((start.weights, weight_bounds), (start.biases, bias_bounds)):
        for tensor, bound in zip(tensors[:2], bounds, strict=False):
            assert 0.97 * bound < tensor.abs().max() <= bound
            assert tensor.std() == pytest.approx(bound / math.sqrt(3), rel=0.06)
        assert tensors[2].abs().max() <= bounds[2]
    flat = start.flatten()
    assert torch.equal(flat[0], flat[1]) and not torch.equal(flat[0], flat[2])


def test_it_learns_and_leaves_its_arguments_alone():
    spec = NetworkSpec.mlp([2, 16, 16, 1], activation="sin", omega=9.0)
    start = draw_siren(spec, streams(0, 1))
    before = start.flatten()
    pictures = torch.rand(2, 1, 6, 6, generator=streams(5)[0]) * 2 - 1
    kept = pictures.clone()
    fitted = fit_networks(spec, start, pictures, steps=200, learning_rate=RATE)
    error = (render(spec, fitted, (6, 6)) - pictures).square().mean(dim=(1, 2, 3))
    assert error.max() < 0.01 < pictures.var()
    assert torch.equal(start.flatten(), before) and torch.equal(pictures, kept)


def test_one_that_diverges_harms_no_other():
    spec = NetworkSpec.mlp([2, 5, 5, 1], activation="sin", omega=9.0)
    start = draw_siren(spec, streams(0, 1))
    pictures = torch.rand(2, 1, 4, 4)
    broken = start.map(torch.clone)
    broken.weights[1][0, 0, 0, 0] = math.nan
    fitted = fit_networks(spec, broken, pictures, steps=5, learning_rate=RATE).flatten()
    fine = fit_networks(spec, start, pictures, steps=5, learning_rate=RATE).flatten()
    assert not fitted[0].isfinite().all()
    assert torch.equal(fitted[1], fine[1])


def test_it_stops_where_it_is_told():
    spec = NetworkSpec.mlp([2, 5, 1], activation="sin")
    calls = []

    def check():
        calls.append(1)
        if len(calls) == 3:
            raise InterruptedRun("here", "stop")

    start = draw_siren(spec, streams(0))
    with pytest.raises(InterruptedRun):
        fit_networks(spec, start, torch.rand(1, 1, 4, 4), steps=9, learning_rate=RATE, check=check)
    assert len(calls) == 3


def test_chunks_fit_the_cache_and_are_never_empty():
    spec = NetworkSpec.mlp([2, 32, 32, 1], activation="sin")
    assert networks_at_once(spec, 64, "cpu") > networks_at_once(spec, 28 * 28, "cpu") > SHARES
    assert networks_at_once(spec, 2**20, "cpu") == SHARES


def test_threads_change_nothing(monkeypatch):
    """Shares are fitted by one thread or by several, to the same bits, and torch keeps its threads."""
    monkeypatch.setitem(siren_fit.BUFFER_NUMBERS, "cpu", 3 * 4 * 25)
    spec = NetworkSpec.mlp([2, 4, 4, 1], activation="sin", omega=5.0)
    start, pictures = draw_siren(spec, streams(*range(10))), torch.rand(10, 1, 5, 5)
    threads, found = torch.get_num_threads(), []
    for number in (1, 2, 3):
        torch.set_num_threads(number)
        found.append(fit_networks(spec, start, pictures, steps=5, learning_rate=RATE).flatten())
        assert torch.get_num_threads() == number
    torch.set_num_threads(threads)
    assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])


@pytest.mark.parametrize("steps", [1, 30])
def test_float32_fits_stay_near_float64(steps):
    """What the batched fit gains in speed costs no exactness: it differs from float64 as a plain loop does."""
    spec = NetworkSpec.mlp([2, 16, 16, 1], activation="sin", omega=15.0)
    start = draw_siren(spec, streams(0, 1, 2))
    pictures = torch.rand(3, 1, 16, 16, generator=streams(5)[0]) * 2 - 1
    exact = fit_networks(spec, start.to(dtype=torch.float64), pictures, steps=steps, learning_rate=RATE).flatten()
    alone = [plain_loop(spec, start.select([row]), pictures[row], steps) for row in range(3)]
    plain = WeightSpaceFeatures.cat(alone).flatten().double()
    fitted = fit_networks(spec, start, pictures, steps=steps, learning_rate=RATE).flatten().double()
    assert (fitted - exact).norm() < 3 * (plain - exact).norm()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sines_and_cosines(dtype):
    angles = torch.randn(5, 7, 11, dtype=dtype, generator=streams(0)[0]) * 30
    beside, cosine = torch.ones(5, 8, 11, dtype=dtype), torch.empty(5, 7, 11, dtype=dtype)
    ones = torch.ones(5 * 7 * 11, dtype=dtype)
    write_sine_and_cosine(angles, beside[:, :-1], cosine, ones)
    tolerance = 2e-7 if dtype == torch.float32 else 1e-15
    assert (beside[:, :-1].double() - angles.double().sin()).abs().max() < tolerance
    assert (cosine.double() - angles.double().cos()).abs().max() < tolerance
    assert (beside[:, -1] == 1).all()
    angles[0, 0, 0] = math.inf
    write_sine_and_cosine(angles, beside[:, :-1], cosine, ones)
    assert beside[0, 0, 0].isnan() and cosine.isnan().sum() == 1
