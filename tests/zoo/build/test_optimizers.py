from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from mnfn_cli.zoo.build.optimizers import OPTIMIZERS

REFERENCES: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "sgd": lambda parameters, **options: torch.optim.SGD(parameters, momentum=0.9, **options),
    "rmsprop": torch.optim.RMSprop,
}
LEARNING_RATES = [0.1, 0.01, 0.003]
WEIGHT_DECAYS = [0.0, 0.1, 0.5]


def gradient_of(parameters: Tensor, step: int) -> Tensor:
    """A gradient that depends on the parameters, so that an early error would grow."""
    return torch.sin(parameters + step) + 0.1 * parameters


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_row_moves_as_torch_moves_it(name: str) -> None:
    start = torch.randn(3, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    parameters = start.clone()
    optimizer = OPTIMIZERS[name](parameters, start.new_tensor(LEARNING_RATES), start.new_tensor(WEIGHT_DECAYS))
    for step in range(20):
        optimizer.step(gradient_of(parameters, step))

    for row in range(3):
        alone = start[row].clone().requires_grad_()
        reference = REFERENCES[name]([alone], lr=LEARNING_RATES[row], weight_decay=WEIGHT_DECAYS[row])
        for step in range(20):
            alone.grad = gradient_of(alone.detach(), step)
            reference.step()
        torch.testing.assert_close(parameters[row], alone.detach(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_rows_that_have_finished_stay(name: str) -> None:
    parameters = torch.ones(3, 4)
    optimizer = OPTIMIZERS[name](parameters, torch.full((3,), 0.1), torch.zeros(3))
    optimizer.step(torch.ones(3, 4))
    before = parameters.clone()
    optimizer.step(torch.ones(2, 4))
    assert torch.equal(parameters[2], before[2])
    assert (parameters[:2] < before[:2]).all()
