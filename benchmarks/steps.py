"""A training step of a recipe on random networks of one weight space: forward, backward and Adam."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from mnfn_cli import NetworkSpec, WeightSpaceFeatures, build_model
from mnfn_cli.recipe import load_recipe
from mnfn_cli.weightspace.rendering import render

CLASSES = 10


def training_step(
    name: str, spec: NetworkSpec, batch: int, size: tuple[int, int] = (28, 28), device: str = "cpu"
) -> Callable[[], None]:
    """Return a function that takes one training step of a recipe.

    Args:
        name: the name of the recipe.
        spec: the weight space of the networks. Their weights are random, and so are the targets.
        batch: the number of networks in a batch.
        size: the (height, width) of the pictures that an editor renders.
        device: the device of the model and of the networks. On a GPU the function waits until the step is done; on the
            meta device a model that standardises does so with the numbers that it was built with.
    """
    recipe = load_recipe(name)
    model = build_model(f"{recipe.task}/{recipe.model.name}", spec, **recipe.model.options()).to(device)
    if hasattr(model, "prepare") and device != "meta":
        model.prepare(_networks(spec, batch, device))
    return step_of(model, recipe.task, spec, batch, size, device)


def step_of(
    model: nn.Module,
    task: str,
    spec: NetworkSpec,
    batch: int,
    size: tuple[int, int] = (28, 28),
    device: str = "cpu",
    fused: bool = True,
) -> Callable[[], None]:
    """Return a function that takes one training step of any model for a task, with Adam ``fused`` or as torch has it.

    The other arguments are those of ``training_step``.
    """
    features = _networks(spec, batch, device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, fused=fused and device != "meta")
    labels = torch.arange(batch, device=device) % CLASSES
    pictures = torch.rand(batch, spec.widths[-1], *size, device=device)

    def step() -> None:
        optimizer.zero_grad()
        output = model(features)
        if task == "generalization":
            loss = F.binary_cross_entropy(output, labels / CLASSES)
        elif task == "classification":
            loss = F.cross_entropy(output, labels)
        else:
            loss = F.mse_loss(render(spec, features.zip_map(torch.add, output), size), pictures)
        loss.backward()
        optimizer.step()
        if pictures.is_cuda:
            torch.cuda.synchronize()

    return step


def _networks(spec: NetworkSpec, batch: int, device: str) -> WeightSpaceFeatures:
    return WeightSpaceFeatures.randn(spec, batch).map(lambda tensor: 0.2 * tensor.to(device))


_PRODUCTS = (torch.ops.aten.mm, torch.ops.aten.bmm, torch.ops.aten.addmm, torch.ops.aten.addmm_)
"""Their last two arguments are matrices."""


class _Products(TorchDispatchMode):
    """Collects the shapes of the matrices of every product inside the block."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[tuple[torch.Size, torch.Size]] = []

    def __torch_dispatch__(
        self, function: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if function.overloadpacket in _PRODUCTS:
            first, second = args[-2:]
            self.shapes.append((first.shape, second.shape))
        return function(*args, **(kwargs or {}))


def products_of(step: Callable[[], None]) -> Callable[[], None]:
    """Return a function that multiplies random matrices of the shapes that a step multiplies, and does nothing else."""
    with _Products() as found:
        step()
    pairs = [(torch.randn(first), torch.randn(second)) for first, second in found.shapes]

    def run() -> None:
        for first, second in pairs:
            first @ second

    return run
