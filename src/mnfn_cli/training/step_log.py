"""What the newest training steps found, kept on the device until somebody looks, so that steps need not wait."""

from collections.abc import Sequence
from math import isfinite

import torch
from torch import Tensor, nn

from mnfn_cli.errors import NumericError
from mnfn_cli.runtime.processes import Processes

STEPS = {"cpu": 1}
"""The number of steps after which they are looked at, by type of device."""
ON_OTHERS = 32
"""That number on all other devices: a look waits until the device has done all steps."""


class StepLog:
    """The losses of the steps since the last look, and whether what Adam keeps of the gradients is finite.

    Adam's moments stay what they are once a gradient was not finite, so it is enough to check them now and then, and
    before every save.

    Args:
        model: the model that is trained.
        optimizer: its optimizer, one of Adam's kind.
        first: the number of steps before the first that is added.

    Attributes:
        stopping: whether some process was interrupted, as the last look found.
    """

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer, first: int) -> None:
        self._parameters, self._optimizer = dict(model.named_parameters()), optimizer
        self._every = STEPS.get(next(model.parameters()).device.type, ON_OTHERS)
        self._seen = first
        self._rows: list[Tensor] = []
        self.stopping = False

    @property
    def due(self) -> bool:
        """Whether it is time to look."""
        return len(self._rows) >= self._every

    def add(self, loss: Tensor, processes: Processes, signal: int) -> None:
        """Add a step whose gradients are computed; of several processes, add up their gradients and losses first.

        Args:
            loss: the loss of the step, or the share of this process in it.
            processes: the processes that share the step.
            signal: the number of the signal that has come to this process; 0 for none.
        """
        if processes.count == 1:
            self._rows.append(loss.detach()[None])
            return
        row = torch.stack([loss.detach(), torch.full_like(loss, signal, requires_grad=False)])
        _add_up([*(tensor.grad for tensor in self._parameters.values() if tensor.grad is not None), row], processes)
        self._rows.append(row)

    def look(self) -> list[float]:
        """Return the losses of the steps since the last look; call it before the optimizer's step that follows them.

        Raises:
            NumericError: a loss is not finite, or the gradient of the step before it was not; the message names it.
        """
        if not self._rows:
            return []
        rows = torch.stack(self._rows).cpu()
        self._rows = []
        losses: list[float] = rows[:, 0].tolist()
        for number, loss in enumerate(losses, 1):
            if not isfinite(loss):
                if number == len(losses):
                    self.require_finite_gradients()
                problem = f"the loss of step {self._seen + 1} is not finite; lower optimizer.lr, or check the zoo"
                raise NumericError("training", problem)
            self._seen += 1
        self.stopping = bool((rows[:, 1:] > 0).any())
        return losses

    def require_finite_gradients(self) -> None:
        """Check that no gradient of the steps that were looked at was too large or not finite.

        Raises:
            NumericError: the message names the step, the newest one, and the parameter.
        """
        for slot, problem in (("exp_avg", "is not finite"), ("exp_avg_sq", "is too large; lower optimizer.lr")):
            state = self._optimizer.state
            kept = {name: state[tensor][slot] for name, tensor in self._parameters.items() if slot in state[tensor]}
            if not kept:
                return
            # The largest absolute value is not finite if any number is not, and cannot overflow as a norm can.
            largest = torch.stack(torch._foreach_norm(list(kept.values()), float("inf")))
            for name, number in zip(kept, largest.tolist(), strict=True):
                if not isfinite(number):
                    raise NumericError("training", f"the gradient of {name} at step {self._seen} {problem}")


def _add_up(tensors: Sequence[Tensor], processes: Processes) -> None:
    """Replace tensors by their sums over all processes, with one message for each dtype."""
    for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
        own = [tensor for tensor in tensors if tensor.dtype == dtype]
        flat = torch.cat([tensor.flatten() for tensor in own])
        processes.add(flat)
        pieces = flat.split([tensor.numel() for tensor in own])
        for tensor, piece in zip(own, pieces, strict=True):
            tensor.copy_(piece.view_as(tensor))
