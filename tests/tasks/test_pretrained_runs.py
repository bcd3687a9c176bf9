"""The runs that come with mnfn, on small zoos of other seeds: what they know, and that no symmetry moves it."""

import numpy as np
import pytest
import torch

from mnfn_cli import load_run
from mnfn_cli.tasks.metrics import kendall_tau
from mnfn_cli.weightspace.group import MonomialElement
from mnfn_cli.weightspace.rendering import render
from mnfn_cli.zoo.build.siren import fit_siren_zoo
from mnfn_cli.zoo.build.siren_plan import SirenZooPlan, choose_images, siren_design
from mnfn_cli.zoo.images import load_images

CLOSE = 1e-3
"""Trees promise ranks among predictions that are further apart than this."""


@pytest.fixture(scope="module")
def sirens(tmp_path_factory):
    """SIRENs of 40 digits as those that the runs were trained on, from random starts of another seed."""
    images = choose_images(load_images("digits"), 40, seed=9)
    plan = SirenZooPlan(siren_design(images, init="random"), 1, 9)
    return fit_siren_zoo(plan, images, tmp_path_factory.mktemp("zoos") / "sirens")


@pytest.mark.parametrize("name", ["hybrid", "canonical-statistics"])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_accuracies_are_ranked_alike_under_the_group(name, activation, digits_zoo, tanh_zoo):
    zoo = {"relu": digits_zoo, "tanh": tanh_zoo}[activation]
    run, networks = load_run(f"generalization/digits-{activation}-{name}"), zoo.read()
    before = run.predict(networks).double().numpy()
    assert kendall_tau(before, zoo.table["test_accuracy"].to_numpy()) > 0.5
    for log_uniform, scale in ((False, (1.0, 1e4)), (True, (1e-4, 1e4))):
        random = torch.Generator().manual_seed(1)
        element = MonomialElement.sample(zoo.spec, len(zoo), scale, log_uniform=log_uniform, generator=random)
        after = run.predict(element.act(networks.to(dtype=torch.float64)).to(dtype=torch.float32)).double().numpy()
        changed = (before[:, None] > before) != (after[:, None] > after)
        assert not (changed & (np.abs(before[:, None] - before) > CLOSE)).any()
        assert np.abs(after - before).max() < CLOSE


@pytest.mark.parametrize("name", ["digits-probe", "digits-graded"])
def test_digits_are_named_whatever_the_start(name, sirens):
    run, networks = load_run(f"classification/{name}"), sirens.read()
    before = run.predict(networks)
    classes = np.array(run.task.facts.classes)
    assert (classes[before.argmax(dim=1).numpy()] == sirens.table["class"].cast(str).to_numpy()).mean() > 0.9
    element = MonomialElement.sample(sirens.spec, len(sirens), shifts=3, generator=torch.Generator().manual_seed(1))
    after = run.predict(element.act(networks.to(dtype=torch.float64)).to(dtype=torch.float32))
    assert (after - before).abs().max() < 1e-4


def test_digits_are_dilated_and_edits_commute_with_the_full_group(sirens):
    run, networks = load_run("editing/digits-dilate-graded"), sirens.read().to(dtype=torch.float64)
    run = run.to(dtype=torch.float64)
    element = MonomialElement.sample(sirens.spec, len(sirens), shifts=40, generator=torch.Generator().manual_seed(1))
    pictures = [render(sirens.spec, run.predict(x), (16, 16)) for x in (networks, element.act(networks))]
    assert (pictures[0] - pictures[1]).abs().max() < 1e-9
    assert (pictures[0] - render(sirens.spec, networks, (16, 16))).mean() > 0.05  # strokes are white and grow
