"""Stored trees answer as scikit-learn's do, to the last bit."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor

from mnfn_cli.models.forest import GRID, Forest, ForestOptions, on_grid


def fitted(x, y, trees=20, seed=0):
    forest = ExtraTreesRegressor(trees, min_samples_leaf=2, max_features=1 / 3, random_state=seed).fit(x, y)
    boosted = HistGradientBoostingRegressor(
        max_iter=30, max_leaf_nodes=12, min_samples_leaf=5, l2_regularization=1, early_stopping=False
    ).fit(x, y)
    ours = Forest(ForestOptions(trees=trees), seed)
    ours.take(forest, boosted, torch.device("cpu"))
    return ours, forest, boosted


def assert_same_bits(ours, forest, boosted, x):
    t = torch.from_numpy(x)
    assert np.array_equal(ours.averaged(t).numpy(), forest.predict(x))
    assert np.array_equal(ours.summed(t).numpy(), boosted.predict(x))
    rounded = on_grid(t).numpy()
    assert np.array_equal(ours(t).numpy(), (forest.predict(rounded) + boosted.predict(rounded)) / 2)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31 - 1), rows=st.integers(12, 300), numbers=st.integers(1, 40), digits=st.integers(0, 9))
def test_random_features(seed, rows, numbers, digits):
    """Rounded features meet thresholds exactly; features of 1e-6 leave gaps below float32's precision at 1."""
    random = np.random.default_rng(seed)
    x = np.round(random.normal(size=(2 * rows, numbers)), digits) * 10.0 ** random.integers(-6, 3, size=numbers)
    x = (x + random.integers(0, 2, size=numbers)).astype(np.float32)
    y = np.tanh(x.sum(axis=1, dtype=np.float64)) + random.normal(size=2 * rows)
    ours, forest, boosted = fitted(x[:rows], y[:rows], seed=seed)
    assert_same_bits(ours, forest, boosted, x)
    # What lies on a threshold, or just above it, is the hardest to place.
    on = np.tile(x[:1], (len(ours.forest.threshold), 1))
    inner = ours.forest.feature >= 0
    columns = ours.forest.feature[inner].long().numpy()
    for step in (None, np.float32(np.inf)):
        values = ours.forest.threshold[inner].numpy()
        on[np.nonzero(inner.numpy())[0], columns] = values if step is None else np.nextafter(values, step)
        assert_same_bits(ours, forest, boosted, on)


def test_real_features_and_the_fit_itself():
    """Digits: pixels as features, and classes as targets. A fit on one thread is the fit of scikit-learn."""
    pixels, classes = load_digits(return_X_y=True)
    x, y = on_grid(torch.from_numpy(pixels / 16)).numpy(), classes / 10
    ours, forest, boosted = fitted(x[:900], y[:900])
    assert_same_bits(ours, forest, boosted, x)
    options = ForestOptions(trees=20, rounds=30, round_rate=0.1, round_leaf=5)
    again = Forest(options, 0)
    again.fit(torch.from_numpy(x[:900]), torch.from_numpy(y[:900]))
    assert np.array_equal(again(torch.from_numpy(x)).numpy(), ours(torch.from_numpy(x)).numpy())
    error = np.abs(again(torch.from_numpy(x[900:])).numpy() - y[900:]).mean()
    assert error < 0.5 * np.abs(y[900:] - y[:900].mean()).mean()


def test_saved_and_loaded_with_their_own_shapes():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(60, 3)).astype(np.float32), random.normal(size=60)
    ours, *_ = fitted(x, y)
    other = Forest(ForestOptions(trees=20), 1)
    assert not other.fitted and other.state_dict() == {}
    other.load_state_dict(ours.state_dict())
    assert other.fitted and torch.equal(other(torch.from_numpy(x)), ours(torch.from_numpy(x)))
    with pytest.raises(RuntimeError, match="Unexpected"):
        other.load_state_dict({**ours.state_dict(), "nobody.roots": torch.zeros(1)})


def test_a_feature_that_is_not_finite_gives_no_answer():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(60, 3)).astype(np.float32), random.normal(size=60)
    ours, *_ = fitted(x, y)
    for value in (torch.nan, torch.inf, -torch.inf):
        asked = torch.from_numpy(x.copy())
        asked[1, 2] = value
        assert ours(asked).isnan().tolist() == [row == 1 for row in range(60)]


def test_a_feature_beyond_float32_gives_no_answer():
    ours, *_ = fitted(np.arange(60, dtype=np.float32)[:, None], np.arange(60.0))
    assert ours(torch.tensor([[1e300], [3.0]], dtype=torch.float64)).isnan().tolist() == [True, False]


def test_rounding_errors_move_no_training_network():
    """Thresholds of boosted trees are often values of training networks, so these are the ones at risk."""
    random = np.random.default_rng(0)
    x, y = torch.from_numpy(random.normal(size=(600, 20))), torch.from_numpy(random.normal(size=600))
    x = on_grid(x).double()
    ours = Forest(ForestOptions(trees=10, rounds=40), 0)
    ours.fit(x, y)
    noise = torch.from_numpy(random.uniform(-1, 1, size=x.shape))
    assert torch.equal(ours(x + 0.4 * GRID * noise), ours(x))
    assert not torch.equal(ours(x + 40 * GRID * noise), ours(x))
