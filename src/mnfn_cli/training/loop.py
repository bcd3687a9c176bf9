"""The training loop of every task: optimizer steps, validation, the best model, and states to resume from."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import cos, pi
from typing import Any, Literal

import torch
from torch import Tensor, nn

from mnfn_cli.errors import InterruptedRun
from mnfn_cli.models.functional import Functional
from mnfn_cli.runtime.context import Context, Progress
from mnfn_cli.runtime.processes import Processes
from mnfn_cli.runtime.seeds import derive_seed
from mnfn_cli.storage.atomic import sha256
from mnfn_cli.training.metrics_file import append_metrics, take_up_metrics
from mnfn_cli.training.run_folder import RunFolder
from mnfn_cli.training.state import (
    Position,
    describe_environment,
    load_state,
    random_states,
    save_state,
    set_random_states,
    to_cpu,
)
from mnfn_cli.training.step_log import StepLog


@dataclass(frozen=True)
class Job:
    """What ``run_job`` trains, and how.

    Args:
        loss: a function that takes the number of steps done so far and returns the loss of the next step, a scalar
            with gradients. It may depend only on that number and on torch's random state.
        validate: a function that returns the model's validation figures by name. It is called in evaluation mode,
            without gradients.
        criterion: the name of the figure that chooses the best model.
        smaller_is_better: whether smaller values of this figure are better.
        total_steps: the total number of optimizer steps.
        steps_per_epoch: the number of steps in which every training network is used once.
        validate_every: the number of steps between validations; one more follows the last step.
        learning_rate: the largest learning rate.
        warmup_steps: the number of steps over which the learning rate rises linearly to ``learning_rate``.
        schedule: how it goes on: ``constant``, or ``cosine``, which falls to 0 as half a cosine.
        optimizer: the optimizer, ``adam`` or ``adamw`` of ``torch.optim``.
        weight_decay: the argument of the optimizer.
        seed: the seed of torch's random state during training (dropout).
    """

    loss: Callable[[int], Tensor]
    validate: Callable[[], Mapping[str, float]]
    criterion: str
    smaller_is_better: bool
    total_steps: int
    steps_per_epoch: int
    validate_every: int
    learning_rate: float
    warmup_steps: int
    schedule: Literal["constant", "cosine"]
    optimizer: Literal["adam", "adamw"]
    weight_decay: float
    seed: int

    def rate(self, step: int) -> float:
        """Return the learning rate of the step that follows ``step`` steps."""
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        if self.schedule == "constant":
            return self.learning_rate
        progress = (step - self.warmup_steps) / max(self.total_steps - self.warmup_steps, 1)
        return self.learning_rate * (1 + cos(pi * progress)) / 2


def run_job(job: Job, model: nn.Module, run: RunFolder, context: Context) -> Position:
    """Train ``model`` from the newest state in the run's folder, or from the start.

    The model ends with the weights of its best validation.

    Args:
        job: the loss, the validation and the settings of the training.
        model: the model to train, as it was initialised.
        run: the run's folder. Metrics are appended to it, and states are written to its folder ``checkpoints``.
        context: where progress is reported, and where interrupts are noticed.

    Returns:
        the position after the last step.

    Raises:
        InterruptedRun: the user interrupted the training; a complete state is on disk, and the run can be resumed.
        NumericError: a loss or a gradient is not finite; the state of the last validation stays on disk.
        DataError: the newest state is damaged, or metrics.jsonl is not what the run wrote.
    """
    progress, processes = context.progress, context.processes
    torch.manual_seed(derive_seed(job.seed, "training"))
    kind = torch.optim.AdamW if job.optimizer == "adamw" else torch.optim.Adam
    optimizer = kind(_groups(model), lr=job.learning_rate, weight_decay=job.weight_decay, fused=_can_fuse(model))
    position, best = _begin(run, model, optimizer, processes)
    environment = describe_environment(next(model.parameters()).device, processes.count)
    if position.environment and position.environment != environment:
        position.exact = False
        progress.note(
            "resumed on another machine, device, thread or process count or torch: the result is not bit for bit"
        )
    position.environment = environment
    if processes.first:
        take_up_metrics(run.metrics, position)
    progress.start("training", job.total_steps)
    progress.advance(position.step)
    log = StepLog(model, optimizer, position.step)

    def save() -> None:
        log.require_finite_gradients()
        if processes.first:
            save_state(run.checkpoints, position, model, best, optimizer)

    try:
        while position.step < job.total_steps or position.validated < position.step:
            if _is_due(job, position) and position.validated < position.step:
                best = _validate(job, model, run, position, best, context)
                save()
                run.check_interruption(context.interruption)
            else:
                _step(job, model, optimizer, position, log, context)
                if processes.count == 1 or log.stopping:
                    run.check_interruption(context.interruption)
    except InterruptedRun:
        # The interrupted step or validation has changed neither model nor position, so the state is consistent.
        _look(log, position, progress)
        save()
        raise
    model.load_state_dict(best)
    return position


def _groups(model: nn.Module) -> list[dict[str, Any]]:
    """Return the parameters of a model, in a group for each factor of the learning rate."""
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        factor = model.rate_factor(name) if isinstance(model, Functional) else 1.0
        groups.setdefault(factor, []).append(parameter)
    return [{"params": parameters, "factor": factor} for factor, parameters in groups.items()]


def _begin(
    run: RunFolder, model: nn.Module, optimizer: torch.optim.Optimizer, processes: Processes
) -> tuple[Position, dict[str, Tensor]]:
    """Load the newest state on rank 0, and give it to all processes, also where there is none."""
    loaded = load_state(run.checkpoints, model, optimizer) if processes.first else (Position(), {})
    if processes.count == 1:
        return loaded
    random = random_states(next(model.parameters()).device)
    held = processes.share((loaded, to_cpu(model.state_dict()), to_cpu(optimizer.state_dict()), random))
    (position, best), weights, slots, random = held
    model.load_state_dict(weights)
    optimizer.load_state_dict(slots)
    set_random_states(next(model.parameters()).device, random)
    return position, best


def _is_due(job: Job, position: Position) -> bool:
    return position.step % job.validate_every == 0 or position.step == job.total_steps


def _step(
    job: Job,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    position: Position,
    log: StepLog,
    context: Context,
) -> None:
    model.train()
    started = time.perf_counter()
    for group in optimizer.param_groups:
        group["lr"] = group["factor"] * job.rate(position.step)
    optimizer.zero_grad()
    loss = job.loss(position.step)
    loss.backward()
    log.add(loss, context.processes, context.interruption.number)
    position.step += 1
    if log.due or _is_due(job, position):
        _look(log, position, context.progress)
    optimizer.step()
    position.step_seconds += time.perf_counter() - started


def _look(log: StepLog, position: Position, progress: Progress) -> None:
    """Wait for the steps since the last look, check that their losses are finite, and report them."""
    losses = log.look()
    for loss in losses:
        position.loss_sum += loss
    if losses:
        progress.advance(len(losses), loss=position.loss_sum / (position.step - position.validated))


def _validate(
    job: Job, model: nn.Module, run: RunFolder, position: Position, best: dict[str, Tensor], context: Context
) -> dict[str, Tensor]:
    model.eval()
    with torch.no_grad():
        figures = context.processes.share(dict(job.validate()))
    value = figures[job.criterion]
    worst = float("inf") if job.smaller_is_better else float("-inf")
    if not best:
        position.best_value = worst
    if not best or (value < position.best_value if job.smaller_is_better else value > position.best_value):
        position.best_value = value if value == value else worst
        position.best_step = position.step
        best = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    train_loss = position.loss_sum / (position.step - position.validated)
    line = {"step": position.step, "epoch": position.step / job.steps_per_epoch, "train_loss": train_loss, **figures}
    if context.processes.first:
        append_metrics(run.metrics, line)
        position.metrics_bytes, position.metrics_sha256 = run.metrics.stat().st_size, sha256(run.metrics)
    position.validated, position.loss_sum = position.step, 0.0
    context.progress.advance(0, **{name: figure for name, figure in figures.items() if name == job.criterion})
    return best


def _can_fuse(model: nn.Module) -> bool:
    return next(model.parameters()).device.type in ("cpu", "cuda")
