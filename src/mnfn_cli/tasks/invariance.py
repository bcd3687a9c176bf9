"""Measure by how much a functional's answers change when group elements act on networks, for a run's result."""

import torch
from torch import nn

from mnfn_cli.tasks.condition import conditions_of
from mnfn_cli.tasks.data import Split
from mnfn_cli.tasks.result import Invariance
from mnfn_cli.tasks.task import Task

NETWORKS = 64
"""The largest number of test networks on which it is measured."""
SCALES = ((1.0, 1e4),)
SHIFTS = (3,)
"""The largest shifts of biases, for sines."""


def measure_invariance(task: Task, model: nn.Module, test: Split) -> tuple[Invariance, ...]:
    """Return the changes of answers about the first test networks, in the dtype in which the run reads networks."""
    some = test.select(range(min(NETWORKS, len(test.ids))))
    device, dtype = some.features.device, some.features.dtype
    original = task.observed(task.answers(model, some.features))
    found = []
    shifts = SHIFTS if all(any(spec.periodic) for spec in task.specs) else ()
    for condition in conditions_of(task.specs, SCALES, permute=True, shifts=shifts):
        if condition.acted:
            acted = condition.act(
                some.features.to(device="cpu", dtype=torch.float64), task.specs, task.recipe.training.seed
            )
            moved = task.observed(task.answers(model, acted.to(device=device, dtype=dtype)))
            change = float((moved - original).abs().max())
            found.append(Invariance(condition=condition.label, networks=len(some.ids), largest_change=change))
    return tuple(found)
