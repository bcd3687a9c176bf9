import json
import math

import pytest

from mnfn_cli.zoo.build.hyperparameters import RANGES, Hyperparameters, draw


def test_a_larger_zoo_begins_with_the_networks_of_a_smaller_one() -> None:
    assert draw(50, seed=3)[:20] == draw(20, seed=3)


def test_networks_and_zoos_differ() -> None:
    drawn = draw(100, seed=0)
    assert len({one.seed for one in drawn}) == len({one.learning_rate for one in drawn}) == 100
    assert not {one.seed for one in drawn} & {one.seed for one in draw(100, seed=1)}


@pytest.mark.parametrize("name", ["weight_decay", "dropout", "initial_scale"])
def test_values_fill_their_range(name: str) -> None:
    ((_, (low, high)),) = RANGES[name].items()
    values = [getattr(one, name) for one in draw(300, seed=0)]
    assert low <= min(values) and max(values) <= high
    assert min(values) < low + 0.1 * (high - low) and max(values) > low + 0.7 * (high - low)


def test_learning_rates_are_those_of_the_optimizer() -> None:
    drawn = draw(300, seed=0)
    assert {one.optimizer for one in drawn} == set(RANGES["learning_rate"])
    for one in drawn:
        low, high = RANGES["learning_rate"][one.optimizer]["log-uniform"]
        assert low <= one.learning_rate <= high


def test_log_uniform_has_its_median_at_the_geometric_mean() -> None:
    low, high = RANGES["weight_decay"]["log-uniform"]
    exponents = sorted(math.log10(one.weight_decay) for one in draw(1001, seed=0))
    assert exponents[500] == pytest.approx(math.log10(low * high) / 2, abs=0.3)


def test_ranges_can_be_recorded() -> None:
    assert json.loads(json.dumps(RANGES)) == RANGES


def test_a_subset_is_rounded_up() -> None:
    drawn = Hyperparameters("adam", 1e-3, 0.0, 0.0, 1.0, train_fraction=0.1, seed=0)
    assert [drawn.subset_size(count) for count in (10, 11, 1437)] == [1, 2, 144]
