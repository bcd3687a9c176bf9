"""Functionals for several weight spaces: a model for each, with parameters that the models have in common."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mnfn_cli.errors import UsageError
from mnfn_cli.models.functional import Functional
from mnfn_cli.runtime.rows import computing_part
from mnfn_cli.symmetry import Sharing
from mnfn_cli.weightspace.mixed import MixedFeatures
from mnfn_cli.weightspace.spec import NetworkSpec

Builder = Callable[[NetworkSpec], nn.Module]


class SharedFunctional(Functional):
    """A model for each of several weight spaces. Parameters are shared, buffers such as means and deviations are not.

    Two models share a parameter if it has the same name and the same shape in both, and the weight spaces belong to one
    set (``Sharing``). All models are built from the same random state, so shared parameters start as they would in a
    model for the first weight space of the set alone; where all parameters have equal shapes, in a model for any one.

    Args:
        build: a function that builds the model for a weight space, initialised from torch's global random state.
        specs: the weight spaces.
        sharing: which parameters the models have in common.

    Attributes:
        models: the models, in the order of ``specs``.

    Shapes:
        The input is networks of these weight spaces; the output is ``(batch, ...)``, in the order of the batch.

    Raises:
        UsageError: the model cannot read a weight space, alone or beside the others; the message names it.

    Source:
        mnfn's own.

    >>> import torch
    >>> from mnfn_cli import NetworkSpec, WeightSpaceFeatures, build_model
    >>> from mnfn_cli.models import SharedFunctional
    >>> from mnfn_cli.weightspace import MixedFeatures
    >>> specs = [NetworkSpec.mlp([2, n, 5, 3], activation="tanh") for n in (6, 7)]
    >>> model = SharedFunctional(lambda spec: build_model("generalization/monomial", spec), specs, "group")
    >>> parts = [WeightSpaceFeatures.randn(spec, batch=1) for spec in specs]
    >>> model(MixedFeatures(parts, torch.tensor([1, 0]))).shape
    torch.Size([2])
    """

    def __init__(self, build: Builder, specs: Sequence[NetworkSpec], sharing: Sharing) -> None:
        super().__init__()
        if problems := obstacles(specs, sharing):
            raise UsageError.together(UsageError("model", f"networks {spec}: {why}") for spec, why in problems)
        self.specs = tuple(specs)
        self.models = nn.ModuleList(_alike(build, specs))
        self._aliases: dict[str, str] = {}
        shared: dict[Hashable, tuple[str, nn.Parameter]] = {}
        for number, (spec, model) in enumerate(zip(specs, self.models, strict=True)):
            for name, parameter in list(model.named_parameters()):
                key = (_set_of(spec, sharing), name, parameter.shape)
                whole, first = shared.setdefault(key, (f"models.{number}.{name}", parameter))
                if first is not parameter:
                    owner, _, own_name = name.rpartition(".")
                    model.get_submodule(owner).register_parameter(own_name, first)
                    self._aliases[f"models.{number}.{name}"] = whole

    def forward(self, networks: MixedFeatures) -> Tensor:
        """Return the outputs of the models, in the order of the batch."""
        outputs = []
        for number, (model, part) in enumerate(zip(self.models, networks.parts, strict=True)):
            if part.batch:
                with computing_part(number):
                    outputs.append(model(part))
        return networks.merge(outputs)

    def prepare(self, features: MixedFeatures) -> None:
        """Prepare each model by the training networks of its own weight space."""
        for model, part in zip(self.models, features.parts, strict=True):
            if isinstance(model, Functional):
                model.prepare(part)

    def rate_factor(self, name: str) -> float:
        """Return the factor that the model with this parameter gives."""
        _, number, own_name = name.split(".", 2)
        model = self.models[int(number)]
        return model.rate_factor(own_name) if isinstance(model, Functional) else 1.0

    def counts(self) -> dict[tuple[int, ...], int]:
        """Return the number of parameters that are used by the same weight spaces, by the numbers of these."""
        users: dict[nn.Parameter, list[int]] = {}
        for number, model in enumerate(self.models):
            for parameter in model.parameters():
                users.setdefault(parameter, []).append(number)
        found: dict[tuple[int, ...], int] = {}
        for parameter, numbers in users.items():
            found[tuple(numbers)] = found.get(tuple(numbers), 0) + parameter.numel()
        return found

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        """Return the state with every shared parameter once, under its name in the first model that has it."""
        whole = super().state_dict(*args, **kwargs)
        return {name: tensor for name, tensor in whole.items() if name not in self._aliases}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load what ``state_dict`` returned."""
        again = {alias: state_dict[name] for alias, name in self._aliases.items() if name in state_dict}
        return super().load_state_dict({**state_dict, **again}, strict=strict, assign=assign)


def obstacles(specs: Sequence[NetworkSpec], sharing: Sharing) -> list[tuple[NetworkSpec, str]]:
    """Return the weight spaces that a model cannot read beside the others, each with the reason."""
    found = []
    first: dict[Hashable, NetworkSpec] = {}
    for spec in specs:
        beside = first.setdefault(_set_of(spec, sharing), spec)
        differs = None if sharing == "fitting" or spec is beside else _difference(spec, beside)
        if sharing == "none" and spec is not beside:
            found.append((spec, f"the model reads one weight space, and there are also networks {beside}"))
        elif differs:
            found.append((spec, f"one set of parameters is for these and for others, which have {differs}: {beside}"))
    return found


def _set_of(spec: NetworkSpec, sharing: Sharing) -> Hashable:
    return spec.group if sharing == "group" else None


def _difference(spec: NetworkSpec, other: NetworkSpec) -> str | None:
    """Return the sizes, beside hidden widths, that ``other`` does not have in common with ``spec``; None if all are."""
    for name, here, there in (
        ("layers", spec.num_layers, other.num_layers),
        ("inputs", spec.widths[0], other.widths[0]),
        ("outputs", spec.widths[-1], other.widths[-1]),
    ):
        if here != there:
            return f"{there} {name}, not {here}"
    kernels = [[shape[2:] for shape in both.weight_shapes] for both in (spec, other)]
    return None if kernels[0] == kernels[1] else "other kernels"


def _alike(build: Builder, specs: Sequence[NetworkSpec]) -> list[nn.Module]:
    """Build a model for each weight space, all from the same random state."""
    state = torch.get_rng_state()
    models = []
    for spec in specs:
        torch.set_rng_state(state)
        try:
            models.append(build(spec))
        except UsageError as error:
            raise UsageError(error.where, f"networks {spec}: {error.problem}") from None
    return models
