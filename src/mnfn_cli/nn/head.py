"""The multilayer perceptron at the end of a functional, and several of them as an ensemble."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mnfn_cli.runtime.rows import computing_every, whole_batch


def mlp_head(
    inputs: int,
    hidden: Sequence[int],
    outputs: int,
    dropout: float = 0.0,
    activation: Callable[[], nn.Module] = nn.ReLU,
) -> nn.Sequential:
    """Build a multilayer perceptron: linear layer, activation and dropout for each hidden width, then a linear layer.

    Args:
        inputs: the number of features of the input ``(batch, inputs)``.
        hidden: the widths of the hidden layers.
        outputs: the number of features of the output ``(batch, outputs)``.
        dropout: the probability with which a hidden unit is set to 0 in training; with 0 there is no dropout layer.
        activation: a class or function that returns the activation after every linear layer but the last.

    Returns:
        a module that maps ``(batch, inputs)`` to ``(batch, outputs)``.

    >>> import torch
    >>> from mnfn_cli.nn import mlp_head
    >>> mlp_head(5, [8, 8], 3)(torch.rand(2, 5)).shape
    torch.Size([2, 3])
    """
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise([inputs, *hidden]):
        layers += [nn.Linear(n_in, n_out), activation()]
        if dropout > 0:
            layers.append(RowDropout(dropout))
    return nn.Sequential(*layers, nn.Linear([inputs, *hidden][-1], outputs))


class RowDropout(nn.Dropout):
    """Dropout whose draws are those for the whole batch, of which a process may compute some rows (``Rows``)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the rows with random entries set to 0 in training."""
        if not self.training:
            return x
        total, own = whole_batch(len(x))
        if total == len(x):
            return super().forward(x)
        return x * F.dropout(x.new_ones(total, *x.shape[1:]), self.p)[own]


class Ensemble(nn.Module):
    """Several multilayer perceptrons that learn apart and answer together.

    In training each row of a batch goes to one member: row ``j`` to member ``j`` modulo their number, so that members
    see different batches and stay independent. Otherwise the output is the mean over all members.

    Args:
        members: the number of members.
        inputs, hidden, outputs, dropout: the arguments of ``mlp_head``, for each member.

    Shapes:
        The input is ``(batch, inputs)``, the output ``(batch, outputs)``.

    Source:
        mnfn's own.

    >>> import torch
    >>> from mnfn_cli.nn import Ensemble
    >>> Ensemble(3, inputs=5, hidden=[8], outputs=1).eval()(torch.rand(2, 5)).shape
    torch.Size([2, 1])
    """

    def __init__(self, members: int, inputs: int, hidden: Sequence[int], outputs: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.members = nn.ModuleList(mlp_head(inputs, hidden, outputs, dropout) for _ in range(members))

    def forward(self, features: Tensor) -> Tensor:
        """Return the output of each row's own member in training, otherwise the mean over members."""
        if not self.training:
            return torch.stack([member(features) for member in self.members]).mean(dim=0)
        count = len(self.members)
        order = torch.arange(len(features), device=features.device)
        parts, places = [], []
        for number, member in enumerate(self.members):
            with computing_every(count, number, len(features)) as first:
                parts.append(member(features[first::count]))
                places.append(order[first::count])
        return torch.cat(parts)[torch.cat(places).argsort()]
