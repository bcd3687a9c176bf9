"""Data sets in the layout of the Small CNN Zoo, made of networks that were trained on digits."""

import random

import numpy as np
import pytest


@pytest.fixture(scope="session")
def trained(digits_zoo, tanh_zoo):
    """80 trained networks in TensorFlow's order, with the activation and the accuracy of each."""
    from cnn_zoo_files import tensorflow_order

    zoos = {"relu": digits_zoo, "tanh": tanh_zoo}
    arrays = [tensorflow_order(zoo.read()) for zoo in zoos.values()]
    facts = [(name, accuracy) for name, zoo in zoos.items() for accuracy in zoo.table["test_accuracy"].to_list()]
    return np.concatenate(arrays), facts


@pytest.fixture(scope="session")
def cnn_zoo(trained, tmp_path_factory):
    """Eight runs of nine stages each, in mixed order, with a split file; row 0 is of step 86."""
    from cnn_zoo_files import STEPS, metrics_row, write_data_set

    array, facts = trained
    chosen = [*range(36), *range(40, 76)]
    random.Random(5).shuffle(chosen)
    rows = [metrics_row(facts[n][0], STEPS[-1 - place % 9], facts[n][1]) for place, n in enumerate(chosen)]
    order = list(range(72))
    random.Random(6).shuffle(order)
    return write_data_set(tmp_path_factory.mktemp("foreign") / "digits", array[chosen], rows, order=order)


@pytest.fixture(scope="session")
def final_zoo(trained, tmp_path_factory):
    """80 networks of the final step, without a split file."""
    from cnn_zoo_files import metrics_row, write_data_set

    array, facts = trained
    order = random.Random(7).sample(range(80), 80)
    rows = [metrics_row(facts[n][0], 86, facts[n][1]) for n in order]
    return write_data_set(tmp_path_factory.mktemp("foreign") / "final", array[order], rows)
