"""What the newest training steps found, kept on the device until somebody looks, so that steps need not wait."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mnfn_cli.errors import NumericError
from mnfn_cli.runtime.processes import Processes

STEPS = {"cpu": 1}
"""The number of steps after which they are looked at, by type of device."""
ON_OTHERS = 32
"""That number on all other devices: a look waits until the device has done all steps."""


class StepLog:
    """The losses and the gradients' norms of the steps since the last look.

    Args:
        model: the model that is trained.
        first: the number of steps before the first that is added.

    Attributes:
        stopping: whether some process was interrupted, as the last look found.
    """

    def __init__(self, model: nn.Module, first: int) -> None:
        self._parameters = dict(model.named_parameters())
        self._every = STEPS.get(next(model.parameters()).device.type, ON_OTHERS)
        self._seen = first
        self._names: list[str] = []
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
        found = {name: tensor.grad for name, tensor in self._parameters.items() if tensor.grad is not None}
        gradients = list(found.values())
        ends = loss.detach().new_tensor([0.0]) if processes.count == 1 else loss.detach().new_tensor([float(signal)])
        ends = torch.cat([loss.detach()[None], ends])
        if processes.count > 1:
            _add_up([*gradients, ends], processes)
        self._names = list(found)
        norms = torch._foreach_norm(gradients)
        self._rows.append(torch.cat([ends, torch.stack([norm.to(ends.device) for norm in norms])]))

    def look(self) -> list[float]:
        """Return the losses of the steps since the last look.

        Raises:
            NumericError: a loss or a gradient is not finite; the message names the first such step.
        """
        if not self._rows:
            return []
        rows = torch.stack(self._rows).cpu()
        self._rows = []
        for row in rows:
            self._seen += 1
            self._require_finite(row)
        self.stopping = bool((rows[:, 1] > 0).any())
        losses: list[float] = rows[:, 0].tolist()
        return losses

    def _require_finite(self, row: Tensor) -> None:
        step = self._seen
        if not row[0].isfinite():
            problem = f"the loss of step {step} is not finite; lower optimizer.lr, or check the zoo"
            raise NumericError("training", problem)
        if torch.linalg.vector_norm(row[2:]).isfinite():
            return
        for name, norm in zip(self._names, row[2:], strict=True):
            if not norm.isfinite():
                raise NumericError("training", f"the gradient of {name} at step {step} is not finite")
        raise NumericError("training", f"the gradients of step {step} are too large; lower optimizer.lr")


def _add_up(tensors: Sequence[Tensor], processes: Processes) -> None:
    """Replace tensors by their sums over all processes, with one message for each dtype."""
    for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
        own = [tensor for tensor in tensors if tensor.dtype == dtype]
        flat = torch.cat([tensor.flatten() for tensor in own])
        processes.add(flat)
        pieces = flat.split([tensor.numel() for tensor in own])
        for tensor, piece in zip(own, pieces, strict=True):
            tensor.copy_(piece.view_as(tensor))
