"""Small real fixtures: a zoo of classifiers trained on digits, and a run trained on it, once a session."""

import os
import sys
from pathlib import Path

import pytest

# Slow oracles live beside the tests that use them.
sys.path.insert(0, str(Path(__file__).parent / "nn"))
os.environ.setdefault("MPLCONFIGDIR", "/tmp/mnfn-matplotlib")


@pytest.fixture(scope="session")
def digits_zoo(tmp_path_factory):
    """A zoo of 40 ReLU classifiers, trained for one epoch on 8x8 digits enlarged to 16x16."""
    return _build(tmp_path_factory, "relu")


@pytest.fixture(scope="session")
def tanh_zoo(tmp_path_factory):
    """A zoo of 40 tanh classifiers."""
    return _build(tmp_path_factory, "tanh")


def _build(tmp_path_factory, activation):
    from mnfn_cli.zoo.build.cnn import CnnZooPlan, build_cnn_zoo, cnn_spec
    from mnfn_cli.zoo.images import load_images

    images = load_images("digits")
    plan = CnnZooPlan(cnn_spec(images, activation), count=40, epochs=1, seed=3)
    return build_cnn_zoo(plan, images, tmp_path_factory.mktemp("zoos") / activation)


@pytest.fixture(scope="session")
def relu_run(digits_zoo, tmp_path_factory):
    """A finished run of two epochs on the small zoo."""
    return _train(digits_zoo, "generalization/relu-monomial", tmp_path_factory.mktemp("runs") / "relu")


@pytest.fixture(scope="session")
def tanh_run(tanh_zoo, tmp_path_factory):
    """A finished run of two epochs on the small tanh zoo."""
    return _train(tanh_zoo, "generalization/tanh-monomial", tmp_path_factory.mktemp("runs") / "tanh")


def _train(zoo, recipe, path):
    from mnfn_cli.recipe import load_recipe
    from mnfn_cli.report.figures import draw_run
    from mnfn_cli.tasks.training import train_run

    resolved = load_recipe(recipe, ["training.epochs=2", f"data.zoo=['{zoo.path}']"])
    train_run(resolved, path, illustrate=draw_run)
    return path
