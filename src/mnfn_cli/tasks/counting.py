"""Count a model's parameters, layer by layer, from shapes alone: nothing of a model's size is ever in memory."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from mnfn_cli.errors import UsageError
from mnfn_cli.models.functional import count_parameters
from mnfn_cli.recipe import Recipe, list_recipes
from mnfn_cli.tasks.functional import build_functional
from mnfn_cli.weightspace.spec import NetworkSpec

_ALLOCATORS = {torch.empty, torch.full, torch.zeros, torch.ones}
_FILLERS = {Tensor.normal_, Tensor.uniform_, Tensor.fill_, Tensor.zero_}


class _ShapesOnly(TorchFunctionMode):
    """Put what is allocated on the meta device, and draw no start for it.

    ``torch.device("meta")`` alone would do, but the first normal number or product there imports a second of sympy.
    Parameters are allocated and then filled, so they get shapes only; what is computed at once, the frequencies of
    Fourier features and the codes of positions, is a few hundred numbers and stays real.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call ``func``, or what stands in for it."""
        kwargs = dict(kwargs or {})
        if func in _FILLERS or getattr(func, "__module__", "") == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        if func in _ALLOCATORS and kwargs.get("device") is None:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)


@contextmanager
def shapes_only() -> Iterator[None]:
    """Modules built inside have parameters on the meta device; torch's random state is as before afterwards."""
    with torch.random.fork_rng(devices=[]), _ShapesOnly():
        yield


@dataclass(frozen=True)
class Layer:
    """A module of a model that holds parameters, itself or in modules inside it.

    Attributes:
        path: the module's name in the model, such as ``head.0``.
        kind: the name of the module's class.
        shapes: the shapes of the parameters that the module itself holds; modules inside it have entries of their own.
        parameters: the number of learned numbers in the module and in all modules inside it.
    """

    path: str
    kind: str
    shapes: tuple[tuple[int, ...], ...]
    parameters: int

    @property
    def depth(self) -> int:
        """How many modules it is inside of."""
        return self.path.count(".")

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        shapes = [list(shape) for shape in self.shapes]
        return {"path": self.path, "kind": self.kind, "shapes": shapes, "parameters": self.parameters}


def skeleton(recipe: Recipe, spec: NetworkSpec, **facts: Any) -> nn.Module:
    """Build a recipe's model for a weight space, its parameters on the meta device.

    Args:
        recipe: chooses the model.
        spec: the weight space.
        facts: options that the data decide (``Task.model_options``).

    Raises:
        UsageError: the model does not fit the weight space.
    """
    with shapes_only():
        return build_functional(recipe, spec, facts)


def layers_of(model: nn.Module) -> list[Layer]:
    """Return a model's layers, each before what is inside it.

    What a layer keeps in lists is not taken apart: a list of parameters belongs to the module that has it, and a list
    of plain modules is one entry with all their shapes.

    >>> for layer in layers_of(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))):
    ...     print(layer.path, layer.kind, layer.shapes, layer.parameters)
    0 Linear ((4, 3), (4,)) 16
    2 Linear ((1, 4), (1,)) 5
    """
    return [layer for path, child in model.named_children() for layer in _layers(path, child)]


def _layers(path: str, module: nn.Module) -> Iterator[Layer]:
    total = count_parameters(module)
    if total == 0 or isinstance(module, nn.ParameterList):
        return
    children = dict(module.named_children())
    if isinstance(module, nn.ModuleList) and not any(list(child.children()) for child in module):
        own, children = list(module.parameters()), {}
    else:
        lists = [child for child in children.values() if isinstance(child, nn.ParameterList)]
        own = [parameter for holder in (module, *lists) for parameter in holder.parameters(recurse=False)]
    yield Layer(path, type(module).__name__, tuple(tuple(tensor.shape) for tensor in own), total)
    for name, child in children.items():
        yield from _layers(f"{path}.{name}", child)


_SMALL_CNN = (1, 16, 16, 16)
_SIRENS = {"mnist": (32, 1), "fashion": (32, 1), "cifar10": (32, 3), "digits": (16, 1), "photos": (32, 3)}
"""Hidden width and outputs of the SIRENs that shipped recipes are for, by the first word of their names."""


def usual_space(name: str, recipe: Recipe) -> NetworkSpec:
    """Return the weight space that a recipe is for.

    Recipes for classifiers are for the Small CNN Zoo's layout. Shipped INR recipes are for the published SIRENs, in
    grey or in colour, or for those that ``mnfn zoo build siren`` makes of digits and photos.

    Args:
        name: the name of a shipped recipe, or a recipe file.
        recipe: the loaded recipe.

    Raises:
        UsageError: a file of the user's own for INRs, which does not say how large they are.
    """
    if recipe.task == "generalization":
        return NetworkSpec.cnn(_SMALL_CNN, stride=2, outputs=10, activation=recipe.data.activation or "relu")
    if name not in {entry.name for entry in list_recipes()}:
        raise UsageError(name, "a recipe file does not say how large its networks are; give --widths or --zoo")
    width, outputs = _SIRENS[name.partition("/")[2].partition("-")[0]]
    # Omega changes no count, but it is part of what a weight space says of itself.
    return NetworkSpec.mlp([2, width, width, outputs], "sin", omega=30.0 if width == 32 else 15.0)


def space_of_zoo(path: Path, recipe: Recipe) -> tuple[NetworkSpec, Mapping[str, Any]]:
    """Return a zoo's weight space, and what else its networks decide about a recipe's model (``skeleton``'s facts).

    Raises:
        DataError: there is no complete zoo, or none that the recipe's task can learn from.
        RecipeError: the recipe is for networks of another activation.
    """
    from mnfn_cli.tasks.data import open_zoos, with_absolute_zoos
    from mnfn_cli.tasks.task import task_class

    recipe = with_absolute_zoos(recipe, [path])
    task = task_class(recipe.task).on_zoos(recipe, open_zoos(recipe))
    return task.spec, task.model_options
