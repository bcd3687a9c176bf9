"""Base classes for functionals that need the training networks before gradient steps, or instead of them.

A functional is any ``torch.nn.Module`` that maps raw weights to numbers or to a change of the weights. The training
loop can train every such module. Derive from ``Functional`` to compute statistics of the training networks first, and
from ``ClosedFormFunctional`` to fit without gradients.
"""

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mnfn_cli.weightspace.features import WeightSpaceFeatures


class Functional(nn.Module):
    """A functional that reads all training networks once before the first gradient step."""

    def prepare(self, features: Any) -> None:
        """Compute what is not learned by gradients, such as means and deviations. The default does nothing.

        Args:
            features: raw weights of all training networks, ``(networks, 1, ...)``, in the form that the functional
                reads.
        """


class ClosedFormFunctional(Functional):
    """A functional that ``fit`` fits once, without gradient steps: a linear solve, trees, fitted statistics.

    ``fit`` stores what it learns in buffers (``self.register_buffer(name, tensor)``). They are saved with the run, and
    loading the run restores them with the shapes in which they were saved.
    """

    @abstractmethod
    def fit(self, features: WeightSpaceFeatures, targets: Tensor) -> None:
        """Fit the functional to all training networks.

        Args:
            features: raw weights of the training networks, ``(networks, 1, ...)``.
            targets: the values that the functional should return for them, ``(networks, ...)``.
        """

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Register every tensor of ``state_dict`` as a buffer, with its own shape.

        Raises:
            RuntimeError: a name has a dot, so it belongs to a submodule, which is not supported here.
        """
        if nested := [name for name in state_dict if "." in name]:
            raise RuntimeError(f"tensors of a part that is not there: {', '.join(nested)}")
        for name, tensor in state_dict.items():
            self.register_buffer(name, tensor)
        return None


def place_of(model: nn.Module) -> tuple[torch.device, torch.dtype]:
    """Return the device and the floating-point dtype of a functional; the CPU and float32 where it has no tensors."""
    held: Iterable[Tensor] = (*model.parameters(), *model.buffers())
    first = next((tensor for tensor in held if tensor.is_floating_point()), torch.empty(0))
    return first.device, first.dtype


def count_parameters(model: nn.Module) -> int:
    """Return the number of learned numbers: of parameters, or of buffers for a functional fitted in closed form.

    >>> count_parameters(nn.Linear(3, 4))
    16
    """
    learned = model.buffers() if isinstance(model, ClosedFormFunctional) else model.parameters()
    return sum(tensor.numel() for tensor in learned)
