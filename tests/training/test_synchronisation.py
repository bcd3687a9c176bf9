"""No training step waits for its device: whole steps run on the meta device, which has no numbers to wait for."""

import pytest
import torch

from mnfn_cli.models.functional import ClosedFormFunctional
from mnfn_cli.recipe import list_recipes, load_recipe
from mnfn_cli.runtime.context import Context
from mnfn_cli.tasks.batch_loss import BatchLoss
from mnfn_cli.tasks.data import load_split
from mnfn_cli.tasks.functional import build_functional
from mnfn_cli.tasks.task import task_class
from mnfn_cli.training import loop
from mnfn_cli.training.loop import Job
from mnfn_cli.training.state import Position
from mnfn_cli.training.step_log import StepLog

CLOSED_FORM = ("hybrid", "trees", "mixed")
"""Recipes that take no steps, and those of several weight spaces, whose parts are those of one."""
RECIPES = [
    entry.name
    for entry in list_recipes()
    if entry.name.startswith(("generalization/relu", "generalization/tanh", "classification/digits", "editing/digits"))
    and not any(word in entry.name for word in CLOSED_FORM)
]


def steps_on_meta(name, zoo, *overrides):
    """Take two steps of a recipe on the meta device."""
    recipe = load_recipe(name, ["training.batch_size=8", f"data.zoo=['{zoo.path}']", *overrides])
    task = task_class(recipe.task).on_zoos(recipe, [zoo])
    train = load_split([zoo], "train", task.targets).in_memory()
    model = build_functional(recipe, task.specs, task.model_options)
    assert not isinstance(model, ClosedFormFunctional)
    if hasattr(model, "prepare"):
        model.prepare(train.features)
    model.to("meta")
    job = Job(
        loss=BatchLoss(task, model, train.to(device="meta"), 8, 3),
        validate=dict,
        criterion=task.criterion,
        smaller_is_better=task.smaller_is_better,
        total_steps=9,
        steps_per_epoch=3,
        validate_every=9,
        learning_rate=0.001,
        warmup_steps=2,
        schedule="cosine",
        optimizer=recipe.optimizer.name,
        weight_decay=recipe.optimizer.weight_decay,
        seed=0,
    )
    optimizer = torch.optim.Adam(model.parameters(), foreach=True)
    for group in optimizer.param_groups:
        group["factor"] = 1.0
    position, log = Position(), StepLog(model, optimizer, 0)
    for _ in range(2):
        loop._step(job, model, optimizer, position, log, Context())
    return position, log


@pytest.mark.parametrize("name", RECIPES)
def test_a_step_asks_for_no_number(name, request):
    zoo = "inr_zoo" if not name.startswith("generalization") else f"{name[15:19]}_zoo".replace("relu", "digits")
    position, log = steps_on_meta(name, request.getfixturevalue(zoo))
    assert position.step == 2 and position.loss_sum == 0 and not log.due


def test_group_elements_ask_for_no_number(digits_zoo):
    position, _ = steps_on_meta("generalization/relu-monomial", digits_zoo, "augment.scale=[1,10]")
    assert position.step == 2


def test_a_step_that_asks_is_found(digits_zoo, monkeypatch):
    ask = StepLog.add
    monkeypatch.setattr(StepLog, "add", lambda self, loss, *rest: (float(loss), ask(self, loss, *rest)))
    with pytest.raises(RuntimeError, match="meta"):
        steps_on_meta("generalization/relu-monomial", digits_zoo)
