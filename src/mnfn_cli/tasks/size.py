"""How large a recipe's model is for the networks of a run: reported before training, and refused beyond a limit."""

from collections.abc import Sequence

from torch import nn

from mnfn_cli.errors import RecipeError
from mnfn_cli.models.functional import count_parameters
from mnfn_cli.models.shared import SharedFunctional
from mnfn_cli.nn.monomial import MonomialLinear
from mnfn_cli.recipe import Recipe, list_recipes, load_recipe
from mnfn_cli.runtime.context import Progress
from mnfn_cli.tasks.counting import skeleton
from mnfn_cli.tasks.task import Task
from mnfn_cli.weightspace.spec import NetworkSpec

MAX_PARAMETERS = 100_000_000
"""Models with more parameters need ``training.max_parameters``. The largest published model has 42 million."""


def require_bounded_size(task: Task, progress: Progress) -> None:
    """Report the number of the model's parameters, counted without allocating them, and refuse a model too large.

    Args:
        task: the task, whose recipe names the model and may set the limit, ``training.max_parameters``.
        progress: where the number is reported, and over which weight spaces it is shared.

    Raises:
        RecipeError: the model has more parameters than the limit.
        UsageError: the model does not fit a weight space.
    """
    model = skeleton(task.recipe, task.specs, **task.model_options)
    for line in _described(task.recipe, model, task.specs):
        progress.note(line)
    count, limit = count_parameters(model), task.recipe.training.max_parameters or MAX_PARAMETERS
    if count > limit:
        spaces = "\n".join(f"networks {spec}" for spec in task.specs)
        raise RecipeError(
            f"model.{task.recipe.model.name}",
            f"{count:,} parameters for {spaces},\nmore than {limit:,}; {_smaller(task.recipe, task.specs, limit)}"
            f"choose a smaller model, or allow this one with training.max_parameters={count}",
        )


def _described(recipe: Recipe, model: nn.Module, specs: Sequence[NetworkSpec]) -> list[str]:
    """Return lines on a model's number of parameters, over which weight spaces they are shared, and its invariance.

    Args:
        recipe: the recipe of the model.
        model: the model, or its skeleton.
        specs: the weight spaces that it reads.
    """
    size = "fitted in closed form" if recipe.model.fits_at_once else f"{count_parameters(model):,} parameters"
    title = f"model {recipe.model.name}: {size}, for"
    lines = [f"{title} networks {specs[0]}" if len(specs) == 1 else f"{title} networks of {len(specs)} weight spaces"]
    if isinstance(model, SharedFunctional):
        for numbers, count in model.counts().items():
            lines.append(f"{count:,} of them, {'shared by' if len(numbers) > 1 else 'for'} networks")
            lines += [f"  {specs[number]}" for number in numbers]
    if any(isinstance(module, MonomialLinear) for module in model.modules()):
        lines += [
            f"the functional is invariant to sign flips that max pooling forbids, of networks {spec}"
            for spec in specs
            if spec.group == "sign" and "permutation" in spec.groups
        ]
    return lines


def _smaller(recipe: Recipe, specs: Sequence[NetworkSpec], limit: int) -> str:
    """Return a clause that names the shipped graph-network recipe for networks and its count; empty if it has none.

    Args:
        recipe: the recipe whose model is too large.
        specs: the weight spaces of the networks.
        limit: the largest number of parameters.
    """
    names = [entry.name for entry in list_recipes() if entry.name.startswith(f"{recipe.task}/")]
    others = {name: load_recipe(name) for name in names}
    graphs: dict[str | None, str] = {o.data.activation: name for name, o in others.items() if o.model.name == "gnn"}
    activations = {spec.activation for spec in specs}
    name = graphs.get(activations.pop() if len(activations) == 1 else None, graphs.get(None))
    if name is None or recipe.model.name == "gnn":
        return ""
    count = count_parameters(skeleton(others[name], specs))
    return f"{name} reads them with {count:,} parameters; " if count <= limit else ""
