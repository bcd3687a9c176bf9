"""Base classes for functionals that need the training networks before gradient steps, or instead of them.

A functional is any ``torch.nn.Module`` that maps raw weights to numbers or to a change of the weights. The training
loop can train every such module. Derive from ``Functional`` to compute statistics of the training networks first, and
from ``ClosedFormFunctional`` to fit without gradients.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mnfn_cli.nn.fitted import FittedBuffers
from mnfn_cli.weightspace.features import WeightSpaceFeatures


@dataclass(frozen=True)
class LearnedInputs:
    """Inputs that a functional has learned to show to networks, with the answers that it learned to expect.

    Args:
        inputs: the inputs, pictures ``(inputs, channels, height, width)`` or vectors ``(inputs, n_0)``.
        answers: the expected probabilities of the classes, ``(inputs, classes)``.
        weights: the share of each input in the verdict about a network, ``(inputs,)``; they sum to 1.
        responses: the probabilities that each network gives the classes, ``(networks, inputs, classes)``.
        agreements: how much each network agrees with each answer, in [0, 1], ``(networks, inputs)``.

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures, build_model
    >>> spec = NetworkSpec.cnn([1, 16, 16, 16], kernel=3, stride=2, outputs=10, input_size=(16, 16))
    >>> model = build_model("generalization/learned-test-set", spec, members=1)
    >>> found = model.learned_inputs(WeightSpaceFeatures.randn(spec, batch=2))
    >>> found.inputs.shape[1:], bool(abs(found.weights.sum() - 1) < 1e-6)
    (torch.Size([1, 16, 16]), True)
    """

    inputs: Tensor
    answers: Tensor
    weights: Tensor
    responses: Tensor
    agreements: Tensor


class Functional(nn.Module):
    """A functional that reads all training networks once before the first gradient step, or after the last.

    Args:
        args, kwargs: those of ``torch.nn.Module``.

    Attributes:
        input_dtype: the dtype in which the functional wants raw weights, whatever the dtype of its parameters is; None
            for that of its parameters.
        unexportable: why the functional cannot be exported as a program of torch's operations; None if it can.

    Shapes:
        The input is raw weights, ``(batch, 1, out, in, *kernel)`` and ``(batch, 1, out)``; the output is what the task
        needs.

    Source:
        mnfn's own.

    >>> import torch
    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures
    >>> from mnfn_cli.models import Functional
    >>> class Norm(Functional):
    ...     def prepare(self, features):
    ...         self.register_buffer("usual", features.flatten().norm(dim=1).mean())
    ...     def forward(self, features):
    ...         return (features.flatten().norm(dim=1) / self.usual).sigmoid()
    >>> spec = NetworkSpec.mlp([2, 5, 4, 3], activation="tanh")
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2)
    >>> model = Norm()
    >>> model.prepare(networks)
    >>> model(networks).shape
    torch.Size([2])
    """

    input_dtype: ClassVar[torch.dtype | None] = None
    unexportable: ClassVar[str | None] = None

    def prepare(self, features: Any) -> None:
        """Compute what is not learned by gradients, such as means and deviations. The default does nothing.

        Args:
            features: raw weights of all training networks, ``(networks, 1, ...)``, in the form that the functional
                reads.
        """

    def finish(self, features: Any, targets: Tensor) -> bool:
        """Fit what is fitted once, when the gradient steps are done and the best weights are in place.

        What it learns it registers as buffers, or in a ``FittedBuffers`` module. The default does nothing.

        Args:
            features: raw weights of all training networks, as in ``prepare``.
            targets: the values that the functional should return for them, ``(networks, ...)``.

        Returns:
            whether the functional has changed, so that it is validated once more.
        """
        return False

    def readable(self, features: Any) -> Tensor:
        """Return whether the functional can read each network, ``(networks,)``; by default it can.

        A functional that runs networks cannot read one whose outputs are not finite, or too large for its dtype.

        Args:
            features: raw weights, as in ``prepare``.
        """
        return torch.ones(features.batch, dtype=torch.bool)

    def training_loss(self, features: Any, loss: Callable[[Tensor], Tensor]) -> Tensor:
        """Return what a training step of a classifier minimises: the task's loss, and more where more is learned.

        Args:
            features: raw weights of a batch, as in ``prepare``.
            loss: the task's loss as a function of the output, a scalar.
        """
        return loss(self(features))

    def learned_inputs(self, features: WeightSpaceFeatures) -> LearnedInputs | None:
        """Return the inputs that the functional has learned, and what networks make of them; None if it has none.

        ``mnfn explain`` draws them.

        Args:
            features: raw weights of networks of one weight space, ``(networks, 1, ...)``.
        """
        return None

    def rate_factor(self, name: str) -> float:
        """Return the factor by which the recipe's learning rate is multiplied for the parameter ``name``; 1."""
        return 1.0


class ClosedFormFunctional(FittedBuffers, Functional):
    """A functional that ``fit`` fits once, without gradient steps: a linear solve, trees, fitted statistics.

    ``fit`` stores what it learns in buffers (``self.register_buffer(name, tensor)``). They are saved with the run, and
    loading the run restores them with the shapes in which they were saved.

    Args:
        args, kwargs: those of ``torch.nn.Module``.

    Shapes:
        The input is raw weights, ``(batch, 1, out, in, *kernel)`` and ``(batch, 1, out)``; the output is what the task
        needs.

    Source:
        mnfn's own.

    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures
    >>> from mnfn_cli.models import ClosedFormFunctional
    >>> class Mean(ClosedFormFunctional):
    ...     def fit(self, features, targets):
    ...         self.register_buffer("mean", targets.mean())
    ...     def forward(self, features):
    ...         return self.mean.expand(features.batch)
    >>> spec = NetworkSpec.mlp([2, 5, 4, 3], activation="tanh")
    >>> networks = WeightSpaceFeatures.randn(spec, batch=2)
    >>> import torch
    >>> model = Mean()
    >>> model.fit(networks, torch.tensor([0.25, 0.75]))
    >>> model(networks).tolist()
    [0.5, 0.5]
    """

    @abstractmethod
    def fit(self, features: WeightSpaceFeatures, targets: Tensor) -> None:
        """Fit the functional to all training networks.

        Args:
            features: raw weights of the training networks, ``(networks, 1, ...)``.
            targets: the values that the functional should return for them, ``(networks, ...)``.
        """


def place_of(model: nn.Module) -> tuple[torch.device, torch.dtype]:
    """Return the device of a functional and the dtype of its input; the CPU and float32 where it has no tensors."""
    held: Iterable[Tensor] = (*model.parameters(), *model.buffers())
    first = next((tensor for tensor in held if tensor.is_floating_point()), torch.empty(0))
    wanted = model.input_dtype if isinstance(model, Functional) else None
    return first.device, wanted or first.dtype


def count_parameters(model: nn.Module) -> int:
    """Return the number of learned numbers: of parameters, and of buffers that come from a fit.

    Args:
        model: any module.

    Returns:
        their number.

    >>> count_parameters(nn.Linear(3, 4))
    16
    """
    fitted = [m.buffers(recurse=False) for m in model.modules() if isinstance(m, FittedBuffers)]
    return sum(tensor.numel() for tensors in (model.parameters(), *fitted) for tensor in tensors)
