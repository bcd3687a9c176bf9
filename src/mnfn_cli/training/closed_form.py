"""Fit functionals that have no gradient steps, and what other functionals fit after theirs.

Several processes all call the fit, which may divide what it computes of networks among them; what rank 0 fitted counts.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from mnfn_cli.errors import NumericError
from mnfn_cli.models.functional import ClosedFormFunctional, Functional, place_of
from mnfn_cli.runtime.context import Context
from mnfn_cli.runtime.processes import Processes
from mnfn_cli.training.metrics_file import append_metrics, take_up_metrics
from mnfn_cli.training.run_folder import RunFolder
from mnfn_cli.training.state import Position, describe_environment, to_cpu
from mnfn_cli.weightspace.features import WeightSpaceFeatures
from mnfn_cli.weightspace.mixed import Networks


def fit_at_once(
    model: ClosedFormFunctional,
    features: WeightSpaceFeatures,
    targets: Tensor,
    validate: Callable[[], Mapping[str, float]],
    criterion: str,
    run: RunFolder,
    context: Context,
) -> Position:
    """Fit a functional on all training networks, validate it once, and write the figures to metrics.jsonl.

    Args:
        model: the functional to fit.
        features: raw weights of the training networks, ``(networks, 1, ...)``.
        targets: the values that the functional should return for them, ``(networks, ...)``.
        validate: a function without arguments that returns the validation figures of ``model`` by name.
        criterion: the name of the figure that is recorded as the best value.
        run: the run's folder. An interrupted run is fitted again from the start, with the same result.
        context: where progress is reported.

    Returns:
        a position at step 0 with the value of ``criterion``.

    Raises:
        NumericError: a fitted number is not finite.
        InterruptedRun: the user interrupted the run before or after the validation.
    """
    context.progress.start("fitting", 1)
    processes = context.processes
    if processes.first:
        take_up_metrics(run.metrics, Position())
    model.fit(features, targets)
    _take_from_first(model, processes)
    run.check_interruption(context.interruption)
    figures = processes.share(dict(validate()))
    run.check_interruption(context.interruption)
    if processes.first:
        append_metrics(run.metrics, {"step": 0, "epoch": 0.0, "train_loss": None, **figures})
    context.progress.advance(1, **{criterion: figures[criterion]})
    environment = describe_environment(place_of(model)[0], processes.count)
    return Position(best_value=figures[criterion], environment=environment)


def finish(
    model: Functional,
    features: Networks,
    targets: Tensor,
    validate: Callable[[], Mapping[str, float]],
    criterion: str,
    position: Position,
    run: RunFolder,
    context: Context,
) -> None:
    """Let a functional fit what it fits after the gradient steps, and validate it once more if it did.

    An interrupted run finds the state after the last step and fits again, with the same result.

    Args:
        model: the functional with its best weights.
        features: raw weights of the training networks, ``(networks, 1, ...)``.
        targets: the values that the functional should return for them, ``(networks, ...)``.
        validate, criterion, run, context: as in ``fit_at_once``.
        position: the position after the last step, whose best value becomes that of the fitted functional.

    Raises:
        NumericError: a fitted number is not finite.
        InterruptedRun: the user interrupted the run.
    """
    processes = context.processes
    if not processes.share(model.eval().finish(features, targets)):
        return
    _take_from_first(model, processes)
    run.check_interruption(context.interruption)
    with torch.no_grad():
        figures = processes.share(dict(validate()))
    context.progress.advance(0, **{criterion: figures[criterion]})
    if processes.first:
        append_metrics(run.metrics, {"step": position.step, "epoch": None, "train_loss": None, **figures})
    position.best_value = figures[criterion]


def _take_from_first(model: Functional, processes: Processes) -> None:
    """Give what rank 0 has fitted to all processes, if it is finite."""
    if processes.first:
        _require_finite(model)
    if processes.count > 1:
        state = processes.share(to_cpu(model.state_dict()) if processes.first else None)
        device = place_of(model)[0]
        model.load_state_dict(state or {})
        model.to(device)


def _require_finite(model: Functional) -> None:
    for name, tensor in model.state_dict().items():
        if not torch.isfinite(tensor).all():
            raise NumericError("training", f"{name} is not finite after the fit")
