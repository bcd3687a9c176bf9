"""Count a model's parameters, layer by layer, without allocating them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from mnfn_cli.errors import UsageError
from mnfn_cli.recipe import Recipe, list_recipes
from mnfn_cli.tasks.functional import build_functional
from mnfn_cli.weightspace.spec import NetworkSpec

_ALLOCATORS = {torch.empty, torch.full, torch.zeros, torch.ones}
_FILLERS = {Tensor.normal_, Tensor.uniform_, Tensor.fill_, Tensor.zero_}


class _ShapesOnly(TorchFunctionMode):
    """Allocate tensors on the meta device, and skip their initialisation.

    ``torch.device("meta")`` would do the same, but the first random number or product there imports sympy, which takes
    a second. Parameters are allocated and then initialised, so they get shapes only. Tensors that are computed, such as
    the frequencies of Fourier features, hold a few hundred numbers and are computed as usual.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call ``func``, or replace the call."""
        kwargs = dict(kwargs or {})
        if func in _FILLERS or getattr(func, "__module__", "") == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        if func in _ALLOCATORS and kwargs.get("device") is None:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)


@contextmanager
def shapes_only() -> Iterator[None]:
    """Give modules that are built inside the block parameters on the meta device, and keep torch's random state."""
    with torch.random.fork_rng(devices=[]), _ShapesOnly():
        yield


@dataclass(frozen=True)
class Layer:
    """A submodule of a model that holds parameters, itself or in its own submodules.

    Attributes:
        path: the dotted name of the submodule, such as ``head.0``.
        kind: the name of its class.
        shapes: the shapes of its own parameters, without those of its submodules.
        parameters: the number of its parameters, with those of its submodules.
    """

    path: str
    kind: str
    shapes: tuple[tuple[int, ...], ...]
    parameters: int

    @property
    def depth(self) -> int:
        """The number of submodules of the model that contain this one."""
        return self.path.count(".")

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        shapes = [list(shape) for shape in self.shapes]
        return {"path": self.path, "kind": self.kind, "shapes": shapes, "parameters": self.parameters}


def skeleton(recipe: Recipe, specs: Sequence[NetworkSpec], **facts: Any) -> nn.Module:
    """Build a recipe's model for weight spaces, with parameters on the meta device.

    Args:
        recipe: the recipe whose model is built.
        specs: the weight spaces that the model reads.
        facts: arguments of the model that depend on the zoos (``Task.model_options``).

    Raises:
        UsageError: the model does not fit a weight space.
    """
    with shapes_only():
        return build_functional(recipe, specs, facts)


def layers_of(model: nn.Module) -> list[Layer]:
    """Return the submodules of a model that hold parameters, each before its own submodules.

    A parameter that is shared by several submodules counts in the first of them.

    A ``ParameterList`` counts as parameters of the module that holds it. A ``ModuleList`` of modules without submodules
    is one entry with the shapes of all their parameters.

    >>> for layer in layers_of(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))):
    ...     print(layer.path, layer.kind, layer.shapes, layer.parameters)
    0 Linear ((4, 3), (4,)) 16
    2 Linear ((1, 4), (1,)) 5
    """
    seen: set[nn.Parameter] = set()
    return [layer for path, child in model.named_children() for layer in _layers(path, child, seen)]


def _layers(path: str, module: nn.Module, seen: set[nn.Parameter]) -> Iterator[Layer]:
    total = sum(parameter.numel() for parameter in module.parameters() if parameter not in seen)
    if total == 0 or isinstance(module, nn.ParameterList):
        return
    children = dict(module.named_children())
    if isinstance(module, nn.ModuleList) and not any(list(child.children()) for child in module):
        own, children = list(module.parameters()), {}
    else:
        lists = [child for child in children.values() if isinstance(child, nn.ParameterList)]
        own = [parameter for holder in (module, *lists) for parameter in holder.parameters(recurse=False)]
    own = [parameter for parameter in own if parameter not in seen]
    seen.update(own)
    yield Layer(path, type(module).__name__, tuple(tuple(tensor.shape) for tensor in own), total)
    for name, child in children.items():
        yield from _layers(f"{path}.{name}", child, seen)


_SMALL_CNN = (1, 16, 16, 16)
_SIRENS = {"mnist": (32, 1), "fashion": (32, 1), "cifar10": (32, 3), "digits": (16, 1), "photos": (32, 3)}
"""The hidden width and the number of outputs of the SIRENs that shipped recipes read, by the recipe's first word."""


def usual_space(name: str, recipe: Recipe) -> NetworkSpec:
    """Return the weight space for which a recipe is published.

    Recipes that predict accuracy are for the networks of the Small CNN Zoo, on pictures of 16x16 pixels if they run
    them. Shipped INR recipes are for the published SIRENs of grey or colour pictures, or for those that ``mnfn zoo
    build siren`` fits to digits and photos.

    Args:
        name: the name of a shipped recipe, or the path of a recipe file.
        recipe: the recipe that was read from it.

    Raises:
        UsageError: the recipe is for INRs and not a shipped one, so the sizes of its networks are unknown.
    """
    if recipe.task == "generalization":
        activation = recipe.data.activation or "relu"
        size = (16, 16) if recipe.model.reads == "runs the network" else None
        return NetworkSpec.cnn(_SMALL_CNN, stride=2, outputs=10, activation=activation, input_size=size)
    if name not in {entry.name for entry in list_recipes()}:
        raise UsageError(name, "a recipe file does not say how large its networks are; give --widths or --zoo")
    width, outputs = _SIRENS[name.partition("/")[2].partition("-")[0]]
    # Omega changes no count, but it belongs to the weight space.
    return NetworkSpec.mlp([2, width, width, outputs], "sin", omega=30.0 if width == 32 else 15.0)


def spaces_of_zoo(path: Path, recipe: Recipe) -> tuple[Sequence[NetworkSpec], Mapping[str, Any]]:
    """Return a zoo's weight spaces, and the arguments of the recipe's model that depend on the zoo.

    Raises:
        DataError: there is no complete zoo, or the recipe's task cannot be learned from it.
        RecipeError: the recipe is for networks with another activation, or its model cannot read a weight space.
    """
    from mnfn_cli.tasks.data import open_zoos, with_absolute_zoos
    from mnfn_cli.tasks.task import task_class

    recipe = with_absolute_zoos(recipe, [path])
    task = task_class(recipe.task).on_zoos(recipe, open_zoos(recipe))
    return task.specs, task.model_options
