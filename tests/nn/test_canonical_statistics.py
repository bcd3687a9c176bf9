"""Canonical and mean-field statistics: against numpy, and invariant for any shapes, silent and saturated ones too."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rounding import moved_by_rounding

from mnfn_cli.nn.canonical_statistics import SPECTRAL_FLOOR, CanonicalStatistics
from mnfn_cli.nn.mean_field import INPUT_DEVIATION, INPUT_MEAN, MeanFieldStatistics
from mnfn_cli.nn.quantiles import quantiles
from mnfn_cli.testing import assert_breaks
from mnfn_cli.weightspace.canonical import canonicalize
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.forward_pass import run_networks
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.weightspace.spec import NetworkSpec

BOTH = pytest.mark.parametrize("kind", [CanonicalStatistics, MeanFieldStatistics])
DIGITS = NetworkSpec.cnn([1, 16, 16, 16], stride=2, outputs=10)


@st.composite
def spaces(draw, activations=("relu", "tanh", "gelu", "sin")):
    activation = draw(st.sampled_from(activations))
    widths = st.integers(1, 6)
    if draw(st.booleans()):
        return NetworkSpec.mlp([draw(widths) for _ in range(draw(st.integers(3, 6)))], activation)
    pools = draw(st.sampled_from(["none", "max2", "avg2"]))
    depth = draw(st.integers(1, 3))
    if draw(st.booleans()):  # the last convolution is a dense layer on a flattened map of 3 x 3
        sizes = {"kernel": [2] * depth + [3], "flatten": True, "input_size": (3 + depth, 3 + depth)}
        return NetworkSpec.cnn([draw(widths) for _ in range(depth + 2)], outputs=2, activation=activation, **sizes)
    return NetworkSpec.cnn(
        [draw(widths) for _ in range(depth + 1)],
        kernel=draw(st.integers(1, 3)),
        hidden=[draw(widths) for _ in range(draw(st.integers(0 if depth > 1 else 1, 2)))],
        outputs=draw(widths),
        activation=activation,
        pool=pools,
    )


def networks(spec, seed, kind):
    """Four random networks: as drawn, with silent neurons, with large weights, with layers of zeros."""
    generator = torch.Generator().manual_seed(seed)
    drawn = WeightSpaceFeatures.randn(spec, 4, generator=generator, dtype=torch.float64)
    if kind == "silent":
        for weight, bias in zip(drawn.weights[:-1], drawn.biases[:-1], strict=True):
            weight[:, :, 0], bias[:, :, 0] = 0, 0
    if kind == "saturated":
        return drawn.map(lambda tensor: tensor * 1e3)
    if kind == "zeros":
        drawn.weights[seed % spec.num_layers].zero_()
    return drawn


@BOTH
@settings(deadline=None, max_examples=40)
@given(spaces(), st.integers(0, 999), st.sampled_from(["drawn", "silent", "saturated", "zeros"]), st.booleans())
def test_no_group_element_moves_them(kind, spec, seed, drawn, log_uniform):
    statistics = kind(spec)
    x = networks(spec, seed, drawn)
    g = MonomialElement.sample(
        spec,
        4,
        (1e-4, 1e4) if log_uniform else (1.0, 1e4),
        log_uniform=log_uniform,
        generator=torch.Generator().manual_seed(seed),
    )
    expected = statistics(x)
    assert expected.shape == (4, statistics.numbers) and expected.dtype == torch.float64
    assert torch.isfinite(expected).all()
    change = (statistics(g.act(x)) - expected).abs().max()
    assert change <= 1e-9 or change <= moved_by_rounding(statistics, x, torch.float64)
    stored = x.to(dtype=torch.float32)
    moved = g.act(stored.to(dtype=torch.float64)).to(dtype=torch.float32)
    torch.testing.assert_close(statistics(moved), statistics(stored), rtol=0, atol=1e-4)


@BOTH
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_other_elements_move_them(activation, kind):
    spec = replace(DIGITS, activation=activation)
    wrong = MonomialElement.sample(replace(spec, activation="relu"), 3, generator=torch.Generator().manual_seed(1))
    if activation == "relu":  # negative factors
        wrong = MonomialElement(wrong.permutations, [-scale for scale in wrong.scales])
    assert_breaks(kind(spec), spec, wrong)


@BOTH
def test_max_pooling_leaves_no_sign_flips(kind):
    spec = NetworkSpec.cnn([1, 4, 4], outputs=3, activation="tanh", pool=["max2", "none"])
    ones = [torch.ones(3, 4, dtype=torch.float64) for _ in range(2)]
    places = MonomialElement.identity(spec, 3).permutations
    assert_breaks(kind(spec), spec, MonomialElement(places, [-ones[0], ones[1]]))
    x = WeightSpaceFeatures.randn(spec, 3, dtype=torch.float64)
    flipped = MonomialElement(places, [ones[0], -ones[1]]).act(x)
    torch.testing.assert_close(kind(spec)(flipped), kind(spec)(x))


def test_quantiles_as_numpy_has_them():
    numbers = torch.randn(3, 8, dtype=torch.float64)
    expected = np.quantile(numbers.numpy(), [0, 0.1, 0.25, 0.5, 0.75, 0.9, 1], axis=1).T
    np.testing.assert_allclose(quantiles(numbers).numpy(), expected)
    assert not quantiles(numbers[:, :0]).any()


@BOTH
def test_sizes_do_not_depend_on_hidden_widths(kind):
    assert kind(DIGITS).numbers == kind(replace(DIGITS, widths=(1, 2, 3, 4, 10))).numbers


@BOTH
@pytest.mark.parametrize("size", [0.0, 1e-30, 1e30])
def test_finite_for_every_finite_network(size, kind):
    spec = NetworkSpec.mlp([3, 4, 4, 4, 4, 4, 4, 4, 4, 4, 2], "relu")
    x = WeightSpaceFeatures.randn(spec, 2).map(lambda tensor: tensor * size)
    assert torch.isfinite(kind(spec)(x)).all()


def test_statistics_of_a_dense_network_as_their_formulas():
    spec = NetworkSpec.mlp([3, 5, 4, 2], "relu")
    x = WeightSpaceFeatures.randn(spec, 1, dtype=torch.float64)
    found = CanonicalStatistics(spec)(x)[0].numpy()
    canonical, _ = canonicalize(x, spec)
    weights = [weight[0, 0].numpy() for weight in canonical.weights]
    expected, paths = [], np.ones(3)

    def spectrum(matrix):
        squares = np.linalg.svd(matrix, compute_uv=False) ** 2
        return [*levels(np.log(squares + 1e-6) / 2), squares.sum() ** 2 / (squares**2).sum()]

    def levels(numbers):
        return np.quantile(numbers, [0, 0.1, 0.25, 0.5, 0.75, 0.9, 1])

    def logarithm(norms):
        return np.log(norms / np.sqrt((norms**2).mean()))

    def cosines(matrix):
        unit = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
        return [a @ b for i, a in enumerate(unit) for b in unit[:i]]

    for matrix, bias in zip(weights, canonical.biases, strict=True):
        for tensor in (matrix.ravel(), bias[0, 0].numpy()):
            size = np.sqrt((tensor**2).mean())
            expected += [np.log(size), tensor.mean() / size, tensor.std() / size, *levels(tensor / size)]
        rows, columns = np.linalg.norm(matrix, axis=1), np.linalg.norm(matrix, axis=0)
        expected += spectrum(matrix / np.linalg.norm(matrix))
        expected += [*levels(logarithm(rows)), *levels(logarithm(columns))]
        expected += [*levels(cosines(matrix)), *levels(cosines(matrix.T)), *levels(bias[0, 0].numpy() / rows)]
        paths = np.abs(matrix) @ paths
    for first, second in pairwise(weights):
        incoming, outgoing = np.linalg.norm(first, axis=1), np.linalg.norm(second, axis=0)
        incoming, outgoing = (norms / np.sqrt((norms**2).mean()) for norms in (incoming, outgoing))
        product = second @ first * len(first) ** 0.5 / np.linalg.norm(first) / np.linalg.norm(second)
        spreads = [max(norms.std(), 10 * SPECTRAL_FLOOR) for norms in (incoming, outgoing)]
        correlation = np.cov(incoming, outgoing, bias=True)[0, 1] / np.prod(spreads)
        expected += [*levels(logarithm(incoming * outgoing)), correlation]
        expected += [*spectrum(product), np.log(np.linalg.norm(product) + 1e-3)]
    np.testing.assert_allclose(found, [*expected, *np.sort(np.log(paths))], rtol=1e-9, atol=1e-9)


def test_mean_field_of_a_wide_network_as_sampling_has_it():
    torch.manual_seed(0)
    spec = NetworkSpec.mlp([4, 400, 300, 3], "tanh")
    x = WeightSpaceFeatures.randn(spec, 1, dtype=torch.float64)
    x = WeightSpaceFeatures([w / w.shape[3] ** 0.5 for w in x.weights], [0.3 * b for b in x.biases])
    inputs = INPUT_MEAN + INPUT_DEVIATION * torch.randn(20_000, 4, dtype=torch.float64)
    outputs = run_networks(spec, x, inputs)[0]
    outputs = outputs - outputs.mean(dim=1, keepdim=True)
    mean, size = outputs.mean(dim=0), outputs.var(dim=0).mean().sqrt()
    whole = (mean.square().mean() + size**2).sqrt()
    # The first of the three correlation lengths has independent inputs; its last block describes the outputs.
    found = MeanFieldStatistics(spec)(x)[0].reshape(3, -1)[0]
    block = found[-(1 + 1 + 3 + 3 + 7 + 1 + 7 + 7 + 7 + 3 + 3 + 3) :]
    torch.testing.assert_close(block[0], size.log(), rtol=0, atol=0.05)
    torch.testing.assert_close(block[2:5], (mean / whole).sort().values, rtol=0, atol=0.05)
    wins = torch.stack([(outputs[:, [i]] > outputs).double().mean(dim=0).sum() + 0.5 for i in range(3)]) / 3
    torch.testing.assert_close(block[-9:-6], wins.sort().values, rtol=0, atol=0.05)
