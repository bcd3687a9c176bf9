"""Small real fixtures: a zoo of classifiers trained on digits, and a run trained on it, once a session; and counts."""

import os
import sys
from collections import defaultdict
from pathlib import Path

import pytest

# Slow oracles, helpers and files of other people live beside the tests that use them.
sys.path[:0] = [
    str(Path(__file__).parent / folder)
    for folder in ("api", "crash", "nn", "training", "zoo/importers", "fuzz", "hostile", "report/page", "site")
]
os.environ.setdefault("MPLCONFIGDIR", "/tmp/mnfn-matplotlib")
if "PYTEST_XDIST_WORKER" in os.environ:  # each core has a worker of its own, so torch gets one thread in each
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def digits_zoo(tmp_path_factory):
    """A zoo of 40 ReLU classifiers, trained for one epoch on 8x8 digits enlarged to 16x16."""
    return _build(tmp_path_factory, "relu")


@pytest.fixture(scope="session")
def tanh_zoo(tmp_path_factory):
    """A zoo of 40 tanh classifiers."""
    return _build(tmp_path_factory, "tanh")


def _build(tmp_path_factory, activation):
    from mnfn_cli.zoo.build.architectures import cnn_spec
    from mnfn_cli.zoo.build.classifiers import ClassifierZooPlan, build_classifier_zoo
    from mnfn_cli.zoo.images import load_images

    images = load_images("digits")
    plan = ClassifierZooPlan(cnn_spec(images, activation), count=40, epochs=1, seed=3)
    return build_classifier_zoo(plan, images, tmp_path_factory.mktemp("zoos") / activation)


@pytest.fixture(scope="session")
def relu_run(digits_zoo, tmp_path_factory):
    """A finished run of two epochs on the small zoo."""
    run = tmp_path_factory.mktemp("runs") / "relu"
    return _train(digits_zoo, "generalization/relu-monomial", run, "training.epochs=2")


@pytest.fixture(scope="session")
def tanh_run(tanh_zoo, tmp_path_factory):
    """A finished run of two epochs on the small tanh zoo."""
    run = tmp_path_factory.mktemp("runs") / "tanh"
    return _train(tanh_zoo, "generalization/tanh-monomial", run, "training.epochs=2")


def _train(zoo, recipe, path, *overrides):
    from mnfn_cli.recipe import load_recipe
    from mnfn_cli.report.card import present_run
    from mnfn_cli.tasks.training import train_run

    resolved = load_recipe(recipe, [*overrides, f"data.zoo=['{zoo.path}']"])
    train_run(resolved, path, illustrate=present_run)
    return path


@pytest.fixture(scope="session")
def inr_zoo(tmp_path_factory):
    """A zoo of SIRENs of 60 digits, 8x8, from one shared start."""
    from mnfn_cli.zoo.build.siren import fit_siren_zoo
    from mnfn_cli.zoo.build.siren_plan import SirenZooPlan, choose_images, siren_design
    from mnfn_cli.zoo.images import load_images

    images = choose_images(load_images("digits", 8), 60, seed=0)
    design = siren_design(images, init="shared", width=6, steps=40)
    return fit_siren_zoo(SirenZooPlan(design, 1, 0), images, tmp_path_factory.mktemp("zoos") / "inr")


@pytest.fixture(scope="session")
def classes_run(inr_zoo, tmp_path_factory):
    """A finished run of a small monomial classifier."""
    small = ["model.base_channels=[6,6]", "model.head=[8,8]", "training.epochs=2"]
    return _train(inr_zoo, "classification/digits-monomial", tmp_path_factory.mktemp("runs") / "classes", *small)


@pytest.fixture(scope="session")
def dilate_run(inr_zoo, tmp_path_factory):
    """A finished run of a small strict editor."""
    small = ["model.base_channels=[6,6]", "training.steps=6"]
    return _train(inr_zoo, "editing/digits-dilate-monomial-strict", tmp_path_factory.mktemp("runs") / "dilate", *small)


def pytest_terminal_summary(terminalreporter, config):
    """Print what the tests of `make crash` and `make fuzz` counted, in every process of pytest.

    A test says ``record_property("counts", {"of": row, column: number, ...})``. Whole numbers of a row are added up,
    and of others, such as seconds, the largest one is printed.
    """
    if config.option.markexpr not in ("crash", "fuzz"):
        return
    rows = defaultdict(dict)
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for counts in (dict(counts) for name, counts in report.user_properties if name == "counts"):
                row = rows[counts.pop("of")]
                for name, number in counts.items():
                    old = row.get(name, 0)
                    row[name] = old + number if isinstance(number, int) else max(old, number)
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    if not rows:
        return
    wide = max(map(len, rows))
    terminalreporter.write_line(" ".join([" " * wide, *(f"{column:>12}" for column in columns)]))
    for name, row in sorted(rows.items()):
        cells = (f"{row[c]:12,}" if isinstance(row.get(c), int) else f"{row.get(c, 0):12.3f}" for c in columns)
        terminalreporter.write_line(" ".join([name.ljust(wide), *cells]))
