"""The loss of one training step: which networks are in its batch, and which group elements move them."""

import torch
from torch import Tensor, nn

from mnfn_cli.runtime.plugins import plugin_of
from mnfn_cli.runtime.precision import mixed_precision
from mnfn_cli.runtime.processes import current
from mnfn_cli.runtime.rows import computing
from mnfn_cli.runtime.seeds import generator
from mnfn_cli.tasks.batch_share import share_of_batch
from mnfn_cli.tasks.data import Split
from mnfn_cli.tasks.order import random_order
from mnfn_cli.tasks.task import Task
from mnfn_cli.weightspace.mixed import act_at_random


class BatchLoss:
    """The loss of a step as a function of its number, from which its batch and group elements are derived.

    Every epoch uses all training networks once, in a new random order. A step gives the same loss whichever steps were
    computed before it, so a resumed training needs no other state.

    Args:
        task: the task, whose recipe has the seed and, under ``augment``, the range of the factors.
        model: the functional.
        train: the training networks and their targets.
        batch_size: the number of networks in a batch; the last batch of an epoch may be smaller.
        steps_per_epoch: the number of batches in which every network is used once.
        by_blocks: whether neighbours stay near one another in an epoch, for networks that are read from a disk.
    """

    def __init__(
        self,
        task: Task,
        model: nn.Module,
        train: Split,
        batch_size: int,
        steps_per_epoch: int,
        *,
        by_blocks: bool = False,
    ) -> None:
        self._task = task
        self._model = model
        self._train = train
        self._batch_size = batch_size
        self._steps_per_epoch = steps_per_epoch
        self._divisible = plugin_of(type(task.recipe.model)) is None or getattr(model, "by_rows", False)
        self._by_blocks = by_blocks
        self._order_epoch = -1
        self._order = torch.empty(0, dtype=torch.int64)

    def __call__(self, step: int) -> Tensor:
        """Return the loss of the step that follows ``step`` steps, a scalar with gradients.

        Of several processes each returns its share; the sum of the shares is the loss.
        """
        recipe, size = self._task.recipe, self._batch_size
        seed = recipe.training.seed
        epoch, position = divmod(step, self._steps_per_epoch)
        if epoch != self._order_epoch:
            random = generator(seed, "order", epoch)
            order = random_order(len(self._train.ids), random, by_blocks=self._by_blocks)
            self._order, self._order_epoch = order.to(self._train.targets.device), epoch
        rows = self._order[position * size : (position + 1) * size]
        share = share_of_batch(self._train.features, rows, current(), divisible=self._divisible)
        rows = rows[share.positions]
        with computing(share.rows):
            batch = self._train.features.select(rows)
            if recipe.augment is not None:
                scale, random = recipe.augment.scale or (1.0, 1.0), generator(seed, "element", step)
                batch = act_at_random(self._task.specs, batch, scale, generator=random)
            with mixed_precision(batch.device, recipe.training.precision):
                loss = self._task.loss(self._model, batch, self._train.targets[rows], f"step {step + 1}")
        return loss if share.weight == 1 else loss * share.weight
