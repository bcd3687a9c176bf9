"""What a neural functional may do beside answering: take statistics of the training networks, or be fitted at once.

Any ``torch.nn.Module`` that maps raw weights to numbers, or to a change of weights, is a functional that the training
loop can train. One that needs more derives from a class of this file.
"""

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mnfn_cli.weightspace.features import WeightSpaceFeatures


class Functional(nn.Module):
    """A functional that looks at the training networks once before training."""

    def prepare(self, features: WeightSpaceFeatures) -> None:
        """Take from the training networks what is not learned by gradients, such as means and deviations.

        Args:
            features: raw weights of all training networks, ``(networks, 1, ...)``.
        """


class ClosedFormFunctional(Functional):
    """A functional that is fitted in one go and has no gradient steps: a linear solve, trees, fitted statistics.

    What ``fit`` learns is kept in buffers (``self.register_buffer(name, tensor)``). They are saved with the run, and
    loading a run gives them back with whatever shapes they were saved with.
    """

    @abstractmethod
    def fit(self, features: WeightSpaceFeatures, targets: Tensor) -> None:
        """Learn from all training networks at once.

        Args:
            features: raw weights, ``(networks, 1, ...)``.
            targets: the targets of the training networks, ``(networks, ...)``.
        """

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Take the buffers of ``state_dict`` as they are; raises RuntimeError for names that only a part could own."""
        if nested := [name for name in state_dict if "." in name]:
            raise RuntimeError(f"tensors of a part that is not there: {', '.join(nested)}")
        for name, tensor in state_dict.items():
            self.register_buffer(name, tensor)
        return None


def place_of(model: nn.Module) -> tuple[torch.device, torch.dtype]:
    """Return the device and the floating dtype of a functional; float32 on the CPU where it holds no numbers."""
    held: Iterable[Tensor] = (*model.parameters(), *model.buffers())
    first = next((tensor for tensor in held if tensor.is_floating_point()), torch.empty(0))
    return first.device, first.dtype


def count_parameters(model: nn.Module) -> int:
    """Return how many numbers a functional has learned, or will learn.

    >>> count_parameters(nn.Linear(3, 4))
    16
    """
    learned = model.buffers() if isinstance(model, ClosedFormFunctional) else model.parameters()
    return sum(tensor.numel() for tensor in learned)
